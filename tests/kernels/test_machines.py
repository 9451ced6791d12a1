# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection on Debian's kernels, over ssh: set up, asked what it can do, traced, diagnosed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from fixtures import Playbook
from images import RECIPE
from leftovers import tracing_programs
from machines import Reached
from plays import kept, write_trace
from workload import gated, hear, process, say

from playbooks import Ansible

TRACES: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "cases" / "traces.yml").read_text())
ISSUE = "application randomly fails to connect to database"

FAILING = """
import os, socket, time
open('/proc/self/comm', 'w').write('orders')
print(os.getpid(), flush=True)
while True:
    with socket.socket() as client:
        client.connect_ex(('127.0.0.1', 5432))
    time.sleep(0.1)
"""


@pytest.fixture(scope="session")
def traced(
    machine: Reached, ansible: Ansible, set_up: list[str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Results of all the programs by name, the workload's `pid`, and what was `left` in the kernel afterwards."""
    folder = tmp_path_factory.mktemp("trace")
    machine.ssh("cp /bin/true /tmp/orchard-child")
    work = TRACES["workload"]
    assert tracing_programs(machine) == []
    with process(machine, gated(work["name"], work["body"])) as running:
        pid = int(hear(running))
        with Playbook(ansible, write_trace(folder, requests(pid)), {}) as playbook:
            playbook.await_text(f"tracing {len(TRACES['programs'])} probes")
            say(running, "go")
            assert hear(running) == "done"
            output = playbook.finish()
            assert playbook.status == 0, output
    return {**kept(folder), "pid": pid, "left": tracing_programs(machine)}


def requests(pid: int) -> list[dict[str, Any]]:
    """All that the cases ask for."""
    programs = []
    for name, case in TRACES["programs"].items():
        filters = dict(case.get("filters", {}))
        if "pid" in filters:
            filters["pid"] = pid
        wanted = {"name": name, "type": case.get("type", "tracepoint"), "target": case["target"], "filters": filters}
        programs.append({**wanted, "duration": 30})
    return programs


def test_the_machine_runs_its_kernel(machine: Reached) -> None:
    assert machine.ssh("uname -r").stdout.strip() == machine.release
    assert machine.kernel == "newest" or machine.release.startswith(f"{machine.kernel}.")


def test_setting_up_twice_changes_nothing_the_second_time(set_up: list[str]) -> None:
    first, second = (int(re.findall(r"changed=(\d+)", printed)[-1]) for printed in set_up)
    assert first > 0
    assert second == 0


def test_what_the_kernel_can_do_is_said(machine: Reached, ansible: Ansible, set_up: list[str]) -> None:
    info = ansible.module("ebpf_info", {})
    assert info["kernel"] == machine.release
    assert info["btf"]["available"] is True
    # A kernel that describes its types needs no headers, and set-up brings none; what tests headers brings a stand-in.
    kinds = {"installed": ("kernel",), "missing": (None, "stand-in")}
    assert info["headers"]["kind"] in kinds[RECIPE["kernels"][machine.kernel]["headers"]]
    assert info["lockdown"]["mode"] == "none"
    assert info["probe_types"]["tracepoint"] == {"available": True, "reason": None, "remedy": None}
    for kind in ("kprobe", "kretprobe"):
        able = {"available": True, "reason": None, "remedy": None, "kernel_support": True}
        assert info["probe_types"][kind] == able


@pytest.mark.parametrize("name", TRACES["programs"])
def test_what_is_traced_is_what_happened(traced: dict[str, Any], name: str) -> None:
    case, result = TRACES["programs"][name], traced[name]
    print(json.dumps({**result, "events": result["events"][:3]}, indent=1))
    assert "error" not in result
    missed = result["missed"]
    if "type" not in case:  # of functions kernels before 6.7 cannot tell, where they have no fentry
        assert result["exact"] is (missed == 0)
    for key, expected in case.get("expected", {}).items():
        assert is_but_for(result[key], expected, missed), key
    failures = [[entry["key"], entry["error"], entry["count"]] for entry in result.get("failures", [])]
    if "failures" in case:
        assert is_but_for(failures, case["failures"], missed)
        assert {entry["process_id"] for entry in result["failures"]} == {traced["pid"]}
    for field, values in case.get("seen", {}).items():
        assert {event["data"][field] for event in result["events"] if field in event["data"]} == set(values), field
    for syscall, count in case.get("by_syscall", {}).items():
        assert is_but_for(result["by_syscall"][syscall], count, missed), syscall


def is_but_for(seen: Any, expected: Any, missed: int) -> bool:
    """Whether counts, in whatever they stand, are as expected, but for what the kernel skipped, and said so.

    Newer kernels run these programs preemptibly, and skip one for whoever comes to it on that processor meanwhile.
    """
    if isinstance(expected, dict):
        return set(seen) == set(expected) and all(is_but_for(seen[key], expected[key], missed) for key in expected)
    if isinstance(expected, list):
        pairs = zip(seen, expected)
        return len(seen) == len(expected) and all(is_but_for(one, other, missed) for one, other in pairs)
    if isinstance(expected, int):
        return expected - missed <= seen <= expected
    return bool(seen == expected)


def test_what_the_trace_itself_causes_is_counted_apart(traced: dict[str, Any]) -> None:
    result = traced["opens_of_everybody"]
    assert result["event_count"] + result["missed"] >= 10003
    assert result["own_events"] > 0
    # By this program the controller follows the progress of the task.
    assert "tail" not in {entry["process_name"] for entry in result["by_process"]}


def test_nothing_is_left_in_the_kernel_after_a_trace(traced: dict[str, Any]) -> None:
    assert traced["left"] == []


def test_an_unknown_target_is_an_error_that_names_what_works(ansible: Ansible, set_up: list[str]) -> None:
    unknown = {"target": "tcp/tcp_conect", "duration": 1}
    function = {"target": "tcp_conect", "type": "kprobe", "duration": 1}
    result = ansible.module("ebpf_trace", {"programs": [unknown, function]})
    assert result["failed"] is True
    assert "no tracepoint tcp/tcp_conect" in result["msg"]
    assert "this kernel has no function tcp_conect" in result["msg"]
    assert "What works here: tcp_connect," in result["msg"]
    assert "Traceback" not in json.dumps(result)


def test_a_diagnosis_names_the_process_that_cannot_connect(
    machine: Reached, ansible: Ansible, set_up: list[str], tmp_path: Path
) -> None:
    with process(machine, FAILING) as failing:
        pid = int(hear(failing))
        variables = {"issue": ISSUE, "nannyapi_reports_dir": str(tmp_path)}
        with Playbook(ansible, "nannyapi.diagnostics.diagnose", variables) as playbook:
            playbook.finish()
            assert playbook.status == 0
    report = json.loads((tmp_path / "hosts" / "machine.json").read_text())
    cause = report["resolution"]["root_cause"]
    assert "orders" in cause
    assert "127.0.0.1:5432" in cause
    assert "ECONNREFUSED" in cause + report["resolution"]["ebpf_evidence"]
    assert str(pid) in json.dumps(report["resolution"])
    failures = [entry for result in report["ebpf_results"].values() for entry in result.get("failures", [])]
    assert (pid, "orders", "127.0.0.1:5432") in {
        (entry["process_id"], entry["process_name"], entry["key"]) for entry in failures
    }
    assert tracing_programs(machine) == []
