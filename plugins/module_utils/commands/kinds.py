# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: the kinds of values that a command rule may ask for.

`text` (anything), `word` (anything that cannot be taken for an option), `name` (a chain, table, data set …),
`interface` (of this host: asked for another one the kernel may load a module), `source` (an interface or an address),
`host`, `unicast` (the same, and no address of a group), `address` (an address or prefix, and no name), `amount` (12,
+5, 10M), `number` or `number:LOW..HIGH`, `pids`, `user`, `accounts` and `groups` (that there are), `device`, `setting`
(a kernel setting that is no secret, or a pattern), `list` (a path whose name, size or state is shown), `read` (a path
whose content is shown), `file` (the same, and never a directory), `ps_fields`, `ps_sort`, `journal_fields` (of the
journal, less those that hold environments and memory), `ss_filter` (words of a filter of ss, less names of hosts),
`awk` (a program that only prints), `sed` (a script that only prints), `jq` (a filter that reads no other file),
`re:EXPRESSION`.
"""

from __future__ import annotations

import glob
import grp
import ipaddress
import os
import pwd
import re
import socket
from collections.abc import Callable

from . import awk, sed
from .errors import Refused


def is_interface(name: str) -> bool:
    """Whether this host has such a network interface."""
    return os.path.isdir(os.path.join("/sys/class/net", name))


def _judge_jq(program: str) -> None:
    found = re.search(
        r"\b(import|include|modulemeta|get_search_list|input_filename|env|ENV)\b|\b(repeat|until|while|recurse|range|limit|def|combinations|infinite|_\w+)\b",
        program,
    )
    if found:
        raise Refused(f"`{found.group()}` in a jq filter is not accepted: it reads something else, or may never end.")


# The fields of procps-ng's ps (`ps L`), less those that show the environment.
_PS_FIELDS = (
    "%cpu %mem ag_id ag_nice args blocked bsdstart bsdtime c caught cgname cgroup cgroupns class cls cmd comm "
    "command context cp cpuid cputime cputimes cuc cuu drs egid egroup eip esp etime etimes euid euser exe f "
    "fgid fgroup flag flags fname fuid fuser gid group ignored intpri ipcns label lastcpu lstart luid lwp lxc "
    "machine maj_flt majflt min_flt minflt mntns netns ni nice nlwp numa nwchan oom oomadj opri ouid pcpu "
    "pending pgid pgrp pid pidns pmem policy ppid pri priority psr pss rbytes rchars rgid rgroup rops rss "
    "rssize rsz rtprio ruid ruser s sched seat sess session sgid sgroup sid sig sigcatch sigignore sigmask "
    "size slice spid stackp start start_time stat state stime suid supgid supgrp suser svgid svuid sz tgid "
    "thcount tid time times timens tname tpgid trs tt tty ucmd ucomm uid uname unit user userns uss utsns "
    "uunit vsize vsz wbytes wcbytes wchan wops "
)

_PATTERNS = {
    "name": r"[A-Za-z0-9_][A-Za-z0-9_.:@/+-]*",
    "amount": r"[-+]?\d+[A-Za-z]{0,3}",
    "pids": r"\d+([, ]\d+)*",
    "device": r"/dev/[A-Za-z0-9_/.-]+",
    "ps_sort": r"[-+]?[a-z_%]+(,[-+]?[a-z_%]+)*",
}
_MEANT = {
    "name": "a plain name",
    "amount": "a number",
    "pids": "process ids",
    "device": "a device",
    "ps_sort": "field names",
}


# Names that stand for groups of hosts in the hosts file of many a system.
_GROUPS = re.compile(r"ip6-(all\w+|mcastprefix|localnet)|.*\.mcast\.net\.?", re.IGNORECASE)


def check(kind: str, value: str, judge_path: Callable[[str], None]) -> None:
    """Raises `Refused` unless `value` is of `kind`; a path that will be read is given to `judge_path`."""
    if kind in ("text", "list"):
        return
    if kind in ("read", "file"):
        _check_path(value)
        if kind == "file" and os.path.isdir(os.path.join("/", value)):
            raise Refused(
                f"`{value}` is a directory, and files in it would be read that nobody has judged; name a file."
            )
        if value != "-":
            judge_path(value)
    elif kind == "word":
        if value.startswith("-"):
            raise Refused(f"`{value}` looks like an option where a name is wanted.")
    elif kind.startswith("re:"):
        if not re.fullmatch(kind[3:], value):
            raise Refused(f"`{value}` is not accepted there.")
    elif kind.startswith("number"):
        _check_number(kind, value)
    elif kind in _JUDGES:
        _JUDGES[kind](value)
    elif not re.fullmatch(_PATTERNS[kind], value):
        raise Refused(f"`{value}` is not accepted where {_MEANT[kind]} is wanted.")


def known(kind: str) -> bool:
    """Whether there is such a kind; a site's rules are checked with it."""
    if kind.startswith("re:"):
        try:
            re.compile(kind[3:])
        except re.error:
            return False
        return True
    if re.fullmatch(r"number(:[\d.]+\.\.[\d.]+)?", kind):
        return True
    return kind in _PATTERNS or kind in _JUDGES or kind in ("text", "word", "list", "read", "file")


def _check_path(value: str) -> None:
    # openssl fetches `http://…`, and tail follows for `+1f`.
    if re.match(r"[A-Za-z][A-Za-z0-9.-]*:|\+", value):
        raise Refused(
            f"`{value}` could be an address or an option to the program; write a file's whole path, from / on."
        )


def _check_number(kind: str, value: str) -> None:
    if not re.fullmatch(r"\d+(\.\d+)?", value):
        raise Refused(f"`{value}` is not accepted where a number is wanted.")
    if ":" in kind:
        lowest, highest = kind.split(":", 1)[1].split("..")
        if not float(lowest) <= float(value) <= float(highest):
            raise Refused(f"{value} is out of bounds: from {lowest} to {highest} is accepted.")


def _check_user(value: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_.,@$][A-Za-z0-9_.,@$ -]*", value):
        raise Refused(f"`{value}` is not accepted where an account's name is wanted.")
    for name in value.split(","):
        # Some versions of ps read the letters of an unknown account as BSD options, and `e` shows environments.
        if re.fullmatch(r"[A-Za-z]*e[A-Za-z0-9]*", name) and not _is_known(name, pwd.getpwnam):
            raise Refused(f"There is no account `{name}` on this host; use `ps -eo user,pid,args`.")


def _check_accounts(value: str) -> None:
    _check_user(value)
    for name in re.split("[, ]", value):
        if not (name.isdigit() or _is_known(name, pwd.getpwnam)):
            raise Refused(f"There is no account `{name}` on this host; use `ps -eo user,pid,args`.")


def _check_groups(value: str) -> None:
    _check_user(value)
    for name in re.split("[, ]", value):
        if not (name.isdigit() or _is_known(name, grp.getgrnam)):
            raise Refused(f"There is no group `{name}` on this host; use `ps -eo group,pid,args`.")


def _is_known(name: str, find: Callable[[str], object]) -> bool:
    try:
        find(name)
    except KeyError:
        return False
    return True


def _check_ps_fields(value: str) -> None:
    # After `=` comes a heading of the caller's, up to the end of the word.
    listed = value.split("=", 1)[0]
    for name in re.split(r"[, ]+", listed.strip()):
        field = name.split(":", 1)[0]
        if field not in _PS_FIELDS.split():
            raise Refused(f"`{os.path.basename(field)}` is not a field that ps may show here.")


def _check_interface(value: str) -> None:
    # Asked for one that is not there, the kernel looks for a module of that name. Of numbers there is none.
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]*", value):
        raise Refused(f"`{value}` is not accepted where an interface is wanted.")
    name = re.split("[@:]", value)[0]
    if not re.fullmatch(r"\d*", name) and not is_interface(name):
        raise Refused(f"There is no interface `{name}` on this host; `ip -br link` lists them.")


def _check_source(value: str) -> None:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        _check_interface(value)


def _check_address(value: str) -> None:
    # Some programs take `10/8`.
    if re.fullmatch(r"\d{1,3}(\.\d{1,3}){0,3}(/\d{1,2})?", value):
        return
    try:
        ipaddress.ip_interface(value)
    except ValueError:
        raise Refused(f"`{value}` is no address or prefix; names are not looked up for this.") from None


def _check_host(value: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_.:][A-Za-z0-9_.:%/-]*", value):
        raise Refused(f"`{value}` is not accepted where a host name or address is wanted.")
    _name, zone, interface = value.partition("%")
    if zone:
        _check_interface(interface)


def _check_unicast(value: str) -> None:
    _check_host(value)
    if "/" in value:
        raise Refused(f"`{value}`: what is behind `/` would be taken for a port or prefix; leave it out.")
    if _GROUPS.fullmatch(value) or _is_group(value.partition("%")[0]):
        raise Refused(f"`{value}` stands for a group of hosts, all of which would be asked; name one.")


def _is_group(value: str) -> bool:
    try:
        if ":" in value:
            address = ipaddress.IPv6Address(value)
            return address.is_multicast or (address.ipv4_mapped is not None and _is_group(str(address.ipv4_mapped)))
        # As programs read it: `224.1` and `0xe0000001` are addresses, too.
        return socket.inet_aton(value)[0] >= 224
    except (ValueError, OSError):
        return False


def _check_journal_fields(value: str) -> None:
    for name in value.split(","):
        # systemd-coredump writes down what crashed.
        if name in ("COREDUMP", "COREDUMP_ENVIRON") or not re.fullmatch(r"[A-Z_0-9]+", name):
            raise Refused(
                f"`{name[:80]}` is no field that is shown; all are but COREDUMP and COREDUMP_ENVIRON, which hold a"
                " process's memory and environment. `coredumpctl list` and `info` tell of crashes."
            )


def _check_setting(value: str) -> None:
    names = [value]
    if "*" in value:
        # A name's parts are joined by dots or slashes, whichever comes first.
        names += glob.glob(os.path.join("/proc/sys", value.replace(".", "/"))) + glob.glob(f"/proc/sys/{value}")
    secret = next((name for name in names if re.search(r"secret|_key|\.\.", name)), None)
    if secret or not re.fullmatch(r"[A-Za-z0-9_./*-]+", value):
        raise Refused(f"`{secret or value}` is no setting that is shown.")


# Of the filters of ss: words of its own, states, and what compares.
_SS_WORDS = (
    "state exclude excl src dst sport dport autobound fwmark cgroup and or not eq ne ge le gt lt all"
    " connected synchronized bucket big listen listening established estab syn-sent syn-recv syn-rcv"
    " fin-wait-1 fin-wait-2 time-wait timewait unconn closed close-wait last-ack closing bound-inactive ="
    " == != >= <= > < ! & && | ||"
)
_SS_PORT = r"\*|\d{1,5}|[a-z][a-z0-9-]*"
_SS_ADDRESS = re.compile(
    rf"(inet6?:)?(\*|\d{{1,3}}(\.\d{{1,3}}){{0,3}}|\[[0-9A-Fa-f:.]+\])?(/\d{{1,3}})?(:({_SS_PORT}))?"
    r"|(unix:)?[/@]\S*|0x[0-9a-f]+(/0x[0-9a-f]+)?"
)


def _check_ss_filter(value: str) -> None:
    words = re.sub(r"[()]", " ", value).split()
    for before, word in zip(["", *words], words):
        if before == "dev":
            _check_interface(word)
        elif word not in ("dev", *_SS_WORDS.split()) and not _SS_ADDRESS.fullmatch(word):
            raise Refused(
                f"`{word[:80]}` in a filter of ss is no state, port, address or prefix; a host's name would be looked"
                " up. IPv6 addresses are written in brackets."
            )


# What judges values of the kinds that take more than an expression; programs in languages of their own among them.
_JUDGES: dict[str, Callable[[str], None]] = {
    "awk": awk.judge_program,
    "sed": sed.judge_script,
    "jq": _judge_jq,
    "user": _check_user,
    "accounts": _check_accounts,
    "groups": _check_groups,
    "ps_fields": _check_ps_fields,
    "journal_fields": _check_journal_fields,
    "setting": _check_setting,
    "ss_filter": _check_ss_filter,
    "interface": _check_interface,
    "source": _check_source,
    "address": _check_address,
    "host": _check_host,
    "unicast": _check_unicast,
}
