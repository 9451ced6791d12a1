# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""However a trace ends, the kernel holds no program of ours afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from conftest import REPOSITORY, program
from kernel_state import loaded_programs

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import layout, sampling
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bytecode import Object
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.loader import LoadedObject
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.stopping import stop_together
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import Tracer

PROGRAMS: list[dict[str, Any]] = [
    program("syscalls/sys_enter_openat", 60),
    program("sched/sched_switch", 60),
    program("syscalls/sys_enter_*", 60),
]
SCRIPT = f"""
import pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs these tests may have it ignored
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import Tracer
tracer = Tracer(Bundle.from_directory(pathlib.Path({str(REPOSITORY / "bpf")!r})))
tracer.run({PROGRAMS!r}, lambda event: print("attached", flush=True))
"""


def gone(before: set[int]) -> bool:
    """Whether the programs that came since are gone; the kernel frees some a moment after their last reference."""
    for _attempt in range(50):
        if loaded_programs() <= before:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_is_left_when_the_tracing_process_dies(number: signal.Signals) -> None:
    before = loaded_programs()
    environment = dict(os.environ, PYTHONPATH=str(REPOSITORY / ".cache" / "src"))
    tracing = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    assert tracing.stdout is not None
    assert tracing.stdout.readline() == b"attached\n"
    assert len(loaded_programs() - before) >= 7
    tracing.send_signal(number)
    tracing.communicate(timeout=20)
    assert gone(before)


def test_nothing_is_left_after_a_trace_that_was_stopped_early(bundle: Bundle) -> None:
    before = loaded_programs()
    stop = threading.Event()
    tracer = Tracer(bundle, stop=stop)
    threading.Timer(1.0, stop.set).start()
    begun = time.monotonic()
    results = tracer.run(PROGRAMS)
    assert time.monotonic() - begun < 30
    assert all("stopped before its time" in result["notes"][-1] for result in results.values())
    assert gone(before)


def test_nothing_is_left_after_an_exception_in_the_middle(bundle: Bundle) -> None:
    before = loaded_programs()
    tracer = Tracer(bundle)

    def fail(event: dict[str, Any]) -> None:
        raise RuntimeError("the middle")

    with pytest.raises(RuntimeError, match="the middle"):
        tracer.run(PROGRAMS, fail)
    assert gone(before)


def test_no_descriptor_is_left_after_a_trace(bundle: Bundle) -> None:
    tracer = Tracer(bundle)
    before = set(os.listdir("/proc/self/fd"))
    tracer.run([program("sched/sched_switch", 1), program("syscalls/sys_enter_openat", 1), program("nothing/here", 1)])
    tracer.close()
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_program_that_was_stopped_counts_nothing_more_though_it_is_attached(objects: dict[str, Object]) -> None:
    loaded = LoadedObject(objects["raw_counter.c"], {}, sampling.table_sizes())
    try:
        sampling.write_plan(loaded.maps, layout.PlanHead(cpus=1, slices=1))
        loaded.attach_raw_tracepoint("sys_enter", "on_event")
        os.getppid()
        stop_together([loaded])
        counted = sampling.total(loaded.maps, layout.TOTAL_EVENTS)
        for _call in range(1000):
            os.getppid()
        assert sampling.total(loaded.maps, layout.TOTAL_EVENTS) == counted > 0
    finally:
        loaded.close()
