# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel holds, and waiting for it."""

from __future__ import annotations

import ctypes
import errno
import platform
import time
from collections.abc import Callable

_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
_PROG_GET_NEXT_ID = 11


def await_true(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Returns when the condition holds; fails where it does not within the time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)


def loaded_programs() -> set[int]:
    """Ids of all eBPF programs in the kernel (bpf(2), BPF_PROG_GET_NEXT_ID)."""
    libc = ctypes.CDLL(None, use_errno=True)
    found: set[int] = set()
    attributes = (ctypes.c_uint32 * 32)()
    while libc.syscall(_BPF, _PROG_GET_NEXT_ID, ctypes.byref(attributes), ctypes.sizeof(attributes)) == 0:
        found.add(attributes[1])
        attributes[0] = attributes[1]
    assert ctypes.get_errno() == errno.ENOENT, errno.errorcode[ctypes.get_errno()]
    return found
