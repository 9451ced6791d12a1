# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls that are hard to pair with their returns, by fentry and fexit, and by kprobe and kretprobe.

Without its type information a kernel has no fentry; before Linux 5.12 it is not used either way.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from fixtures import Playbook
from hiding import without_types
from images import RECIPE
from leftovers import tracing_programs
from machines import Reached
from plays import kept, write_trace
from truth import Perf, counted_events, forget_events, passed_over
from workload import gated, hear, process, say

from playbooks import Ansible

CALLS: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "cases" / "calls.yml").read_text())
WORK: dict[str, Any] = CALLS["workload"]
SENDING = "__dev_queue_xmit"
BLOCKED, RELEASED, PATIENT = 64, 40, 1


@pytest.fixture(scope="module", params=["types", "no-types"])
def traced(
    request: pytest.FixtureRequest,
    machine: Reached,
    ansible: Ansible,
    set_up: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """Results by name; `how` they were attached; how often perf saw the function that sends, and how often perf's own
    kprobe was in the way of that; whether functions are known by their types, of the kernel or of its headers."""
    folder = tmp_path_factory.mktemp("calls")
    machine.ssh("cp /bin/true /tmp/thresh-child")
    prepared = machine.ssh(f"ip link show chaff.5 2>/dev/null || {{ {WORK['prepare'].strip()}; }}")
    assert prepared.returncode == 0, prepared.stderr
    typed = request.param == "types"
    how = "fentry" if typed and release(machine) >= (5, 12) else "kprobe"
    with without_types(machine, not typed):
        events = counted_events(machine, {"sent": {"type": "kprobe", "count": [SENDING]}})
        try:
            with (
                process(machine, gated(WORK["name"], WORK["body"]), "thresh") as running,
                contextlib.closing(Perf(machine, "sent", list(events.values()), f"-p {int(hear(running))}")) as perf,
                Playbook(ansible, write_trace(folder, requests()), {}) as playbook,
            ):
                playbook.await_text(f"tracing {len(CALLS['programs'])} probes")
                say(running, "go")
                assert hear(running) == "done"
                sent = perf.stop()[events["sent"]]
                passed = passed_over(machine).get(events["sent"], 0)
                output = playbook.finish()
                assert playbook.status == 0, output
        finally:
            forget_events(machine)
    results = kept(folder)
    for result in results.values():
        print(json.dumps({**result, "events": result["events"][:3]}, indent=1))
    known = typed or RECIPE["kernels"][machine.kernel]["headers"] == "installed"
    said = {"how": how, "perf": sent, "passed_over": passed, "known": known}
    return {**results, **said}


def agree(count: int, result: dict[str, Any], least: int, most: int) -> None:
    """A count is between two numbers, but for what the kernel skipped, and says so.

    Newer kernels run these programs preemptibly, and skip one for whoever comes to it on that processor meanwhile.
    """
    assert count <= most
    assert count + result["missed"] >= least
    assert result["missed"] == 0 or not result["exact"]


def release(machine: Reached) -> tuple[int, ...]:
    """The version of the kernel that runs: major, minor."""
    return tuple(int(number) for number in machine.ssh("uname -r").stdout.split(".")[:2])


def requests() -> list[dict[str, Any]]:
    """All that the cases ask for."""
    return [
        {
            "name": name,
            "type": program["type"],
            "target": program["target"],
            "filters": {} if program.get("everybody") else {"comm": f"{WORK['name']}*"},
            "duration": WORK["seconds"],
        }
        for name, program in CALLS["programs"].items()
    ]


def test_it_was_attached_as_this_is_about(traced: dict[str, Any]) -> None:
    ways = {"fentry": {"fentry", "fexit"}, "kprobe": {"kprobe", "kretprobe"}}
    for name in set(CALLS["programs"]) - {"exits"}:  # newer kernels have no fexit for what never returns
        assert {attached.partition(":")[0] for attached in traced[name]["attached_to"]} <= ways[traced["how"]]


def test_a_function_that_calls_itself_and_is_called_in_interrupts_returns_as_often_as_it_is_entered(
    traced: dict[str, Any],
) -> None:
    perf, passed = traced["perf"], traced["passed_over"]
    assert perf + passed >= 2 * 100 + 2 * 200
    agree(traced["sending"]["event_count"], traced["sending"], perf, perf + passed)
    agree(traced["sent"]["event_count"] + traced["sent"]["returns_missed"], traced["sent"], perf, perf + passed)
    assert traced["sent"]["in_flight"]["count"] == 0
    assert traced["sent"]["never_returned"] == 0


def test_a_call_within_a_call_has_its_own_duration(traced: dict[str, Any]) -> None:
    calls = [
        (event["timestamp"] - event["data"]["duration_us"] * 1000, event["timestamp"], event["thread_id"])
        for event in traced["sent"]["events"]
    ]
    assert all(began < ended for began, ended, _thread in calls)
    for began, ended, thread in calls:
        for other_began, other_ended, other_thread in calls:
            if thread == other_thread and began < other_began < ended:
                assert other_ended <= ended  # it began within, so it ended within


def test_a_function_that_never_returns_is_not_in_flight(traced: dict[str, Any]) -> None:
    assert traced["exits"]["event_count"] == 0
    assert traced["exits"]["in_flight"]["count"] == 0
    assert traced["exits"]["returns_missed"] == 0
    # Ten children with a thread more each, and the threads that were released.
    ended = traced["exits"]["never_returned"]
    assert ended >= 10 + RELEASED
    agree(traced["exiting"]["event_count"], traced["exiting"], ended, ended)


def test_a_thread_that_becomes_the_leader_by_exec_returns(traced: dict[str, Any]) -> None:
    execs = traced["execs"]
    assert execs["event_count"] == 10
    assert execs.get("by_result") == ({"ok": 10} if traced["known"] else None)
    assert execs["in_flight"]["count"] == execs["returns_missed"] == execs["never_returned"] == 0
    assert any(event["thread_id"] != event["process_id"] for event in execs["events"])


def test_of_64_threads_in_one_function_each_has_returned_or_is_in_flight(traced: dict[str, Any]) -> None:
    reads = traced["reads"]
    assert reads["in_flight"]["count"] == BLOCKED - RELEASED + 1  # and the process itself, for its next word
    agree(reads["event_count"] + reads["returns_missed"], reads, RELEASED + PATIENT, RELEASED + PATIENT)
    assert traced["how"] == "kprobe" or reads["returns_missed"] == 0
    for event in reads["in_flight"]["events"]:
        assert event["data"]["elapsed_us"] > 1_000_000 or event["thread_id"] == event["process_id"]
    for event in reads["events"]:
        assert 1_000_000 < event["data"]["duration_us"] < WORK["seconds"] * 1e6
    assert max(event["data"]["duration_us"] for event in reads["events"]) > 50e6


def test_idle_threads_of_all_cpus_share_a_number_and_are_kept_apart(traced: dict[str, Any]) -> None:
    idle = traced["idle"]
    assert {entry["process_id"] for entry in idle["by_process"]} == {0}
    assert {entry["process_name"] for entry in idle["by_process"]} == {"swapper/0", "swapper/1"}
    assert idle["event_count"] > 100
    assert idle["returns_missed"] == idle["never_returned"] == 0
    assert idle["in_flight"]["count"] <= 2


def test_nothing_is_left_in_the_kernel(traced: dict[str, Any], machine: Reached) -> None:
    assert traced["how"]
    assert tracing_programs(machine) == []
    assert machine.ssh("cat /sys/kernel/debug/kprobes/list").stdout == ""
