# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Side by side with the tools that people know: the same events, none missing, none extra."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fixtures import Playbook
from machines import Reached
from plays import kept, write_trace
from workload import gated, hear, process, say

from playbooks import Ansible

CASES: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "cases" / "tools.yml").read_text())
TOOLS: dict[str, dict[str, Any]] = CASES["tools"]
# The tools of this release are made for its kernel.
ONLY_KERNELS = ("6.1",)

# Most of them are compiled when they start, with headers that take an emulated processor minutes.
_START_SECONDS = 1200


class Tool:
    """A tool that runs on the machine; what it says is in a file there."""

    def __init__(self, machine: Reached, name: str, case: dict[str, Any]) -> None:
        self._machine = machine
        self.case = case
        self.output = f"/tmp/{name}.txt"
        if "script" in case:
            machine.ssh("cat > /tmp/plum.bt", case["script"])
        self._running = subprocess.Popen(
            machine.ssh_command(f"PYTHONUNBUFFERED=1 exec {case['command']} > {self.output} 2>&1"),
            stdin=subprocess.DEVNULL,
        )

    def said(self) -> str:
        return self._machine.ssh(f"cat {self.output}").stdout

    def events(self) -> Counter[str]:
        """What it saw of the work."""
        found = (re.match(self.case["pattern"], line) for line in map(str.rstrip, self.said().splitlines()))
        return Counter(self.case["event"].format(**match.groupdict()) for match in found if match)

    def close(self) -> None:
        """Ends it on the machine, and the connection."""
        self._machine.ssh("pkill -KILL -f '[b]pfcc'; pkill -KILL -x bpftrace")
        self._running.kill()
        self._running.wait()


@pytest.fixture(scope="session")
def seen(
    machine: Reached, ansible: Ansible, able: None, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Counter[str], dict[str, Any]]]:
    """By tool: what it saw, and our result."""
    folder = tmp_path_factory.mktemp("tools")
    work = CASES["workload"]
    body = gated(work["name"], work["body"])
    machine.ssh("cp /bin/true /tmp/plum-child; mkdir -p /tmp/plums")
    with contextlib.ExitStack() as ending:
        tools: dict[str, Tool] = {}
        # One after another: each takes much memory while it is compiled.
        for name, case in TOOLS.items():
            tools[name] = ending.enter_context(contextlib.closing(Tool(machine, name, case)))
            rehearse(machine, body, tools[name])
        ending.callback(quiet_disk(machine))
        before = {name: tool.events() for name, tool in tools.items()}
        running = ending.enter_context(process(machine, body, "plum"))
        pid = int(hear(running))
        path = write_trace(folder, requests(), max_events=500)  # all of the events
        playbook = ending.enter_context(Playbook(ansible, path, {}))
        playbook.await_text("tracing ")
        say(running, "go")
        assert hear(running) == "done"
        playbook.finish()
        assert playbook.status == 0
        machine.ssh("pkill -INT -f '[b]pfcc'; pkill -INT -x bpftrace; sleep 5")  # they say what they still have
        after = {name: tool.events() - before[name] for name, tool in tools.items()}
        print(pid, {name: tool.said()[-2000:] for name, tool in tools.items()})
    results = kept(folder)
    return {name: (after[name], results[name]) for name in TOOLS}


def quiet_disk(machine: Reached) -> Callable[[], object]:
    """Has what was written before go to the disk now, and nothing but what the work writes; how that is undone.

    A sample has room for all that the work does, and not for all that a machine writes that was just set up.
    """
    held = machine.ssh("sysctl -n vm.dirty_writeback_centisecs").stdout.strip()
    made = machine.ssh("sync; sysctl -qw vm.dirty_writeback_centisecs=0 && mount -o remount,commit=600 /; sync")
    assert made.returncode == 0, made.stderr
    return lambda: machine.ssh(f"sysctl -qw vm.dirty_writeback_centisecs={held}; mount -o remount,commit=0 /")


def rehearse(machine: Reached, body: str, tool: Tool) -> None:
    """Has the work done until the tool has seen some of it: then it is attached."""
    until = time.monotonic() + _START_SECONDS
    while not tool.events():
        assert time.monotonic() < until, tool.said()
        with process(machine, body, "rehearsal") as running:
            hear(running)
            say(running, "go")
            hear(running)
        time.sleep(10)  # it says what it saw a moment later


def requests() -> list[dict[str, Any]]:
    """What the tools trace."""
    seconds = CASES["workload"]["seconds"]
    return [{"name": name, **case["program"], "duration": seconds} for name, case in TOOLS.items()]


def flat(event: dict[str, Any]) -> dict[str, Any]:
    """An event's own keys and those of its data. `descriptor`: what opening gave, -1 where it failed."""
    data = event["data"]
    return {**event, **data, "descriptor": -1 if "error" in data else data.get("result")}


@pytest.mark.parametrize("name", TOOLS)
def test_the_tool_and_the_collection_see_the_same_events(
    seen: dict[str, tuple[Counter[str], dict[str, Any]]], name: str
) -> None:
    case, (theirs, result) = TOOLS[name], seen[name]
    print(json.dumps({**result, "events": result["events"][:3]}, indent=1))
    assert "error" not in result
    ours = Counter(case["ours"].format(**flat(event)) for event in result["events"])
    ours = Counter({event: count for event, count in ours.items() if re.search(case.get("only", ""), event)})
    assert result["events_not_carried"] == 0
    assert sum(theirs.values()) == case["count"], theirs
    assert ours == theirs
    if "only" not in case:
        assert result["event_count"] == case["count"]
