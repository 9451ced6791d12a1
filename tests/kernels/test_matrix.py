# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every target that the protocol names, on every kernel, held against counts that owe nothing to the collection.

reports/kernels.json gets a line for each.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY
from fixtures import Playbook
from leftovers import tracing_programs
from machines import Reached
from plays import kept, write_trace
from truth import Perf, counted_events, forget_events, interrupts, passed_over
from workload import gated, hear, process, say

from playbooks import Ansible

MATRIX: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "cases" / "matrix.yml").read_text())
PROBES: dict[str, dict[str, Any]] = {f"{probe['type']}:{probe['target']}": probe for probe in MATRIX["probes"]}
REPORT = REPOSITORY / "reports" / "kernels.json"
INTERRUPTS = "interrupts"
BY_NAME = f'comm ~ "{MATRIX["workload"]["name"]}*"'

_rows: list[dict[str, Any]] = []


@pytest.fixture(scope="session")
def measured(
    machine: Reached, ansible: Ansible, able: None, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """For each probe its `result` and its `row` of the report."""
    machine.ssh("cp /bin/true /tmp/harvest-child")
    together = {}
    for number in sorted({probe.get("round", 1) for probe in PROBES.values()}):
        names = [name for name, probe in PROBES.items() if probe.get("round", 1) == number]
        for name, (truth, expected, result) in measure(
            machine, ansible, names, tmp_path_factory.mktemp("round")
        ).items():
            together[name] = {"result": result, "row": row(machine, PROBES[name], truth, expected, result)}
            _rows.append(together[name]["row"])
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(json.dumps(_rows, indent=1) + "\n")
    return together


def measure(
    machine: Reached, ansible: Ansible, names: list[str], folder: Path
) -> dict[str, tuple[str, Any, dict[str, Any]]]:
    """Traces probes while the work is done: for each the truth, what it expects, and the result."""
    work = MATRIX["workload"]
    refused = refusals(ansible, names)
    forget_events(machine)
    counted = {name: PROBES[name] for name in names if PROBES[name]["count"] != INTERRUPTS}
    try:
        events = counted_events(machine, counted)
        wide = [event for name, event in events.items() if PROBES[name].get("wide")]
        tree = [event for name, event in events.items() if not PROBES[name].get("wide")]
        with (
            process(machine, gated(work["name"], work["body"]), "harvest") as running,
            interrupts(machine) as interrupted,
            contextlib.closing(Perf(machine, "tree", tree, f"-p {int(hear(running))}")) as on_tree,
            contextlib.closing(Perf(machine, "wide", wide, "-a", BY_NAME)) as on_all,
        ):
            programs = requests(set(names) - set(refused))
            path = write_trace(folder, programs, keep_errors=True, max_events=500)
            with Playbook(ansible, path, {}) as playbook:
                playbook.await_text("tracing ")
                begun = time.monotonic()
                say(running, "go")
                assert hear(running) == "done"
                worked = time.monotonic() - begun
                assert worked < work["seconds"] - 10, f"the work took {worked:.0f} s: it may not be all in the window"
                time.sleep(2)  # until it waits for its second gate
                counts = {False: on_tree.stop(), True: on_all.stop()}
                passed = passed_over(machine)
                printed = playbook.finish()
            time.sleep(6)  # until what is read of interrupts is more than the trace has seen
            interrupted.stop()
    finally:
        forget_events(machine)
    assert (folder / "result.json").exists(), printed
    results = {**refused, **kept(folder)}
    measured = {}
    for name in names:
        result = results[name]
        if PROBES[name]["count"] == INTERRUPTS:
            # No other counter tells which of them came while a process of the trace itself ran.
            truth, own = "/proc/interrupts, less own_events", result.get("own_events", 0)
            ended = result["started"] + int(result.get("duration_s", 0) * 1e9)
            expected: Any = [count - own for count in interrupted.between(result["started"], ended)]
        else:
            everywhere = PROBES[name].get("wide", False)
            truth = (
                f"perf stat -a -e {events[name]} --filter '{BY_NAME}'" if everywhere else f"perf stat -e {events[name]}"
            )
            least = counts[everywhere][events[name]]
            # What perf's own kprobe was not told of, for that processor was in another one: of whoever.
            over = passed.get(events[name], 0)
            expected = [least, least + over] if over else least
        measured[name] = truth, expected, result
    return measured


def requests(names: Iterable[str]) -> list[dict[str, Any]]:
    """The programs of probes, as a task takes them."""
    programs = []
    for name in PROBES:
        if name in names:
            probe = PROBES[name]
            filters = {} if probe["count"] == INTERRUPTS else {"comm": f"{MATRIX['workload']['name']}*"}
            wanted = {"name": name, "type": probe["type"], "target": probe["target"], "filters": filters}
            programs.append({**wanted, "duration": MATRIX["workload"]["seconds"]})
    return programs


def refusals(ansible: Ansible, names: list[str]) -> dict[str, dict[str, Any]]:
    """Results of the probes that cannot be traced here as they are written: a task with one of them traces nothing."""
    if not ansible.module("ebpf_trace", {"programs": requests(names)}, ("--check",))["failed"]:
        return {}
    refused = {}
    for name in names:
        answer = ansible.module("ebpf_trace", {"programs": requests([name])}, ("--check",))
        if answer["failed"]:
            refused[name] = {"event_count": 0, "events": [], "started": 0, "error": answer["msg"]}
    return refused


def row(machine: Reached, probe: dict[str, Any], truth: str, expected: Any, result: dict[str, Any]) -> dict[str, Any]:
    """A line of the report."""
    low, high = expected if isinstance(expected, list) else (expected, expected)
    count = result["event_count"]
    # What was skipped, of whoever: on kernels that let programs of system calls be preempted, some of every storm is.
    most = count + (result.get("missed") or 0)
    return {
        "kernel": short(machine.release),
        "target": probe["target"],
        "type": probe["type"],
        "attached_to": result.get("attached_to", []),
        "truth": truth,
        "expected": expected,
        "event_count": count,
        "missed": result.get("missed"),
        "ok": "error" not in result and low <= most and count <= high <= 2 * low and low >= probe["at_least"],
        "release": machine.release,
        **({"error": result["error"]} if "error" in result else {}),
    }


def short(release: str) -> str:
    """6.1 of 6.1.0-32-amd64."""
    return ".".join(release.split(".")[:2])


@pytest.mark.parametrize("name", PROBES)
def test_what_is_counted_is_what_happened(measured: dict[str, dict[str, Any]], name: str) -> None:
    result, line = measured[name]["result"], measured[name]["row"]
    print(json.dumps({**result, "events": result["events"][:3]}, indent=1))
    assert "error" not in result
    assert line["ok"], line


@pytest.mark.parametrize("name", PROBES)
def test_events_carry_what_was_done(measured: dict[str, dict[str, Any]], machine: Reached, name: str) -> None:
    probe, result = PROBES[name], measured[name]["result"]
    assert "error" not in result
    data = [event["data"] for event in result["events"]]
    print(json.dumps(data[:20], indent=1))
    assert data
    children = json.loads(machine.ssh("cat /tmp/harvest-children").stdout)
    for wanted in probe.get("seen", []):
        assert any(matches(one, wanted, children) for one in data), wanted
    for key, pattern in probe.get("every", {}).items():
        others = [one.get(key) for one in data if not re.fullmatch(pattern, str(one.get(key)))]
        assert others == [], key
    for syscall, count in probe.get("by_syscall", {}).items():
        assert result["by_syscall"][syscall] == count
    if probe["count"] != INTERRUPTS:
        assert all(event["process_name"].startswith(MATRIX["workload"]["name"]) for event in result["events"])


def matches(data: dict[str, Any], wanted: dict[str, Any], children: list[int]) -> bool:
    """Whether an event has all of it. CHILD: the number of a process that the work made."""
    return all(
        data.get(key) in children if value == "CHILD" else data.get(key) == value for key, value in wanted.items()
    )


def test_nothing_is_left_in_the_kernel(measured: dict[str, dict[str, Any]], machine: Reached) -> None:
    assert tracing_programs(machine) == []
    assert machine.ssh("cat /sys/kernel/tracing/kprobe_events").stdout == ""
    assert machine.ssh("cat /sys/kernel/debug/kprobes/list").stdout == ""
