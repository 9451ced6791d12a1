# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: how much memory a command line takes in all, with everything that it started.

The kernel limits a process, and 128 processes of 1 GiB each are 128 GiB. A control group could limit them together, but
where one may be made differs between hosts (its version, who manages it, containers), and it would stay behind after a
SIGKILL. So it is looked at ten times a second: what is mapped by a process and its descendants. In the sandbox they can
take little that is mapped by nobody: no files in memory, and its /tmp, pipes and sockets have limits of their own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

_EVERY = 0.1
# Looking takes at most this part of the time.
_SHARE = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")
MOST_BYTES = 2 << 30
LEAST_BYTES = 256 << 20


def most_for_host() -> int:
    """Bytes that a command line may take on this host: a quarter of its memory, from 256 MiB to 2 GiB."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * _PAGE
    except (OSError, ValueError):
        return MOST_BYTES
    return max(LEAST_BYTES, min(MOST_BYTES, total // 4))


class MemoryWatch:
    """Looks at the memory of processes and their descendants, now and then, however often it is asked."""

    def __init__(self, most: int | None = None) -> None:
        """`most`: bytes in all; this host's by default."""
        self.most = most_for_host() if most is None else most
        self.next_look = time.monotonic() + _EVERY

    def exceeded(self, leaders: Iterable[int]) -> bool:
        """Whether the processes `leaders` and all that descends from them take more; False between two looks."""
        started = time.monotonic()
        if started < self.next_look:
            return False
        found = descendants(leaders)
        # What is shared counts for each of them here: at least as much as there is, and cheap to ask.
        too_much = sum(map(_resident, found)) > self.most and sum(map(_proportional, found)) > self.most
        ended = time.monotonic()
        self.next_look = ended + max(_EVERY, (ended - started) / _SHARE)
        return too_much


def descendants(leaders: Iterable[int]) -> set[int]:
    """These processes and what descends from them. In a PID namespace nothing gets away from its ancestors."""
    # Kernels are built with or without these files (CONFIG_PROC_CHILDREN).
    children_of = _children if os.path.exists("/proc/thread-self/children") else _by_parents()
    found: set[int] = set()
    waiting = list(leaders)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children_of(pid)
    return found


def _by_parents() -> Callable[[int], list[int]]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as opened:
                    # The command name, in parentheses, may hold anything.
                    parent = int(opened.read().rpartition(b")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            children.setdefault(parent, []).append(int(name))
    return lambda pid: children.get(pid, [])


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return children
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as opened:
                children += map(int, opened.read().split())
        except OSError:
            continue
    return children


def _resident(pid: int) -> int:
    """Bytes that are mapped and in memory."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as opened:
            return int(opened.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    """The same, with its part of what is shared (man 5 proc, Pss and SwapPss); all of it where that is not told."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as opened:
            lines = dict(line.split(b":", 1) for line in opened if b":" in line)
        return sum(int(lines[name].split()[0]) << 10 for name in (b"Pss", b"SwapPss") if name in lines)
    except (OSError, ValueError, IndexError):
        return _resident(pid)
