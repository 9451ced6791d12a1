# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Giving up being root, all but some capabilities, for good. Private to the collection.

capabilities(7) has the rules, include/uapi/linux/capability.h and securebits.h the numbers.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

# By number.
NAMES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
)
SETS = ("effective", "permitted", "inheritable", "bounding", "ambient")
_LINES = {"CapEff": "effective", "CapPrm": "permitted", "CapInh": "inheritable", "CapBnd": "bounding"}
_LINES["CapAmb"] = "ambient"

_PR_CAPBSET_DROP, _PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS = 24, 28, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
# Root's user id means nothing, a change of ids leaves capabilities alone, none is made ambient; all of it locked.
_NOROOT, _NO_SETUID_FIXUP, _KEEP_CAPS_LOCKED, _NO_AMBIENT_RAISE = 0x03, 0x0C, 0x20, 0xC0
_VERSION_3 = 0x20080522


def last_capability() -> int:
    """The highest capability that the running kernel knows."""
    try:
        return int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return len(NAMES) - 1


def name_of(number: int) -> str:
    """Without `CAP_`; a number that has no name here is its own."""
    return NAMES[number] if number < len(NAMES) else str(number)


def capability_sets(pid: str = "self") -> dict[str, list[str]]:
    """The capability sets of a process, each a list of names in the order of their numbers. Raises OSError."""
    found: dict[str, list[str]] = {}
    for line in Path("/proc", pid, "status").read_text(encoding="utf-8", errors="replace").splitlines():
        name, _colon, value = line.partition(":")
        if name in _LINES:
            mask = int(value, 16)
            found[_LINES[name]] = [name_of(number) for number in range(mask.bit_length()) if mask >> number & 1]
    return found


def give_up(user: int, group: int, keep: Iterable[str], groups: Iterable[int] = ()) -> None:
    """Makes this process that user's, with the capabilities `keep` and no way to get another. Raises OSError.

    To be called by root with a single thread. What a program started from here gets is no capability at all.
    """
    kept = sorted({NAMES.index(name) for name in keep})
    libc = ctypes.CDLL(None, use_errno=True)

    def prctl(option: int, value: int, third: int = 0) -> None:
        if libc.prctl(option, value, third, 0, 0):
            raise _error(f"prctl({option}, {value})")

    for number in range(last_capability() + 1):
        if number not in kept:
            prctl(_PR_CAPBSET_DROP, number)
    prctl(_PR_SET_SECUREBITS, _NOROOT | _NO_SETUID_FIXUP | _KEEP_CAPS_LOCKED | _NO_AMBIENT_RAISE)
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    os.setgroups(list(groups))
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    mask = sum(1 << number for number in kept)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)  # effective, permitted, inheritable, twice 32 bits
    if libc.capset(header, sets):
        raise _error("capset")


def _error(what: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), what)
