# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a trace costs is told, and one that costs too much is thinned, then detached, and says so."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, Trace, Workload, program

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import cost, memory
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bytecode import Object
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.kernel import possible_cpus
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.loader import LoadedObject
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import TraceLimits, Tracer

Start = Callable[..., Workload]
GETPPID = "syscalls/sys_enter_getppid"
SWITCH = Path("/proc/sys/kernel/bpf_stats_enabled")

# Does something as fast as it can for some seconds, slowly once it gets SIGUSR1, and writes down when it had done how
# much. `{}`: the seconds, the number of times in a row, what it does, and where it writes.
STORM = """
import json, signal
slow, done, written = [], 0, []
signal.signal(signal.SIGUSR1, lambda *_: slow.append(1))
until = time.monotonic() + {}
while time.monotonic() < until:
    for _ in range({}):
        {}
        done += 1
    written.append((time.time_ns(), done))
    if slow:
        time.sleep(0.1)
open({!r}, 'w').write(json.dumps(written))
"""


def is_measuring(objects: dict[str, Object]) -> bool:
    """Whether the kernel measures a program that is loaded now and runs a while."""
    loaded = LoadedObject(objects["raw_counter.c"], {}, {})
    try:
        loaded.attach_raw_tracepoint("sys_enter", "on_event")
        for _call in range(1000):
            os.getppid()
        return loaded.statistics() != (0, 0)
    finally:
        loaded.close()


def test_a_result_tells_what_it_cost_and_nothing_is_measured_afterwards(
    trace: Trace, workload: Start, objects: dict[str, Object]
) -> None:
    before = SWITCH.read_text()
    caller = workload("for _ in range(200):\n    for _ in range(1000): os.getppid()\n    time.sleep(0.01)", "caller")
    calls, switches, quiet = trace(
        [program(GETPPID, 3, pid=caller.pid), program("sched/sched_switch", 3), program("sched/sched_process_hang", 3)],
        caller.start,
        cpu_share=100,
    )
    caller.finish()
    assert calls["event_count"] == 200_000
    # The kernel measures for a moment now and then: a part of the 400,000 runs.
    assert 4_000 < calls["cost"]["runs_measured"] < 200_000
    assert 50 < calls["cost"]["ns_per_run"] < 50_000
    for result in (calls, switches, quiet):
        assert 0.15 < result["cost"]["measured_s"] < result["duration_s"] / 2
    share = calls["cost"]["runs_measured"] * calls["cost"]["ns_per_run"] / 1e9 / calls["cost"]["measured_s"]
    assert calls["cost"]["cpu_share"] == pytest.approx(share, rel=0.02)
    assert switches["cost"]["runs_measured"] > 0
    assert {**quiet["cost"], "measured_s": 0} == {
        "cpu_share": 0.0,
        "ns_per_run": 0,
        "runs_measured": 0,
        "measured_s": 0,
    }
    assert SWITCH.read_text() == before
    assert is_measuring(objects) is (before.strip() == "1")


@pytest.mark.parametrize(
    ("target", "filters", "action", "events", "limit"),
    [
        (GETPPID, {}, "os.getppid()", 1, 0.15),
        ("syscalls/sys_exit_getppid", {}, "os.getppid()", 1, 0.15),
        ("syscalls/sys_enter_close", {"errors_only": True}, "libc.close(-1)", 1, 0.15),
        ("syscalls/sys_exit_close", {"errors_only": True}, "libc.close(-1)", 1, 0.15),
        ("sock/inet_sock_set_state", {}, "socket.socket().connect_ex(('127.0.0.1', 1))", 2, 0.01),
    ],
)
def test_a_storm_is_thinned_and_its_count_stays_exact(
    trace: Trace,
    workload: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    filters: dict[str, Any],
    action: str,
    events: int,
    limit: float,
) -> None:
    storm = workload(STORM.format(4, 500, action, str(tmp_path / "done")), "storm")
    act = cost.CostWatch._act

    def then_slow_down(*arguments: Any) -> None:
        act(*arguments)
        os.kill(storm.pid, signal.SIGUSR1)

    monkeypatch.setattr(cost.CostWatch, "_act", then_slow_down)
    (result,) = trace([program(target, 6, pid=storm.pid, **filters)], storm.start, cpu_share=limit)
    storm.finish()
    (_when, made), *_earlier = reversed(json.loads((tmp_path / "done").read_text()))
    assert "detached_after_s" not in result, result["notes"]
    assert result["event_count"] == made * events
    assert result["exact"] is True
    assert sum(entry["count"] for entry in result["by_process"]) == made * events
    assert 0.4 < result["thinned_after_s"] < 3.5
    assert result["duration_s"] == pytest.approx(6, abs=0.5)
    assert any("events were only counted" in note for note in result["notes"])
    assert "events were only counted" in result["summary"]
    if "by_result" in result:
        assert 0 < sum(result["by_result"].values()) < result["event_count"]
        assert result["in_flight"]["count"] == 0
    thinned = result["started"] + (result["thinned_after_s"] + 0.1) * 1e9
    assert all(event["timestamp"] < thinned for event in result["events"])
    assert len(result["events"]) + result["events_not_carried"] == result["event_count"]


def test_a_storm_that_goes_on_is_detached_and_its_count_is_that_of_the_time_covered(
    trace: Trace, workload: Start, tmp_path: Path
) -> None:
    storm = workload(STORM.format(6, 500, "os.getppid()", str(tmp_path / "done")), "storm")
    starter = workload("for _ in range(40): time.sleep(0.1); os.spawnlp(os.P_WAIT, 'true', 'true')", "starter")
    stormy, calm = trace(
        [program(GETPPID, 30, pid=storm.pid), program("sched/sched_process_exec", 8, pid=starter.pid, children=True)],
        lambda: (storm.start(), starter.start()),
        cpu_share=0.1,
    )
    storm.finish()
    covered = stormy["detached_after_s"]
    assert stormy["thinned_after_s"] < covered < 6
    assert stormy["duration_s"] == pytest.approx(covered, abs=0.05)
    written = json.loads((tmp_path / "done").read_text())
    end = stormy["started"] + stormy["duration_s"] * 1e9
    low = max(done for when, done in written if when < end - 0.2e9)
    high = min(done for when, done in written if when > end + 0.2e9)
    assert low <= stormy["event_count"] <= high < written[-1][1]
    assert any(re.search(r"attached for \d\.\d s of the 30 s", note) for note in stormy["notes"])
    assert "it was detached, for it cost the host too much" in stormy["summary"]
    assert "detached_after_s" not in calm
    assert calm["event_count"] == 40
    assert calm["duration_s"] == pytest.approx(8, abs=0.5)


def test_a_limit_of_zero_is_none(trace: Trace, workload: Start, tmp_path: Path) -> None:
    storm = workload(STORM.format(3, 500, "os.getppid()", str(tmp_path / "done")), "storm")
    (result,) = trace([program(GETPPID, 4, pid=storm.pid)], storm.start, cpu_share=0)
    storm.finish()
    assert result["event_count"] == json.loads((tmp_path / "done").read_text())[-1][1]
    assert result["by_result"] == {"ok": result["event_count"]}
    assert not {"thinned_after_s", "detached_after_s"} & set(result)


UNPRIVILEGED = f"""
import json, pathlib, subprocess, sys
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import TraceLimits, Tracer

CALLS = "import os, time\\nuntil = time.monotonic() + 8\\nwhile time.monotonic() < until: os.getppid()"
tracer = Tracer(Bundle.from_directory(pathlib.Path({str(REPOSITORY / "bpf")!r})), limits=TraceLimits(cpu_share=0.01))
program = {{"type": "tracepoint", "target": "syscalls/sys_enter_getppid", "duration": 20}}

def work(event):
    if event["stage"] == "trace_running":
        subprocess.Popen([sys.executable, "-c", CALLS])

(result,) = tracer.run([program], work).values()
print(json.dumps(result))
"""


def test_where_the_kernel_does_not_measure_the_cost_is_unknown_and_a_storm_ends_all_the_same() -> None:
    done = subprocess.run(
        ["setpriv", "--bounding-set=-sys_admin", sys.executable, "-c", UNPRIVILEGED],
        env=dict(os.environ, PYTHONPATH=str(REPOSITORY / ".cache" / "src")),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    result = json.loads(done.stdout)
    assert result["cost"] is None
    assert any("CAP_SYS_ADMIN (Operation not permitted)" in note for note in result["notes"])
    assert any("events were only counted" in note for note in result["notes"])
    assert result["duration_s"] < 10
    assert result["event_count"] > 10_000


def test_what_maps_take_is_what_the_kernel_says_they_take(objects: dict[str, Object]) -> None:
    cpus = len(possible_cpus())
    for source, known in objects.items():
        with LoadedObjectOf(known) as loaded:
            for name, each in loaded.maps.items():
                text = Path(f"/proc/self/fdinfo/{each.fd}").read_text()
                taken = int(next(line.split()[1] for line in text.splitlines() if line.startswith("memlock:")))
                assert memory.map_bytes(each.definition, cpus) == pytest.approx(taken, rel=0.15, abs=4096), (
                    source,
                    name,
                )


class LoadedObjectOf(LoadedObject):
    """An object's maps until the end of a block."""

    def __init__(self, known: Any) -> None:
        super().__init__(known, {}, {})

    def __enter__(self) -> LoadedObjectOf:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def test_a_program_whose_maps_do_not_fit_is_an_error_and_the_others_are_traced(
    bundle: Bundle,
) -> None:
    tracer = Tracer(bundle, limits=TraceLimits(map_bytes=10 << 20))
    results = list(tracer.run([program(GETPPID, 1) for _each in range(4)]).values())
    refused = [result["error"] for result in results if "error" in result]
    assert 0 < len(refused) < 4
    assert all("MiB of the kernel's memory. All programs of a round may take 10 MiB" in error for error in refused)
    assert all("error" not in result for result in results[: 4 - len(refused)])
