# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions drawn at random from those that a workload calls: attached, counted, their arguments shown by name."""

from __future__ import annotations

import contextlib
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from fixtures import Playbook
from machines import Reached
from truth import Perf, counted_events, forget_events
from workload import gated, hear, process, say

from playbooks import Ansible

NAME = "reaper"
DRAWN, SECONDS = 7, 40
WORK = """
import subprocess
for turn in range(30):
    subprocess.run(['true'])
    for path in ('/etc/hosts', '/proc/self/maps', '/tmp/reaper-sheaf'):
        with open(path, 'a+' if 'sheaf' in path else 'r') as file: file.read()
    with socket.create_server(('127.0.0.1', 0)) as listener:
        with socket.create_connection(listener.getsockname()) as client: client.sendall(b'x')
"""
# What ftrace's own profiler saw every CPU call.
PROFILED = r"""
cd /sys/kernel/tracing && echo 1 > function_profile_enabled && {work}; echo 0 > function_profile_enabled
cat trace_stat/function*
"""
# `[123] FUNC 'vfs_read' type_id=122 linkage=static`, and `[122] FUNC_PROTO '(anon)' ret_type_id=8 vlen=4` with a line
# for each parameter.
_PROTOTYPE = re.compile(r"^\[(\d+)\] FUNC_PROTO .*vlen=(\d+)((?:\n\t'.*)*)", re.MULTILINE)
_FUNCTION = re.compile(r"^\[\d+\] FUNC '(\w+)' type_id=(\d+)", re.MULTILINE)


def parameters(machine: Reached) -> dict[str, list[str]]:
    """The names of the parameters of every function of which there is one, as bpftool reads them."""
    dumped = machine.ssh("bpftool btf dump file /sys/kernel/btf/vmlinux", seconds=300).stdout
    prototypes = {number: re.findall(r"\n\t'(\w+)'", lines) for number, _count, lines in _PROTOTYPE.findall(dumped)}
    functions: dict[str, list[str]] = {}
    doubled = set()
    for name, number in _FUNCTION.findall(dumped):
        doubled |= {name} if name in functions else set()
        functions[name] = prototypes.get(number, [])
    return {name: names for name, names in functions.items() if name not in doubled and 1 <= len(names) <= 6}


def called(machine: Reached) -> list[str]:
    """Functions that the work calls neither rarely nor all the time."""
    machine.ssh("cat > /tmp/reaper.py", gated(NAME, WORK))
    listed = machine.ssh(PROFILED.format(work="printf 'go\\nend\\n' | python3 /tmp/reaper.py > /dev/null"), seconds=600)
    counts: Counter[str] = Counter()
    for line in listed.stdout.splitlines():
        words = line.split()  # function, hits, and times; a table for each CPU
        if len(words) > 2 and words[1].isdigit():
            counts[words[0]] += int(words[1])
    return sorted(name for name, count in counts.items() if 20 <= count <= 20_000)


def draw(machine: Reached, allowed: Callable[[str], bool]) -> list[str]:
    seed = time.time_ns()
    found = [name for name in called(machine) if allowed(name)]
    print(f"seed {seed}, {len(found)} functions")
    return random.Random(seed).sample(found, DRAWN)


@pytest.fixture(scope="module")
def traced(
    machine: Reached, ansible: Ansible, set_up: list[str], tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[list[str], int, dict[str, Any]]]:
    """For each function drawn the names of its parameters, how often perf saw it, and the result."""
    folder = tmp_path_factory.mktemp("random")
    known = parameters(machine)
    drawn = draw(machine, lambda name: name in known)
    programs = [
        {"name": name, "type": "kprobe", "target": name, "filters": {"comm": f"{NAME}*"}, "duration": SECONDS}
        for name in drawn
    ]
    trace = {"programs": programs, "max_cpu_share": 0}
    tasks: list[dict[str, Any]] = [
        {"nannyapi.diagnostics.ebpf_trace": trace, "become": True, "register": "trace"},
        {
            "ansible.builtin.copy": {"content": "{{ trace | to_json }}", "dest": str(folder / "result.json")},
            "delegate_to": "localhost",
        },
    ]
    (folder / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    events = counted_events(machine, {name: {"type": "kprobe", "count": [name]} for name in drawn})
    filtered = f'comm ~ "{NAME}*"'
    try:
        with (
            process(machine, gated(NAME, WORK), "reaper") as running,
            contextlib.closing(Perf(machine, "random", list(events.values()), "-a", filtered)) as perf,
        ):
            hear(running)
            with Playbook(ansible, str(folder / "play.yml"), {}) as playbook:
                playbook.await_text(f"tracing {DRAWN} probes")
                say(running, "go")
                assert hear(running) == "done"
                time.sleep(2)  # until it waits for its second gate
                counts = perf.stop()
                printed = playbook.finish()
                assert playbook.status == 0, printed
    finally:
        forget_events(machine)
    found = json.loads((folder / "result.json").read_text())["ebpf_results"].values()
    results = {result["program_name"]: result for result in found}
    return [(known[name], counts[events[name]], results[name]) for name in drawn]


def test_functions_drawn_at_random_are_counted(traced: list[tuple[list[str], int, dict[str, Any]]]) -> None:
    for _names, expected, result in traced:
        print(json.dumps({**result, "events": result["events"][:2]}, indent=1))
        assert "error" not in result
        assert result["event_count"] + result["own_events"] == expected, result["target"]


def test_functions_drawn_at_random_show_their_arguments_by_name(
    traced: list[tuple[list[str], int, dict[str, Any]]],
) -> None:
    assert any(result["events"] for _names, _expected, result in traced)
    for names, _expected, result in traced:
        for event in result["events"]:
            assert set(names) <= set(event["data"]), (result["target"], names)
