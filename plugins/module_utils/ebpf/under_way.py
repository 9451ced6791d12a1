# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which calls that seem to be under way are over, their returns lost. Private to the collection.

What is asked is where a thread waits; of one that runs nothing is known, and what is not known is under way. It has to
be asked before the trace ends: afterwards a call may return and nobody sees it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable, Optional

from .borrowing import open_stack
from .kernel import Map
from .layout import Call

# A call by its place in the map and by when it began: at the same place another one may follow.
Known = frozenset[tuple[bytes, int]]
_MOST_SECONDS = 0.1  # the end of a trace waits for it


def over(pending: Map, is_in_call: Callable[[Call], Optional[bool]]) -> Known:
    """Those of the calls that begin the values of a map which their threads are not in any more.

    `is_in_call`: None where that cannot be known. What was not looked at in a tenth of a second is under way.
    """
    until = time.monotonic() + _MOST_SECONDS
    found: list[tuple[bytes, int]] = []
    for key in pending:
        for raw in pending.values(key):
            call = Call.from_buffer_copy(raw)
            if time.monotonic() > until:
                return frozenset(found)
            if is_in_call(call) is False:
                found.append((key, call.timestamp))
    return frozenset(found)


def is_in_function(call: Call, function: str) -> Optional[bool]:
    """Whether a function is on the stack of a call's thread; None for one that runs, or where that is not shown."""
    process, thread = call.pid_tgid >> 32, call.pid_tgid & 0xFFFFFFFF
    waited = _waits(process, thread)
    try:
        with open(open_stack(process, thread), encoding="ascii") as file:
            stack = file.read()
    except (OSError, ValueError):
        return None
    if f" {function}+0x" in stack:
        return True
    return False if stack and waited and _waits(process, thread) else None


def is_in_syscall(call: Call) -> Optional[bool]:
    """Whether a call's thread is in that system call; None for one that runs, or where that is not shown."""
    try:
        shown = _thread_file(call.pid_tgid >> 32, call.pid_tgid & 0xFFFFFFFF, "syscall")
    except (OSError, ValueError):
        return None
    number = shown.split(maxsplit=1)[0] if shown.strip() else ""
    return int(number) == call.number if number.lstrip("-").isdigit() else None


def _waits(process: int, thread: int) -> bool:
    try:
        return _thread_file(process, thread, "stat").rpartition(")")[2].split()[0] in ("S", "D", "I")
    except (OSError, ValueError, IndexError):
        return False


def _thread_file(process: int, thread: int, name: str) -> str:
    return Path(f"/proc/{process}/task/{thread}/{name}").read_text(encoding="utf-8", errors="replace")
