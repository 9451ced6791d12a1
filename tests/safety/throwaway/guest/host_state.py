# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is, to be compared: `quick` before and after every run, `deep` now and then."""

from __future__ import annotations

import ctypes
import errno
import glob
import hashlib
import os
import re
import resource
import subprocess
import time
from functools import lru_cache
from pathlib import Path

import netlink

State = dict[str, object]

_libc = ctypes.CDLL(None, use_errno=True)
# More than the kernel keeps; see throwaway_hosts.py.
_log = ctypes.create_string_buffer(4 << 20)
_IOPRIO_GET = 252  # x86_64
_SYSLOG_READ_ALL = 3
# A clock that was set differs by more from one that cannot be.
_CLOCK_SECONDS = 2.0

# Trees of which every entry is looked at each time, and those that are left to the deep look: where something is made,
# taken away or renamed in one of these, its directory tells at once.
_WHOLE = ("/tmp", "/srv", "/root", "/home", "/mnt", "/var/tmp", "/dev/shm", "/var/spool", "/usr/local", "/run/secrets")
_DIRECTORIES = ("/etc", "/boot", "/var/lib/dpkg", "/var/lib/rpm", "/usr/bin", "/usr/sbin", "/usr/lib/systemd", "/")
_FILES = (
    *("passwd", "shadow", "group", "gshadow", "hosts", "motd", "fstab", "hostname", "resolv.conf", "ld.so.cache"),
    *("sudoers", "crontab", "profile", "nftables.conf", "sysctl.conf", "ufw/ufw.conf", "apt/sources.list"),
)
SETTINGS = (
    *("kernel/panic", "kernel/core_pattern", "kernel/sysrq", "kernel/printk", "kernel/modprobe", "kernel/hostname"),
    *("vm/drop_caches", "vm/swappiness", "net/ipv4/ip_forward", "kernel/domainname", "fs/suid_dumpable"),
    *("kernel/yama/ptrace_scope", "kernel/kptr_restrict", "kernel/dmesg_restrict", "kernel/randomize_va_space"),
)
_KERNEL_FILES = (
    *("/proc/self/mountinfo", "/proc/swaps", "/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg"),
    *("/sys/kernel/mm/transparent_hugepage/enabled", "/sys/block/sda/queue/scheduler", "/sys/kernel/kexec_loaded"),
    *("/sys/kernel/tracing/kprobe_events", "/sys/kernel/tracing/events/enable", "/sys/kernel/tracing/current_tracer"),
    *("/proc/1/oom_score_adj", "/proc/1/cmdline", "/sys/fs/selinux/enforce", "/proc/self/timerslack_ns"),
)
_DEEP_TREES = ("/etc", "/usr", "/var/lib", "/boot", "/opt")
# They change by themselves.
_VOLATILE = re.compile(
    r"/proc/sys/(fs/(quota/.*|dentry-state|inode-(nr|state)|file-nr|aio-nr)"
    r"|kernel/(random/.*|ns_last_pid|pty/nr|keys/.*)"
    r"|net/netfilter/nf_conntrack_count|kernel/perf_event_max_sample_rate|.*/tcp_fastopen_key|kernel/tainted)"
    r"|(/var)?/tmp/systemd-private-[^/]*(/.*)?"
    r"|/var/lib/(systemd/(timers|timesync|random-seed|catalog|linger)|private|logrotate|dbus|sudo)(/.*)?"
)


def signature(path: str) -> object:
    """What tells that a file was changed: the time of its last change of any kind among it. None where it is not."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return (
        found.st_ino,
        found.st_mode,
        found.st_uid,
        found.st_gid,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )


def read(path: str) -> bytes:
    """A file of the kernel's; the error's name where it cannot be read."""
    try:
        with open(path, "rb") as opened:
            return opened.read()
    except OSError as error:
        return errno.errorcode[error.errno or 0].encode()


def quick() -> State:
    """What can be looked at in a moment."""
    state: State = {path: read(path) for path in _KERNEL_FILES}
    state.update({f"/proc/sys/{name}": read(f"/proc/sys/{name}") for name in SETTINGS})
    state["modules"] = tuple(sorted(line.split()[0] for line in Path("/proc/modules").read_text().splitlines()))
    state["bpf"] = tuple(sorted(glob.glob("/sys/fs/bpf/*")))
    state["loops"] = tuple(sorted(glob.glob("/sys/block/loop*/loop")))
    state["name"] = os.uname().nodename
    state["units"] = _units()
    state.update(_first_process())
    state.update({f"network: {name}": value for name, value in netlink.network().items()})
    state["firewall"] = netlink.firewall_generation()
    state["kernel log"] = _kernel_log()
    for tree in _WHOLE:
        _walk(state, tree)
    for tree in _DIRECTORIES:
        state[tree] = signature(tree)
    for directory in _below_etc():
        state[directory] = signature(directory)
    for name in _FILES:
        state[f"/etc/{name}"] = signature(f"/etc/{name}")
    return state


def deep() -> State:
    """What takes too long for every run: what `quick` has is compared after each."""
    state: State = {}
    for line in said(f"find {' '.join(_DEEP_TREES)} -xdev -printf %p\\t%i,%m,%U,%G,%s,%C@\\n").splitlines():
        path, _tab, signed = line.rpartition("\t")
        if not _VOLATILE.fullmatch(path):
            state[path] = signed
    for directory, _names, files in os.walk("/proc/sys"):
        for name in files:
            path = f"{directory}/{name}"
            if not _VOLATILE.fullmatch(path):
                state[path] = read(path)
    for command in (
        "nft list ruleset",
        "systemctl list-unit-files --no-legend --no-pager",
        "systemctl show -p Environment,LogLevel,LogTarget,NFailedUnits",
        "systemctl show ssh.service cron.service rsyslog.service dbus.service -p Id,MainPID,ActiveState,UnitFileState",
    ):
        state[command] = said(command)
    state["sda"] = disk()
    return state


def differences(before: State, after: State) -> list[str]:
    """What differs, in words."""
    return sorted(
        f"{key} differs" for key in {*before, *after} if before.get(key, "absent") != after.get(key, "absent")
    )


def clock_offset() -> float:
    """Seconds between the clock that can be set and the one that cannot."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def clock_was_set(before: float) -> bool:
    """Whether the clock was set since its offset was taken."""
    return abs(clock_offset() - before) > _CLOCK_SECONDS


def said(command: str) -> str:
    """What a command prints."""
    try:
        ran = subprocess.run(
            command.split(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return ran.stdout + ran.stderr


def disk() -> str:
    """What the disk that lines write to holds."""
    try:
        with open("/dev/sda", "rb") as opened:
            return hashlib.sha256(opened.read()).hexdigest()
    except OSError as error:
        return str(error)


def _walk(state: State, tree: str) -> None:
    for directory, names, files in os.walk(tree):
        names[:] = [name for name in names if not _VOLATILE.fullmatch(f"{directory}/{name}")]
        # Services that the bus starts for whoever asks have a folder of their own in there while they run.
        found = os.lstat(directory)
        shared = (found.st_mode, found.st_uid, found.st_gid, sorted(names))
        state[directory] = shared if directory in ("/tmp", "/var/tmp") else signature(directory)
        for name in files:
            path = f"{directory}/{name}"
            if not _VOLATILE.fullmatch(path):
                state[path] = signature(path)


@lru_cache(maxsize=1)
def _below_etc() -> tuple[str, ...]:
    """The directories that there were at first: of another one, the one that it is in tells."""
    return tuple(directory for directory, _names, _files in os.walk("/etc"))


def _units() -> object:
    """The services that run, but for those that the bus starts for whoever asks what they know, and that end again."""
    asked = ("systemd-hostnamed", "systemd-timedated", "systemd-localed", "polkit", "systemd-udevd")
    names = (os.path.basename(path) for path in glob.glob("/sys/fs/cgroup/system.slice/*.service"))
    return tuple(sorted(name for name in names if not name.startswith(asked)))


def _first_process() -> State:
    fields = Path("/proc/1/stat").read_text().rpartition(")")[2].split()
    return {
        "priority": (fields[15], fields[16], fields[37], fields[38]),
        "affinity": tuple(sorted(os.sched_getaffinity(1))),
        "io priority": _libc.syscall(_IOPRIO_GET, 1, 1),
        "limit": resource.prlimit(1, resource.RLIMIT_NOFILE),
    }


def _kernel_log() -> object:
    """Its first bytes: they stay for as long as nobody clears it (until it is full, much later than a line is over)."""
    length = _libc.klogctl(_SYSLOG_READ_ALL, _log, len(_log))
    return _log[: min(length, 200)]
