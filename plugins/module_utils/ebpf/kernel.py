# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls, as few of their commands as are needed: bpf(2), perf_event_open(2), membarrier(2). Private to the
collection.

Everything that these functions make is a file descriptor of this process, closed on exec, pinned nowhere: when the
process ends, however it ends, the kernel detaches and frees it. Layouts: include/uapi/linux/bpf.h and
include/uapi/linux/perf_event.h.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import functools
import os
import re
import resource
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple, Optional

from . import borrowing
from .errors import HostError

# Numbers of bpf(2), perf_event_open(2) and membarrier(2) by machine; sources:
# arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
_NUMBERS = {"x86_64": (321, 298, 324), "aarch64": (280, 241, 283)}

_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _MAP_DELETE, _MAP_NEXT_KEY, _PROG_LOAD = range(6)
_GET_INFO_BY_FD, _RAW_TRACEPOINT_OPEN, _ENABLE_STATS = 15, 17, 32
_STATS_RUN_TIME = 0
_RUN_TIME_OFFSET = 192  # of run_time_ns in struct bpf_prog_info; run_cnt follows it

PROG_KPROBE, PROG_TRACEPOINT, PROG_RAW_TRACEPOINT, PROG_TRACING = 2, 5, 17, 26
ATTACH_FENTRY, ATTACH_FEXIT = 24, 25
MAP_ARRAY = 2
_PER_CPU_MAPS = frozenset((5, 6, 10))  # per-CPU hash, per-CPU array, per-CPU LRU hash

_PERF_TYPE_TRACEPOINT = 2
_KPROBES = "/sys/bus/event_source/devices/kprobe"
_PERF_ATTR_BYTES = 112  # PERF_ATTR_SIZE_VER5, known to every kernel from 4.1
_PERF_FLAG_FD_CLOEXEC = 8
_PERF_IOC_SET_BPF = 0x40042408

_MEMBARRIER_GLOBAL = 1
# A program that runs on another CPU finishes within this, where the kernel does not say when.
_SETTLE_SECONDS = 0.01

_LOG_BYTES = 1 << 20
_libc = ctypes.CDLL(None, use_errno=True)


class MapDefinition(NamedTuple):
    """A map as bpf(2) wants it; sizes in bytes."""

    name: str
    kind: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int


def machine() -> str:
    """The architecture, as `uname -m` has it."""
    return os.uname().machine


def _numbers() -> tuple[int, int, int]:
    if machine() not in _NUMBERS:
        raise HostError(
            f"This collection loads eBPF programs on {' and '.join(sorted(_NUMBERS))}; this host is {machine()}."
        )
    return _NUMBERS[machine()]


def _bpf(command: int, attributes: bytes, size: int = 128) -> int:
    """The result of bpf(command, attributes); raises OSError."""
    buffer = ctypes.create_string_buffer(attributes.ljust(size, b"\0"), size)
    result = int(_libc.syscall(_numbers()[0], command, buffer, size))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _address(buffer: ctypes.Array[ctypes.c_char]) -> int:
    return ctypes.addressof(buffer)


def _name(text: str) -> bytes:
    return text.encode("ascii", "replace")[:15]


def explain(error: OSError, action: str) -> HostError:
    """A sentence for an error of one of the two system calls. `action` completes "The kernel refused to …"."""
    code = error.errno or 0
    hint = ""
    if code in (errno.EPERM, errno.EACCES):
        hint = (
            " Tracing needs root, or the capabilities BPF and PERFMON (run the task with become: true), and a kernel"
            " lockdown mode other than confidentiality."
        )
    elif code == errno.ENOSYS:
        hint = " This kernel was built without CONFIG_BPF_SYSCALL."
    elif code == errno.ENOMEM:
        hint = " The host is short of memory, or the limit for locked memory (ulimit -l) is too low."
    return HostError(f"The kernel refused to {action}: {os.strerror(code)} ({errno.errorcode.get(code, code)}).{hint}")


def await_running_programs() -> None:
    """Returns when every program that runs now has ended.

    Programs run within a read-side section of RCU, and this command of membarrier(2) waits for all of those (its manual
    page does not promise that, kernel/sched/membarrier.c does it). It is refused where CPUs run without a tick.
    """
    if _libc.syscall(_numbers()[2], _MEMBARRIER_GLOBAL, 0, 0):
        time.sleep(_SETTLE_SECONDS)


def raise_memory_lock_limit() -> None:
    """Lifts RLIMIT_MEMLOCK where that is allowed: kernels before 5.11 charge maps to it, later ones do not."""
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError):
        soft_hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (soft_hard, soft_hard))


def create_map(definition: MapDefinition) -> int:
    """A new map's file descriptor. Raises HostError."""
    attributes = struct.pack(
        "<7I16s",
        definition.kind,
        definition.key_size,
        definition.value_size,
        definition.max_entries,
        definition.flags,
        0,
        0,
        _name(definition.name),
    )
    try:
        return _bpf(_MAP_CREATE, attributes)
    except OSError as error:
        raise explain(error, f"create the eBPF map {definition.name}") from error


def map_definition(fd: int) -> MapDefinition:
    """How an existing map was made, asked from the kernel. Raises OSError."""
    info = ctypes.create_string_buffer(128)
    _bpf(_GET_INFO_BY_FD, struct.pack("<IIQ", fd, len(info), _address(info)))
    kind, _identifier, key, value, entries, flags, name = struct.unpack_from("<6I16s", info.raw)
    return MapDefinition(name.split(b"\0")[0].decode(), kind, key, value, entries, flags)


@functools.lru_cache(maxsize=1)
def release() -> tuple[int, int]:
    """The running kernel's version, such as (6, 1); (0, 0) where it has a name of another form."""
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def recursion_misses(program: int) -> Optional[int]:
    """How often the kernel skipped a program because it was already running on that CPU; None before 5.12."""
    info = ctypes.create_string_buffer(256)
    _bpf(_GET_INFO_BY_FD, struct.pack("<IIQ", program, len(info), _address(info)))
    if release() < (5, 12):
        return None
    return int(struct.unpack_from("<Q", info.raw, 208)[0])


def enable_statistics() -> int:
    """Lets the kernel measure how long eBPF programs run while this descriptor is open. From 5.8 on. Raises OSError."""
    asked = {"what": borrowing.STATISTICS}
    return borrowing.or_borrowed(lambda: _bpf(_ENABLE_STATS, struct.pack("<I", _STATS_RUN_TIME)), asked)


def program_statistics(program: int) -> tuple[int, int]:
    """For how many nanoseconds a program has run, and how often, while that was measured. Raises OSError."""
    info = ctypes.create_string_buffer(256)
    _bpf(_GET_INFO_BY_FD, struct.pack("<IIQ", program, len(info), _address(info)))
    nanoseconds, runs = struct.unpack_from("<QQ", info.raw, _RUN_TIME_OFFSET)
    return int(nanoseconds), int(runs)


def load_program(kind: int, name: str, instructions: bytes, attach: tuple[int, int] = (0, 0)) -> int:
    """A loaded program's file descriptor. Raises HostError, with the verifier's last lines where it has some.

    `attach`: for PROG_TRACING, how (ATTACH_*) and to which function, by its id in the kernel's type information.
    """
    code = ctypes.create_string_buffer(instructions, len(instructions))
    license_text = ctypes.create_string_buffer(b"GPL")
    log: Optional[ctypes.Array[ctypes.c_char]] = None

    def attempt() -> int:
        attributes = struct.pack(
            "<IIQQIIQII16s",
            kind,
            len(instructions) // 8,
            _address(code),
            _address(license_text),
            1 if log is not None else 0,
            len(log) if log is not None else 0,
            _address(log) if log is not None else 0,
            0,
            0,
            _name(name),
        )
        attributes += struct.pack("<II", 0, attach[0])
        return _bpf(_PROG_LOAD, attributes.ljust(108, b"\0") + struct.pack("<I", attach[1]))

    try:
        return attempt()
    except OSError as first:
        log = ctypes.create_string_buffer(_LOG_BYTES)
        try:
            return attempt()
        except OSError:
            said = log.value.decode("utf-8", "replace").strip().splitlines()
            # The last line is about the verifier itself: "processed 12 insns …".
            verdict = " ".join([line for line in said if not line.startswith("processed ")][-3:])
            problem = explain(first, f"load the eBPF program {name}")
            raise HostError(f"{problem} The verifier said: {verdict}" if verdict else str(problem)) from first


def open_raw_tracepoint(name: str, program: int) -> int:
    """Attaches a program to a raw tracepoint; closing the descriptor detaches it. Raises OSError."""
    text = ctypes.create_string_buffer(name.encode())
    return _bpf(_RAW_TRACEPOINT_OPEN, struct.pack("<QI", _address(text), program))


def open_tracing(program: int) -> int:
    """Attaches a program of kind PROG_TRACING to its function; closing the descriptor detaches it. Raises OSError."""
    return _bpf(_RAW_TRACEPOINT_OPEN, struct.pack("<QI", 0, program))


def open_tracepoint(identifier: int, program: int) -> int:
    """Attaches a program to the tracepoint of that id; closing the descriptor detaches it. Raises OSError."""
    asked = {"what": borrowing.TRACEPOINT, "id": identifier}
    return _with_program(borrowing.or_borrowed(lambda: tracepoint_event(identifier), asked), program)


def tracepoint_event(identifier: int) -> int:
    """A perf event of the tracepoint of that id. Raises OSError."""
    return _open_event(struct.pack("<IIQQ", _PERF_TYPE_TRACEPOINT, _PERF_ATTR_BYTES, identifier, 1))


def open_kprobe(function: str, at_return: bool, program: int) -> int:
    """Attaches a program to a function's entry or return; closing the descriptor detaches it. Raises OSError.

    The probe is the descriptor's own: nothing of it is seen under tracefs, and nothing stays behind.
    """
    asked = {"what": borrowing.FUNCTION, "function": function, "at_return": at_return}
    return _with_program(borrowing.or_borrowed(lambda: kprobe_event(function, at_return), asked), program)


def kprobe_event(function: str, at_return: bool) -> int:
    """A perf event of a function's entry or return. Raises OSError."""
    try:
        kind = int(_text(f"{_KPROBES}/type"))
        bit = int(_text(f"{_KPROBES}/format/retprobe").rpartition(":")[2])
    except ValueError as error:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP)) from error
    name = ctypes.create_string_buffer(function.encode())
    config = 1 << bit if at_return else 0
    attributes = struct.pack("<IIQQ", kind, _PERF_ATTR_BYTES, config, 1).ljust(56, b"\0")
    return _open_event(attributes + struct.pack("<QQ", _address(name), 0))


def _text(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()


def _open_event(attributes: bytes) -> int:
    """Opens the perf event that the attributes describe (struct perf_event_attr).

    The event is never enabled: its program runs for every CPU all the same, and no record is queued for anybody.
    """
    flags = struct.pack("<Q", 1)  # bit 0: disabled
    attributes = attributes.ljust(40, b"\0")[:40] + flags + attributes[48:]
    buffer = ctypes.create_string_buffer(attributes, _PERF_ATTR_BYTES)
    fd = int(_libc.syscall(_numbers()[1], buffer, -1, _online_cpu(), -1, _PERF_FLAG_FD_CLOEXEC))
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return fd


def _with_program(event: int, program: int) -> int:
    """Gives a perf event a program; the event. Raises OSError."""
    try:
        fcntl.ioctl(event, _PERF_IOC_SET_BPF, program)
    except OSError:
        os.close(event)
        raise
    return event


def _online_cpu() -> int:
    return min(os.sched_getaffinity(0))


@functools.lru_cache(maxsize=1)
def possible_cpus() -> tuple[int, ...]:
    """Ids of the CPUs for which a per-CPU map has values, in the order of those values. Raises HostError.

    Ids may have gaps; the values have none (Documentation/admin-guide/cputopology.rst: `possible`).
    """
    try:
        return parse_cpus(_text("/sys/devices/system/cpu/possible"))
    except (OSError, ValueError) as error:
        raise HostError(f"The list of CPUs at /sys/devices/system/cpu/possible could not be read: {error}.") from error


def parse_cpus(text: str) -> tuple[int, ...]:
    """A list of CPUs such as `0-3,8-11`. Raises ValueError."""
    ids: list[int] = []
    for part in text.strip().split(","):
        first, _dash, last = part.partition("-")
        ids += range(int(first), int(last or first) + 1)
    return tuple(ids)


class Map:
    """A map that this process made. Keys and values are bytes; closing is the owner's affair."""

    def __init__(self, definition: MapDefinition) -> None:
        self.definition = definition
        self.fd = create_map(definition)
        self._per_cpu = definition.kind in _PER_CPU_MAPS
        # The kernel rounds each CPU's value up to eight bytes (kernel/bpf/syscall.c: bpf_map_value_size).
        self._stride = (definition.value_size + 7) // 8 * 8 if self._per_cpu else definition.value_size
        self._key = ctypes.create_string_buffer(definition.key_size)
        self._value = ctypes.create_string_buffer(self._stride * (len(possible_cpus()) if self._per_cpu else 1))

    def _element(self, command: int, key: Optional[bytes], second: int) -> None:
        if key is not None:
            ctypes.memmove(self._key, key, self.definition.key_size)
        first = 0 if key is None else _address(self._key)
        _bpf(command, struct.pack("<IIQQQ", self.fd, 0, first, second, 0))

    def update(self, key: bytes, value: bytes) -> None:
        """Sets the value of a key. Raises HostError."""
        ctypes.memmove(self._value, value, self.definition.value_size)
        try:
            self._element(_MAP_UPDATE, key, _address(self._value))
        except OSError as error:
            raise explain(error, f"write to the eBPF map {self.definition.name}") from error

    def values(self, key: bytes) -> list[bytes]:
        """The value of a key: one for each possible CPU, or a single one. Empty where the key is not there."""
        try:
            self._element(_MAP_LOOKUP, key, _address(self._value))
        except OSError as error:
            if error.errno == errno.ENOENT:
                return []
            raise explain(error, f"read the eBPF map {self.definition.name}") from error
        raw, size = self._value.raw, self.definition.value_size
        return [raw[start : start + size] for start in range(0, len(raw), self._stride)]

    def __iter__(self) -> Iterator[bytes]:
        """All keys; the map should no longer change."""
        following = ctypes.create_string_buffer(self.definition.key_size)
        key: Optional[bytes] = None
        while True:
            try:
                self._element(_MAP_NEXT_KEY, key, _address(following))
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return
                raise explain(error, f"read the eBPF map {self.definition.name}") from error
            key = following.raw
            yield key

    def close(self) -> None:
        """Gives the map up; the kernel frees it when no program holds it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
