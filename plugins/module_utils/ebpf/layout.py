# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The structures that programs and user space share. Private to the collection.

They mirror `bpf/*.c` and `bpf/count_and_sample.h`; names and order are the same there, and a test compares sizes with
those of the compiled maps.
"""

from __future__ import annotations

import ctypes
from typing import Union

COMM_BYTES = 16
BLOB_BYTES = 160
BLOBS = 2
MAX_SLICES = 16
CGROUPS = 3
RECORD_BYTES = 256
WINDOW_BYTES, TRACEPOINT_KEY_BYTES = 64, 128
KEY_BYTES = 128
SYSCALLS = 1024
VALUES, STEPS, TEXTS, TEXT_BYTES, KEY_PARTS, FUNCTION_KEY_BYTES = 32, 64, 2, 384, 8, 64
START_RESULT, START_PLACE, NO_VALUE, NO_STACK = 6, 7, VALUES - 1, 0xFFFFFFFF
READ_KERNEL_STRING, READ_USER_STRING, READ_KERNEL_BYTES, READ_USER_BYTES, READ_PATH, READ_DENTRY = range(1, 7)
RESULT_NONE, RESULT_ERRNO, RESULT_POINTER, RESULT_VALUE, RESULT_BOOL, RESULT_ALLOCATION = range(6)
NO_POINTER, FALSE, TRUE = -1, -2, -3

FILTER_TGID, FILTER_UID, FILTER_COMM, AT_EXIT, ERRORS_ONLY, COUNT_ONLY, STOPPED = 1, 2, 4, 8, 16, 32, 64
LATENCY_STEPS = 4
LATENCIES = 64 * LATENCY_STEPS
READ_STRING, READ_SOCKADDR = 1, 2
WHEN_ENTERED, WHEN_RETURNED = 0, 1
NOT_WANTED, WANTED, NEVER_RETURNS = range(3)
ON_ENTER, ON_EXIT = "on_enter", "on_exit"  # the programs of syscall.c

# Index into the map `totals`.
(
    TOTAL_EVENTS,
    TOTAL_OWN,
    TOTAL_CAPTURED,
    TOTAL_OTHER_PROCESS,
    TOTAL_OTHER_FAILURE,
    TOTAL_NOT_PAIRED,
    TOTAL_COMPAT,
    TOTAL_ERRORS,
    TOTAL_RETURNS,
    TOTAL_OTHER_KEY,
    TOTAL_NOT_RETURNED,
) = range(11)

u8, u32, u64 = ctypes.c_uint8, ctypes.c_uint32, ctypes.c_uint64
s32, s64 = ctypes.c_int32, ctypes.c_int64
Comm = ctypes.c_char * COMM_BYTES


class PlanHead(ctypes.Structure):
    """`struct plan_head`; times in nanoseconds of the monotonic clock."""

    _fields_ = [
        ("started", u64),
        ("slice", u64),
        ("comm", u64 * 2),
        ("mask", u64 * 2),
        ("ns_device", u64),
        ("ns_inode", u64),
        ("least", u64),
        ("trees", u64),
        ("flags", u32),
        ("tgid", u32),
        ("uid", u32),
        ("slices", u32),
        ("ordinary", u32),
        ("erroneous", u32),
        ("burst", u32),
        ("cpus", u32),
        ("cgroups", u32),
    ]


class TreesPlan(ctypes.Structure):
    """`struct trees_plan`."""

    _fields_ = [("ns_device", u64), ("ns_inode", u64), ("child", u64), ("freed", u64)]


class KeyPlan(ctypes.Structure):
    """`struct key_plan`; offsets and lengths in bytes. The mask's bytes are 0xff where they count."""

    _fields_ = [
        ("mask", u8 * WINDOW_BYTES),
        ("start", u32),
        ("length", u32),
        ("text", u32),
        ("located", u32),
        ("relative", u32),
        ("text_bytes", u32),
        ("text_at", u32),
        ("unused", u32),
    ]


class TracepointPlan(ctypes.Structure):
    """`struct tracepoint_plan`."""

    _fields_ = [
        ("head", PlanHead),
        ("counts", u32),
        ("record", u32),
        ("blob", u32 * BLOBS),
        ("relative", u32 * BLOBS),
        ("bytes", u32 * BLOBS),
        ("failure", u32),
        ("failure_bytes", u32),
        ("key", KeyPlan),
    ]


class CallRegisters(ctypes.Structure):
    """`struct call_registers`: start and length in bytes, places in words."""

    _fields_ = [
        ("mode", u64),
        ("wide", u64),
        ("start", u32),
        ("length", u32),
        ("mode_at", u32),
        ("number_at", u32),
        ("argument", u32 * 6),
    ]


class SyscallPlan(ctypes.Structure):
    """`struct syscall_plan`."""

    _fields_ = [("head", PlanHead), ("registers", CallRegisters)]


class BlobPlan(ctypes.Structure):
    """`struct blob_plan`."""

    _fields_ = [("how", u8), ("argument", u8), ("length", u8), ("when", u8)]


class WantedSyscall(ctypes.Structure):
    """`struct wanted_syscall`."""

    _fields_ = [("wanted", u32), ("replaces_memory", u32), ("blob", BlobPlan * BLOBS)]


class Cursor(ctypes.Structure):
    """`struct cursor`; the duration in nanoseconds."""

    _fields_ = [("slowest", u64), ("ordinary", u32), ("erroneous", u32)]


class ProcessKey(ctypes.Structure):
    """`struct process_key`."""

    _fields_ = [("tgid", u32), ("cpu", u32), ("comm", Comm)]


class ProcessCount(ctypes.Structure):
    """`struct process_count`."""

    _fields_ = [("count", u64), ("errors", u64)]


class ResultKey(ctypes.Structure):
    """`struct result_key`."""

    _fields_ = [("error", s64), ("cpu", u32), ("unused", u32)]


class Failure(ctypes.Structure):
    """`struct failure_key` without its `key`, whose length depends on the program."""

    _fields_ = [("tgid", u32), ("number", u32), ("error", s32), ("unused", u32)]


class FailureCount(ctypes.Structure):
    """`struct failure_count`."""

    _fields_ = [("count", u64), ("comm", Comm)]


class TracepointEvent(ctypes.Structure):
    """`struct tracepoint_event`; nanoseconds of the monotonic clock."""

    _fields_ = [
        ("timestamp", u64),
        ("pid_tgid", u64),
        ("comm", Comm),
        ("length", s32 * BLOBS),
        ("record", ctypes.c_ubyte * RECORD_BYTES),
        ("blob", (ctypes.c_ubyte * BLOB_BYTES) * BLOBS),
    ]


class Call(ctypes.Structure):
    """`struct call`; nanoseconds, the timestamp of the monotonic clock and at entry."""

    _fields_ = [
        ("timestamp", u64),
        ("pid_tgid", u64),
        ("thread", u64),
        ("duration", u64),
        ("argument", u64 * 6),
        ("result", s64),
        ("place", u64),
        ("comm", Comm),
        ("number", u32),
        ("entered", u32),
    ]


class SyscallEvent(Call):
    """`struct syscall_event`."""

    _fields_ = [
        ("length", s32 * BLOBS),
        ("blob", (ctypes.c_ubyte * BLOB_BYTES) * BLOBS),
    ]


class Step(ctypes.Structure):
    """`struct step`; size and offset in bytes."""

    _fields_ = [("start", u8), ("size", u8), ("into", u8), ("cut", u8), ("offset", s32)]


class TextPlan(ctypes.Structure):
    """`struct text_plan`; length in bytes."""

    _fields_ = [("how", u8), ("when", u8), ("place", u8), ("length", u8)]


class ContextLayout(ctypes.Structure):
    """`struct context_layout`; offsets in bytes."""

    _fields_ = [("argument", u32 * 6), ("returned", u32), ("stack", u32), ("above", u32), ("unused", u32)]


class PathLayout(ctypes.Structure):
    """`struct path_layout`; offsets in bytes."""

    _fields_ = [
        ("path_mnt", u32),
        ("path_dentry", u32),
        ("dentry_parent", u32),
        ("dentry_name", u32),
        ("vfsmount_root", u32),
        ("mount_vfsmount", u32),
        ("mount_parent", u32),
        ("mount_mountpoint", u32),
    ]


class FunctionPlan(ctypes.Structure):
    """`struct function_plan`."""

    _fields_ = [
        ("head", PlanHead),
        ("context", ContextLayout),
        ("path", PathLayout),
        ("arguments", u32),
        ("result", u32),
        ("result_size", u32),
        ("steps", u32),
        ("key_steps", u32),
        ("return_steps", u32),
        ("key_parts", u32),
        ("key", u32 * KEY_PARTS),
        ("key_text", u32),
        ("text_is_key", u32),
        ("unused", u32),
        ("step", Step * STEPS),
        ("text", TextPlan * TEXTS),
    ]


class Text(ctypes.Structure):
    """`struct text`; `length` in bytes, or a negative errno."""

    _fields_ = [("mount", u64), ("dentry", u64), ("used", u32), ("length", s32), ("bytes", ctypes.c_ubyte * TEXT_BYTES)]

    def read(self) -> Union[bytes, int]:
        """What was read, or the negative errno of reading it."""
        return bytes(self.bytes)[: self.length] if self.length >= 0 else int(self.length)


class FunctionEvent(Call):
    """`struct function_event`."""

    _fields_ = [
        ("value", u64 * VALUES),
        ("readable", u64),
        ("key", ctypes.c_ubyte * FUNCTION_KEY_BYTES),
        ("text", Text * TEXTS),
    ]


def text(raw: bytes) -> str:
    """A C string's text, whatever its bytes."""
    return raw.split(b"\0")[0].decode("utf-8", "replace")
