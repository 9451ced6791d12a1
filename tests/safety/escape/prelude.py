# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What attempts in Python may use: raw system calls, and saying that something was reached. Runs in the sandbox."""

import ctypes
import os
import platform
import socket  # noqa: F401  # pylint: disable=unused-import  # for the attempts

libc = ctypes.CDLL(None, use_errno=True)

# Of the file that by_handle is after; the test puts it in.
INODE = 0

# Numbers of x86_64, then of aarch64 (asm-generic); from 424 on they are the same everywhere.
NUMBERS = {
    "ptrace": (101, 117),
    "syslog": (103, 116),
    "init_module": (175, 105),
    "reboot": (169, 142),
    "clock_settime": (227, 112),
    "kexec_load": (246, 104),
    "add_key": (248, 217),
    "keyctl": (250, 219),
    "perf_event_open": (298, 241),
    "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "pidfd_send_signal": (424, 424),
    "io_uring_setup": (425, 425),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
}


def call(name, *arguments):
    """The result of a raw system call; integers become longs, bytes pointers."""
    number = NUMBERS[name][platform.machine() == "aarch64"]
    given = [ctypes.c_char_p(one) if isinstance(one, bytes) else ctypes.c_long(one) for one in arguments]
    return libc.syscall(number, *given)


def errno():
    return ctypes.get_errno()


def reached(condition):
    if condition:
        print("REACHED", flush=True)
    elif errno():
        print(os.strerror(errno()), flush=True)


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def _vectors(buffer, address):
    mine = Vector(ctypes.cast(buffer, ctypes.c_void_p), 24)
    return ctypes.addressof(mine), Vector(ctypes.c_void_p(address), 24), mine


def peek(name, pid, address):
    buffer = ctypes.create_string_buffer(24)
    mine, theirs, _kept = _vectors(buffer, address)
    call(name, pid, mine, 1, ctypes.addressof(theirs), 1, 0)
    print(buffer.raw)


def poke(name, pid, address):
    buffer = ctypes.create_string_buffer(b"overwritten by an attempt"[:24], 24)
    mine, theirs, _kept = _vectors(buffer, address)
    reached(call(name, pid, mine, 1, ctypes.addressof(theirs), 1, 0) > 0)


def by_handle(beside, wanted):
    """Reads `wanted` by a handle made of its inode number, in the file system of the file `beside`."""
    handle = ctypes.create_string_buffer(136)
    ctypes.memmove(handle, (128).to_bytes(4, "little"), 4)
    mount = ctypes.c_int()
    got = libc.syscall(
        NUMBERS["name_to_handle_at"][platform.machine() == "aarch64"],
        -100, wanted, ctypes.byref(handle), ctypes.byref(mount), 0,
    )  # fmt: skip
    if got != 0:
        print("no handle", os.strerror(errno()))
    inode = INODE
    # ext4's handle: the inode's number and its generation, which 0 stands in for.
    made = (8).to_bytes(4, "little") + (1).to_bytes(4, "little") + inode.to_bytes(4, "little") + bytes(4)
    for tried in (handle.raw, made + bytes(120)):
        where = os.open(beside, os.O_RDONLY)
        opened = libc.syscall(
            NUMBERS["open_by_handle_at"][platform.machine() == "aarch64"], where, ctypes.c_char_p(tried), os.O_RDONLY
        )
        if opened >= 0:
            print(os.read(opened, 100))
        else:
            print(os.strerror(errno()))


def tty_typed(request):
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        return False
    return libc.ioctl(terminal, request, b"x") == 0
