# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions drawn at random from those that a workload calls: attached, counted, their arguments shown by name."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import random
import re
import time
from collections import Counter
from typing import Any, NamedTuple

import pytest
from conftest import REPOSITORY
from fixtures import Playbook
from machines import Reached
from plays import kept, write_trace
from truth import Perf, counted_events, forget_events, passed_over
from workload import gated, hear, process, say

from playbooks import Ansible

NAME = "reaper"
DRAWN, SECONDS = 7, 40
WORK = """
import subprocess
for turn in range({turns}):
    subprocess.run(['true'])
    for path in ('/etc/hosts', '/proc/self/maps', '/tmp/reaper-sheaf'):
        with open(path, 'a+' if 'sheaf' in path else 'r') as file: file.read()
    with socket.create_server(('127.0.0.1', 0)) as listener:
        with socket.create_connection(listener.getsockname()) as client: client.sendall(b'x')
"""
TURNS = 30
# ftrace's own function tracer follows a process and its children, through some functions: through all of them, an
# emulated machine would stand still.
_FOLLOW = """cd /sys/kernel/tracing && echo 20000 > buffer_size_kb && echo 1 > options/function-fork &&
cat > set_ftrace_filter && echo {pid} > set_ftrace_pid && echo > trace && echo function > current_tracer"""
# `  reaper-712  [000] .....  95.321: vfs_read <-ksys_read`
_FOLLOWED = r"""cd /sys/kernel/tracing && sed -nE 's/.*: ([^ :]+) <-.*/\1/p' trace | sort | uniq -c"""
_UNFOLLOW = """cd /sys/kernel/tracing; echo nop > current_tracer; echo > set_ftrace_pid; echo > set_ftrace_filter
echo 0 > options/function-fork; echo 1000 > buffer_size_kb"""
FOLLOWED = 2000
# `[123] FUNC 'vfs_read' type_id=122 linkage=static`, and `[122] FUNC_PROTO '(anon)' ret_type_id=8 vlen=4` with a line
# for each parameter.
_PROTOTYPE = re.compile(r"^\[(\d+)\] FUNC_PROTO .*vlen=(\d+)((?:\n\t'.*)*)", re.MULTILINE)
_FUNCTION = re.compile(r"^\[\d+\] FUNC '(\w+)' type_id=(\d+)", re.MULTILINE)


class Traced(NamedTuple):
    """A function: the names of its parameters, how often perf saw it, how often perf's kprobe was in another one's way
    (in an interrupt, while that was looked at), and our result."""

    parameters: list[str]
    seen: int
    passed_over: int
    result: dict[str, Any]


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


def called(machine: Reached, possible: dict[str, int]) -> list[str]:
    """Those of some functions that one turn of the work calls, and not all the time; `possible`: ftrace's numbers."""
    counts: dict[str, int] = {}
    try:
        with process(machine, gated(NAME, WORK.replace("{turns}", "1")), "reaper") as running:
            followed = machine.ssh(
                _FOLLOW.format(pid=int(hear(running))), " ".join(map(str, possible.values())), seconds=300
            )
            assert followed.returncode == 0, followed.stderr
            say(running, "go")
            assert hear(running) == "done"
            for line in machine.ssh(_FOLLOWED, seconds=300).stdout.splitlines():
                count, name = line.split()
                counts[name] = int(count)
    finally:
        machine.ssh(_UNFOLLOW)
    return sorted(name for name, count in counts.items() if name in possible and count <= 600)


def draw(machine: Reached, known: dict[str, list[str]]) -> list[str]:
    """Functions that ftrace can follow and that are known by their parameters, and called."""
    seed = time.time_ns()
    drawn = random.Random(seed)
    listed = machine.ssh("cut -d' ' -f1 /sys/kernel/tracing/available_filter_functions").stdout.split()
    refused = json.loads((REPOSITORY / "bpf" / "types" / "targets.json").read_text())["run_by_programs"]
    known = {name: names for name, names in known.items() if not any(fnmatch.fnmatchcase(name, one) for one in refused)}
    twice = {name for name, count in Counter(listed).items() if count > 1}
    possible = {name: at for at, name in enumerate(listed, 1) if name in known and name not in twice}
    found: list[str] = []
    print(f"seed {seed}, of {len(possible)} functions")
    for _attempt in range(5):
        some = dict(drawn.sample(sorted(possible.items()), FOLLOWED))
        found += [name for name in called(machine, some) if name not in found]
        if len(found) >= DRAWN:
            return drawn.sample(found, DRAWN)
    raise AssertionError(f"of {5 * FOLLOWED} functions the work calls only {found}")


@pytest.fixture(scope="module")
def traced(
    machine: Reached, ansible: Ansible, set_up: list[str], tmp_path_factory: pytest.TempPathFactory
) -> list[Traced]:
    """For each function that was drawn."""
    folder = tmp_path_factory.mktemp("random")
    known = parameters(machine)
    drawn = draw(machine, known)
    programs = [
        {"name": name, "type": "kprobe", "target": name, "filters": {"comm": f"{NAME}*"}, "duration": SECONDS}
        for name in drawn
    ]
    path = write_trace(folder, programs)
    events = counted_events(machine, {name: {"type": "kprobe", "count": [name]} for name in drawn})
    filtered = f'comm ~ "{NAME}*"'
    try:
        with process(machine, gated(NAME, WORK.replace("{turns}", str(TURNS))), "reaper") as running:
            hear(running)  # to say so it wakes somebody, which perf is not to count
            with (
                contextlib.closing(Perf(machine, "random", list(events.values()), "-a", filtered)) as perf,
                Playbook(ansible, path, {}) as playbook,
            ):
                playbook.await_text(f"tracing {DRAWN} probes")
                say(running, "go")
                assert hear(running) == "done"
                time.sleep(2)  # until it waits for its second gate
                counts = perf.stop()
                passed = passed_over(machine)
                printed = playbook.finish()
                assert playbook.status == 0, printed
    finally:
        forget_events(machine)
    results = kept(folder)
    return [Traced(known[name], counts[events[name]], passed.get(events[name], 0), results[name]) for name in drawn]


def test_functions_drawn_at_random_are_counted(traced: list[Traced]) -> None:
    for one in traced:
        result = one.result
        print(json.dumps({**result, "events": result["events"][:2]}, indent=1))
        assert "error" not in result
        counted = result["event_count"] + result["own_events"]
        assert counted <= one.seen + one.passed_over, (result["target"], counted, one.seen, one.passed_over)
        # Before Linux 6.7 the kernel does not say how often it skipped the program of a kprobe. The result says so.
        assert counted + result["missed"] >= one.seen or not result["exact"], (result["target"], counted, one.seen)
        assert counted + result["missed"] >= one.seen * 0.9, (result["target"], counted, one.seen)
    # What was called in one turn of the work may, for once, not be called in the others: a process that ends late.
    called = [one.result["target"] for one in traced if one.seen]
    assert len(called) > DRAWN / 2, called


def test_functions_drawn_at_random_show_their_arguments_by_name(traced: list[Traced]) -> None:
    assert any(one.result["events"] for one in traced)
    for one in traced:
        for event in one.result["events"]:
            assert set(one.parameters) <= set(event["data"]), (one.result["target"], one.parameters)
