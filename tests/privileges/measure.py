# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which capabilities each thing that tracing does really takes on the running kernel.

    PYTHONPATH=<where ansible_collections is> python3 tests/privileges/measure.py <programs: the folder bpf> [>> FILE]

As root, on a machine that may be played with: it sets kernel.perf_event_paranoid and kernel.kptr_restrict for the time
of a measurement, where it can. Each thing is tried by a process of another user that lacks one capability after the
other; what it succeeds without stays away. What is left is what it needs. Prints JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import kernel, tracefs
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.btf import VMLINUX
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.capability import _NOTHING
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.cgroups import Cgroups
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.kernel_files import KernelFiles
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import TraceLimits, Tracer
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.giving_up import (
    NAMES,
    give_up,
    last_capability,
)

USER = 60890  # nobody's
SETTINGS = Path("/proc/sys/kernel")
# What could stand for others is given up first, so that the narrow ones are found.
BROAD = ("SYS_ADMIN", "DAC_OVERRIDE", "SYS_RESOURCE", "SYS_PTRACE", "DAC_READ_SEARCH")
# Enough for most, and then there are few to be tried without.
ATTACH = ("BPF", "PERFMON", "DAC_READ_SEARCH")

Try = Callable[[], Any]


class Ways:
    """What tracing does, each as a function that raises where it is refused."""

    def __init__(self, programs: Path) -> None:
        self.bundle = Bundle.from_directory(programs)
        form = tracefs.read_format("sched", "sched_process_exit")
        assert form is not None
        self.form = form

    def all(self) -> dict[str, Try]:
        """By name, in the order in which a trace does them."""
        return {
            "create a map": lambda: kernel.create_map(kernel.MapDefinition("measured", 5, 8, 64, 1024, 0)),
            "create a map beyond the limit for locked memory": self.large_map,
            "load a raw tracepoint program": lambda: kernel.load_program(17, "measured", _NOTHING),
            "attach to a raw tracepoint": self.raw_tracepoint,
            "load a program for perf events": lambda: kernel.load_program(5, "measured", _NOTHING),
            "attach to a tracepoint by a perf event": self.tracepoint,
            "attach to a function's entry by a perf event": lambda: self.kprobe(False),
            "attach to a function's return by a perf event": lambda: self.kprobe(True),
            "trace a system call": lambda: self.trace("tracepoint", "syscalls/sys_enter_openat"),
            "trace a function": lambda: self.trace("kprobe", "vfs_read"),
            "measure what programs cost": kernel.enable_statistics,
            "await running programs (membarrier)": self.membarrier,
            "raise the limit for locked memory": self.raise_limit,
            "read tracefs": lambda: tracefs.read_format("sched", "sched_switch") or missing(),
            "read the list of functions with a hook": lambda: KernelFiles().filter_functions() or missing(),
            "read the list of functions that take no kprobe": lambda: read("/sys/kernel/debug/kprobes/blacklist"),
            "read the kernel's types (BTF)": lambda: read(str(VMLINUX)),
            "read the names of functions": lambda: next(KernelFiles().symbols()) or missing(),
            "read the addresses of functions": self.addresses,
            "find a cgroup by its id": lambda: Cgroups().by_id(os.stat(Cgroups().hierarchies[0].path).st_ino),
            "see another user's process": lambda: read("/proc/1/stat"),
            "see the namespaces of another user's process": lambda: os.stat("/proc/1/ns/pid"),
            "read where another user's thread waits": lambda: read("/proc/1/task/1/stack"),
        }

    def raise_limit(self) -> None:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 40, 1 << 40))

    def large_map(self) -> None:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
        kernel.create_map(kernel.MapDefinition("measured", 2, 4, 4096, 1024, 0))

    def raw_tracepoint(self) -> None:
        kernel.open_raw_tracepoint(self.form.event, kernel.load_program(17, "measured", _NOTHING))

    def tracepoint(self) -> None:
        kernel.open_tracepoint(self.form.identifier, kernel.load_program(5, "measured", _NOTHING))

    def kprobe(self, at_return: bool) -> None:
        kernel.open_kprobe("vfs_read", at_return, kernel.load_program(kernel.PROG_KPROBE, "measured", _NOTHING))

    def trace(self, kind: str, target: str) -> None:
        """A whole trace by the programs of the collection; on new kernels functions are attached to by fentry."""
        program = {"name": "measured", "type": kind, "target": target, "duration": 1}
        (result,) = Tracer(self.bundle, limits=TraceLimits(seconds=1)).run([program]).values()
        if "error" in result:
            raise OSError(result["error"])
        if kind not in ("tracepoint",) and "tracepoint" in str(result["attached_to"]):
            raise OSError(f"attached to {result['attached_to']} instead")

    def membarrier(self) -> None:
        if kernel._libc.syscall(kernel._numbers()[2], 1, 0, 0):
            raise OSError("refused")

    def addresses(self) -> None:
        with open("/proc/kallsyms", encoding="ascii", errors="replace") as file:
            if not any(int(line.split()[0], 16) for line, _n in zip(file, range(2000))):
                raise OSError("all of them are 0")


def missing() -> None:
    raise OSError("it is not there")


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(4096)


def attempt(way: Try, capabilities: set[str]) -> Optional[str]:
    """Why it does not work with these capabilities, or None where it does."""
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                try:
                    give_up(USER, USER, capabilities)
                    way()
                    os._exit(0)
                except BaseException as error:
                    os.write(said.fileno(), f"{type(error).__name__}: {error}"[:300].encode())
            os._exit(1)
        if os.waitpid(child, 0)[1] == 0:
            return None
        said.seek(0)
        return said.read().decode() or "it ended without a word"


def needed(way: Try) -> dict[str, Any]:
    """What remains when all that it works without is taken away, and what each of these is refused with."""
    print(".", end="", file=sys.stderr, flush=True)
    kept = set(NAMES[: last_capability() + 1]) & held()
    refused = attempt(way, kept)
    if refused:
        return {"works": False, "with_all": refused}
    if attempt(way, set()) is None:
        return {"works": True, "needs": [], "without": {}}
    without: dict[str, str] = {}
    if attempt(way, kept & set(ATTACH)) is None:
        kept &= set(ATTACH)
    for name in sorted(kept, key=lambda name: (name not in BROAD, BROAD.index(name) if name in BROAD else 0, name)):
        refused = attempt(way, kept - {name})
        if refused is None:
            kept.discard(name)
        else:
            without[name] = refused
    return {"works": True, "needs": sorted(kept), "without": without}


def held() -> set[str]:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapPrm"))
    return {name for number, name in enumerate(NAMES) if int(line.split()[1], 16) >> number & 1}


@contextlib.contextmanager
def setting(name: str, value: int) -> Iterator[bool]:
    """Gives a setting of the kernel a value for a while; whether it has it."""
    before = (SETTINGS / name).read_text()
    with contextlib.suppress(OSError):
        (SETTINGS / name).write_text(str(value))
    try:
        yield int((SETTINGS / name).read_text()) == value
    finally:
        with contextlib.suppress(OSError):
            (SETTINGS / name).write_text(before)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, resource.getrlimit(resource.RLIMIT_MEMLOCK)[1:] * 2)
    ways = Ways(Path(sys.argv[1])).all()
    by_settings: dict[str, Any] = {}
    for paranoid, hidden in ((2, 1), (3, 2)):
        with setting("perf_event_paranoid", paranoid) as first, setting("kptr_restrict", hidden) as second:
            if first and second:
                key = f"perf_event_paranoid {paranoid}, kptr_restrict {hidden}"
                about = {name: way for name, way in ways.items() if paranoid == 2 or touched(name)}
                by_settings[key] = {name: needed(way) for name, way in about.items()}
    unset = {name: int((SETTINGS / name).read_text()) for name in ("perf_event_paranoid", "kptr_restrict")}
    if not by_settings:
        by_settings[", ".join(f"{name} {value}" for name, value in unset.items())] = {
            name: needed(way) for name, way in ways.items()
        }
    disabled = int((SETTINGS / "unprivileged_bpf_disabled").read_text())
    report = {"kernel": platform.release(), "unprivileged_bpf_disabled": disabled, "measured": by_settings}
    print(json.dumps(report, indent=1))


def touched(name: str) -> bool:
    """Whether one of the settings is about it."""
    return "by a perf event" in name or "addresses" in name


if __name__ == "__main__":
    main()
