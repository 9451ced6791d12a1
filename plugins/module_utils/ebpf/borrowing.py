# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process that traces with few capabilities borrows, as file descriptors. Private to the collection.

A few things that tracing opens take CAP_SYS_ADMIN, which is as good as being root. So the process that traces does not
have it, and asks another one, that does nothing else for it than to open these (`lending.py`).
"""

from __future__ import annotations

import errno
import os
from typing import Any, Callable, Optional

Lender = Callable[[dict[str, Any]], int]
STATISTICS, TRACEPOINT, FUNCTION = "statistics", "tracepoint", "function"
STACK, SYSCALL = "stack", "syscall"  # files of a thread in /proc

_lender: Optional[Lender] = None


def borrow_from(lender: Optional[Lender]) -> None:
    """From now on asks `lender` for a descriptor where this process may not open it itself; it raises OSError."""
    global _lender
    _lender = lender


def or_borrowed(own: Callable[[], int], asked: dict[str, Any]) -> int:
    """The descriptor that `own` opens, or where that is not allowed, a borrowed one. Raises OSError."""
    try:
        return own()
    except OSError as error:
        if _lender is None or error.errno not in (errno.EPERM, errno.EACCES):
            raise
    return _lender(asked)


def open_of_thread(what: str, process: int, thread: int) -> int:
    """A file in which the kernel shows where a thread waits: STACK, SYSCALL. Raises OSError.

    Whoever may not read it can open it all the same, and it is when it is read that the kernel asks. So what is
    borrowed where there is a lender is a copy.
    """
    if _lender is not None:
        return _lender({"what": what, "process": process, "thread": thread})
    return os.open(f"/proc/{process}/task/{thread}/{what}", os.O_RDONLY | os.O_CLOEXEC)


__all__ = [
    "FUNCTION",
    "STACK",
    "STATISTICS",
    "SYSCALL",
    "TRACEPOINT",
    "Lender",
    "borrow_from",
    "open_of_thread",
    "or_borrowed",
]
