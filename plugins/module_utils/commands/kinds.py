# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: the kinds of values that a command rule may ask for.

`text` (anything), `word` (anything that cannot be taken for an option), `name` (an interface, chain, table …), `host`,
`amount` (12, +5, 10M), `number` or `number:LOW..HIGH`, `pids`, `user`, `device`, `list` (a path whose name, size or
state is shown), `read` (a path whose content is shown), `file` (the same, and never a directory), `ps_fields`,
`ps_sort`, `awk` (a program that only prints), `sed` (a script that only prints), `jq` (a filter that reads no other
file), `re:EXPRESSION`.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Callable

from . import awk, sed
from .errors import Refused


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
    "host": r"[A-Za-z0-9_.:][A-Za-z0-9_.:%/-]*",
    "amount": r"[-+]?\d+[A-Za-z]{0,3}",
    "pids": r"\d+([, ]\d+)*",
    "device": r"/dev/[A-Za-z0-9_/.-]+",
    "ps_sort": r"[-+]?[a-z_%]+(,[-+]?[a-z_%]+)*",
}
# Programs in a language of their own, each with what judges them.
_LANGUAGES: dict[str, Callable[[str], None]] = {"awk": awk.judge_program, "sed": sed.judge_script, "jq": _judge_jq}
_MEANT = {
    "name": "a plain name",
    "host": "a host name or address",
    "amount": "a number",
    "pids": "process ids",
    "device": "a device",
    "ps_sort": "field names",
}


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
    elif kind == "user":
        _check_user(value)
    elif kind in _LANGUAGES:
        _LANGUAGES[kind](value)
    elif kind == "ps_fields":
        _check_ps_fields(value)
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
    return kind in _PATTERNS or kind in ("text", "word", "list", "read", "file", "user", "ps_fields", *_LANGUAGES)


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
        if re.fullmatch(r"[A-Za-z]*e[A-Za-z0-9]*", name) and not _is_account(name):
            raise Refused(f"There is no account `{name}` on this host; use `ps -eo user,pid,args`.")


def _is_account(name: str) -> bool:
    try:
        pwd.getpwnam(name)
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
