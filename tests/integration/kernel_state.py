# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel holds, and waiting for it."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import threading
import time
from collections.abc import Callable
from typing import Optional

_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
_PROG_GET_NEXT_ID = 11
_PROG_GET_FD_BY_ID = 13
_OBJ_GET_INFO_BY_FD = 15
_LOAD_TIME = 40  # in struct bpf_prog_info (include/uapi/linux/bpf.h)


def await_true(condition: Callable[[], bool], seconds: float = 60, every: float = 0.1) -> None:
    """Returns when the condition holds; fails where it does not within the time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(every)


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


def _load_time(program: int) -> Optional[float]:
    """When a program was loaded, in seconds of CLOCK_BOOTTIME; None for one that is gone (BPF_OBJ_GET_INFO_BY_FD)."""
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = (ctypes.c_uint32 * 32)(program)
    fd = libc.syscall(_BPF, _PROG_GET_FD_BY_ID, ctypes.byref(attributes), ctypes.sizeof(attributes))
    if fd < 0:
        return None
    try:
        info = ctypes.create_string_buffer(256)
        asked = ctypes.create_string_buffer(struct.pack("=IIQ", fd, len(info), ctypes.addressof(info)), 16)
        if libc.syscall(_BPF, _OBJ_GET_INFO_BY_FD, asked, len(asked)) != 0:
            raise OSError(ctypes.get_errno(), "BPF_OBJ_GET_INFO_BY_FD")
    finally:
        os.close(fd)
    return float(struct.unpack_from("=Q", info, _LOAD_TIME)[0] / 1e9)


def _boot() -> float:
    """When CLOCK_BOOTTIME began, in seconds since the epoch. Who is interrupted between the two clocks gets more."""
    return min(-time.clock_gettime(time.CLOCK_BOOTTIME) + time.time() for _attempt in range(100))


class LoadTimes(threading.Thread):
    """Notes when each program was loaded that is in the kernel for a tenth of a second at least."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._before = loaded_programs()
        self._seen: dict[int, Optional[float]] = {}
        self._boot = _boot()
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.03):
            for program in loaded_programs() - self._before:
                if self._seen.get(program) is None:
                    self._seen[program] = _load_time(program)

    def noted(self) -> list[float]:
        """All of them until now, in order, in seconds since the epoch."""
        return sorted(self._boot + at for at in self._seen.copy().values() if at is not None)

    def end(self) -> list[float]:
        """The same, and notes no more."""
        self._over.set()
        self.join()
        return self.noted()
