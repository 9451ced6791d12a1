# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: the system calls of a sandboxed command, as a filter of libseccomp's.

What is listed may be called, whatever it is that newer kernels add answers ENOSYS, and the calls that act answer EPERM,
so that programs say what was denied. Arguments that decide (address family, flags, commands) are compared in their
lower half only, as the kernel does.
"""

from __future__ import annotations

import errno
import os
import termios
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

try:
    # The distribution's, which comes and is updated with the library itself.
    import seccomp
except ImportError:
    try:
        import pyseccomp as seccomp
    except ImportError:
        seccomp = None

from .seccomp_calls import ALLOWED, ANSWERED, DENIED, WRITING

_INT = 0xFFFFFFFF
# linux/sched.h: namespaces of mounts, cgroups, UTS, IPC, users, PIDs, network.
_CLONE_NAMESPACES = 0x7E020000
# Typing into a terminal, and the console's selection buffer; their numbers differ between machines.
_FORBIDDEN_REQUESTS = (termios.TIOCSTI, termios.TIOCLINUX)
# man 2 syslog: read all, unread size, buffer's size.
_SYSLOG_READS = (3, 9, 10)
# linux/ipc.h and linux/{shm,msg,sem}.h: the commands that tell.
_IPC_READS = {
    "shmctl": (0, 1, (2, 3, 13, 14, 15)),
    "msgctl": (0, 1, (2, 3, 11, 12, 13)),
    "semctl": (0, 2, (2, 3, 11, 12, 13, 14, 15, 18, 19, 20)),
}
_FAMILIES = {"unix": 1, "inet": 2, "inet6": 10, "netlink": 16, "packet": 17, "vsock": 40}
# Those of open's flags that write, make or truncate; O_TMPFILE comes with one of the first two.
_WRITE_FLAGS = (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC)
_PERSONALITY_ASK = 0xFFFFFFFF


@dataclass(frozen=True)
class CallRules:
    """What differs between commands: address families by name; whether files may be written at all; signals.

    `both_ways`: files may be opened for reading and writing, though not be made, where `writes` is false.
    """

    families: frozenset[str] = frozenset()
    writes: bool = True
    signals: bool = True
    both_ways: bool = False


def available() -> str | None:
    """Why there is no binding of libseccomp; None where there is one."""
    if seccomp is None:
        return "libseccomp's Python binding (the distribution's python3-seccomp, or pyseccomp) is not installed"
    return None


@lru_cache(maxsize=32)
def program(rules: CallRules) -> bytes:
    """The filter as classic BPF for bwrap's --seccomp. Raises OSError or RuntimeError of the library's."""
    made = _Filter(rules).build()
    descriptor = os.memfd_create("filter")
    with os.fdopen(descriptor, "w+b") as opened:
        made.export_bpf(opened)
        opened.seek(0)
        return opened.read()


class _Filter:
    def __init__(self, rules: CallRules) -> None:
        self.rules = rules
        self.filter: Any = seccomp.SyscallFilter(seccomp.ERRNO(errno.ENOSYS))
        self.denied = seccomp.ERRNO(errno.EPERM)

    def build(self) -> Any:
        denied = set(DENIED) | (set() if self.rules.writes else set(WRITING))
        denied |= set() if self.rules.signals else {"kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"}
        for name in ALLOWED:
            if name not in denied:
                self._add(seccomp.ALLOW, name)
        for name in sorted(denied):
            self._add(self.denied, name)
        for name, answer in ANSWERED.items():
            self._add(seccomp.ERRNO(getattr(errno, answer)), name)
        self._processes()
        self._opening()
        self._sockets()
        self._commands()
        return self.filter

    def _add(self, action: Any, name: str, *arguments: Any) -> None:
        try:
            self.filter.add_rule(action, name, *arguments)
        except (OSError, RuntimeError, ValueError):
            # A call that this library or this machine does not have is answered by the default.
            if arguments:
                raise

    def _equal(self, position: int, value: int, mask: int = _INT) -> Any:
        return seccomp.Arg(position, seccomp.MASKED_EQ, mask, value)

    def _processes(self) -> None:
        # On s390 the flags are the second argument.
        position = 1 if os.uname().machine.startswith("s390") else 0
        self._add(seccomp.ALLOW, "clone", self._equal(position, 0, _CLONE_NAMESPACES))
        self._add(seccomp.ALLOW, "personality", self._equal(0, _PERSONALITY_ASK))
        self._add(seccomp.ALLOW, "personality", self._equal(0, 0))
        # Of itself alone: `nice` steps back.
        self._add(seccomp.ALLOW, "setpriority", self._equal(0, os.PRIO_PROCESS), self._equal(1, 0))

    def _opening(self) -> None:
        for name, position in (("open", 1), ("openat", 2)):
            if self.rules.writes:
                self._add(seccomp.ALLOW, name)
                continue
            self._add(seccomp.ALLOW, name, self._equal(position, 0, sum(_WRITE_FLAGS)))
            if self.rules.both_ways:
                self._add(seccomp.ALLOW, name, self._equal(position, os.O_RDWR, sum(_WRITE_FLAGS)))
            for flag in set(_WRITE_FLAGS) - ({os.O_RDWR} if self.rules.both_ways else set()):
                self._add(seccomp.ERRNO(errno.EROFS), name, self._equal(position, flag, flag))

    def _sockets(self) -> None:
        for family in self.rules.families:
            self._add(seccomp.ALLOW, "socket", self._equal(0, _FAMILIES[family]))
        known = [_FAMILIES[family] for family in self.rules.families]
        for number in range(64):
            if number not in known:
                self._add(seccomp.ERRNO(errno.EACCES), "socket", self._equal(0, number))
        # A pair reaches nobody: but from one of its ends a datagram can be sent to any name.
        self._add(seccomp.ALLOW, "socketpair", self._equal(0, 1), self._equal(1, 1, 0xF))

    def _commands(self) -> None:
        for kind in _SYSLOG_READS:
            self._add(seccomp.ALLOW, "syslog", self._equal(0, kind))
        for kind in set(range(16)) - set(_SYSLOG_READS):
            self._add(self.denied, "syslog", self._equal(0, kind))
        for name, (_first, position, commands) in _IPC_READS.items():
            for command in commands:
                self._add(seccomp.ALLOW, name, self._equal(position, command, 0xFF))
        self._ioctl()

    def _ioctl(self) -> None:
        """All requests but the forbidden ones: a rule that allows without a condition would outdo one that denies."""
        agreed = _INT
        for request in _FORBIDDEN_REQUESTS:
            agreed &= ~(request ^ _FORBIDDEN_REQUESTS[0]) & _INT
        for bit in (1 << number for number in range(32)):
            if agreed & bit:
                self._add(seccomp.ALLOW, "ioctl", self._equal(1, ~_FORBIDDEN_REQUESTS[0] & bit, bit))
        common = _FORBIDDEN_REQUESTS[0] & agreed
        for rest in _parts(_INT & ~agreed):
            action = self.denied if common | rest in _FORBIDDEN_REQUESTS else seccomp.ALLOW
            self._add(action, "ioctl", self._equal(1, common | rest))


def _parts(bits: int) -> list[int]:
    """Every number that has none but these bits set."""
    found = [0]
    for bit in (1 << number for number in range(32)):
        if bits & bit:
            found += [number | bit for number in found]
    return found
