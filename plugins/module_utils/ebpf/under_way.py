# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which calls that seem to be under way are over, their returns lost. Private to the collection.

What is asked is where a thread waits; of one that runs nothing is known, and what is not known is under way. It has to
be asked before the trace ends: afterwards a call may return and nobody sees it.

A stack does not show every function that a thread is in: not those of the scheduler, not one that ends by jumping to
another, not on older kernels what is outside of a function whose return is probed, and it has one name of several.
So that a function is not on a stack says something only where it is on that of another thread.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable, Optional

from .borrowing import STACK, SYSCALL, open_of_thread
from .kernel import Map
from .layout import Call

# A call by its place in the map and by when it began: at the same place another one may follow.
Known = frozenset[tuple[bytes, int]]
_MOST_SECONDS = 0.1  # the end of a trace waits for it
_MOST_FRAMES = 64  # that the kernel shows (fs/proc/base.c): a function may be beyond them


def over(
    pending: Map, is_in_call: Callable[[Call], Optional[bool]], needs_proof: bool, seconds: float = _MOST_SECONDS
) -> Known:
    """Those of the calls that begin the values of a map which their threads are not in any more.

    `is_in_call`: None where that cannot be known; `needs_proof`: that it is False counts only where it is True of
    another call. What was not looked at within `seconds` is under way.
    """
    until = time.monotonic() + seconds
    found: list[tuple[bytes, int]] = []
    shown = not needs_proof
    for key in _keys(pending, until):
        if time.monotonic() > until:
            break
        for raw in pending.values(key):
            call = Call.from_buffer_copy(raw)
            is_in = is_in_call(call)
            shown = shown or is_in is True
            if is_in is False:
                found.append((key, call.timestamp))
    return frozenset(found) if shown else frozenset()


def _keys(pending: Map, until: float) -> list[bytes]:
    """The keys of a map that changes, which may begin anew for each that is gone: each once, and not for ever."""
    keys: dict[bytes, None] = {}
    for number, key in enumerate(pending):
        if number > 2 * pending.definition.max_entries or time.monotonic() > until:
            break
        keys[key] = None
    return list(keys)


def is_in_function(call: Call, function: str) -> Optional[bool]:
    """Whether a function is on the stack of a call's thread; None for one that runs, or where that is not shown."""
    process, thread = call.pid_tgid >> 32, call.pid_tgid & 0xFFFFFFFF
    waited = _waits(process, thread)
    try:
        with open(open_of_thread(STACK, process, thread), encoding="ascii") as file:
            stack = file.read()
    except (OSError, ValueError):
        return None
    if f" {function}+0x" in stack:
        return True
    whole = 0 < stack.count("\n") < _MOST_FRAMES
    return False if whole and waited and _waits(process, thread) else None


def is_in_syscall(call: Call) -> Optional[bool]:
    """Whether a call's thread is in that system call; None for one that runs, or where that is not shown."""
    try:
        with open(open_of_thread(SYSCALL, call.pid_tgid >> 32, call.pid_tgid & 0xFFFFFFFF), encoding="ascii") as file:
            shown = file.read()
    except (OSError, ValueError):
        return None
    number = shown.split(maxsplit=1)[0] if shown.strip() else ""
    return int(number) == call.number if number.lstrip("-").isdigit() else None


def _waits(process: int, thread: int) -> bool:
    try:
        state = Path(f"/proc/{process}/task/{thread}/stat").read_text(encoding="utf-8", errors="replace")
        return state.rpartition(")")[2].split()[0] in ("S", "D", "I")
    except (OSError, ValueError, IndexError):
        return False
