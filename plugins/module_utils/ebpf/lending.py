# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is opened, with all capabilities, for a process that traces with few. Private to the collection.

Each is checked to be what it says it is: an event of a tracepoint by its number, of a function by its name, the
measuring of programs. None of them shows or changes anything by itself: it takes a program, and to load one takes
capabilities that the borrower has for itself. Of where a thread waits it is a copy: the names of the functions that it
is in, or the number of the system call.
"""

from __future__ import annotations

import errno
import os
import re
from typing import Any

from . import kernel
from .borrowing import FUNCTION, STACK, STATISTICS, SYSCALL, TRACEPOINT, open_of_thread

_MOST_BYTES = 65536
_NAME = re.compile(r"[A-Za-z0-9_.:$]{1,255}")


def lend(asked: dict[str, Any]) -> int:
    """A new descriptor; what was asked for is checked. Raises OSError."""
    what = asked.get("what")
    if what == STATISTICS:
        return kernel.enable_statistics()
    if what == TRACEPOINT:
        return kernel.tracepoint_event(_number(asked, "id"))
    if what == FUNCTION:
        name = asked.get("function")
        if isinstance(name, str) and _NAME.fullmatch(name):
            return kernel.kprobe_event(name, asked.get("at_return") is True)
    if what in (STACK, SYSCALL):
        with open(open_of_thread(what, _number(asked, "process"), _number(asked, "thread")), "rb") as shown:
            text = shown.read(_MOST_BYTES)
        return _copy(text if what == STACK else text.split(maxsplit=1)[0] if text.strip() else b"")
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def _copy(text: bytes) -> int:
    """A file in memory that holds a text, to be read from its beginning."""
    copy = os.memfd_create("shown")
    try:
        os.write(copy, text)
        os.lseek(copy, 0, os.SEEK_SET)
    except OSError:
        os.close(copy)
        raise
    return copy


def _number(asked: dict[str, Any], name: str) -> int:
    value = asked.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 31:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return value


__all__ = ["lend"]
