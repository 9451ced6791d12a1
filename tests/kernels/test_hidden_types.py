# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What calls of functions show is the same whether the kernel describes its types or its headers do."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from fixtures import Playbook
from hiding import without_types
from machines import Reached
from plays import kept, write_trace
from workload import gated, hear, process, say

from playbooks import Ansible

# Those whose headers are on the machine.
ONLY_KERNELS = ("6.1", "6.12")

NAME = "sower"
WORK = """
listener = socket.create_server(('127.0.0.1', 4323))
for _ in range(5):
    with socket.create_connection(('127.0.0.1', 4323)) as client:
        client.sendall(b'corn')
        listener.accept()[0].close()
here = os.open('/etc/hostname', os.O_RDONLY)
for number in range(5): os.pread(here, 8, number)
for _ in range(3): os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)
for _ in range(4):
    if os.fork() == 0: os._exit(0)
    os.wait()
"""
PROGRAMS = {
    "connecting": {"type": "kprobe", "target": "tcp_connect"},
    "sending": {"type": "kretprobe", "target": "tcp_sendmsg"},
    "reading": {"type": "kretprobe", "target": "vfs_read"},
    "cloning": {"type": "kretprobe", "target": "kernel_clone"},
}
SECONDS = 30
# What differs each time: addresses in memory, ports that the kernel picks, times, results that are process IDs.
_ADDRESS, _PORT = re.compile(r"0x[0-9a-f]{9,16}"), re.compile(r":(?:3[2-9]|4\d|5\d|6[0-5])\d{3}\b")
_TIMES = ("duration_us", "elapsed_us")


def shown(result: dict[str, Any]) -> list[str]:
    """What the events of a result show, without what differs from one time to the next."""
    found = set()
    for event in result["events"]:
        data = {name: value for name, value in event["data"].items() if name not in _TIMES}
        if result["target"] == "kernel_clone" and data.get("result", 0) > 0:
            data["result"] = "a process"
        found.add(_PORT.sub(":port", _ADDRESS.sub("address", json.dumps(data, sort_keys=True))))
    return sorted(found)


@pytest.fixture(scope="module")
def traced(
    machine: Reached, ansible: Ansible, set_up: list[str], tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """Results by name, with the kernel's types and without."""
    both = []
    for hidden in (False, True):
        folder = tmp_path_factory.mktemp("types")
        with without_types(machine, hidden), process(machine, gated(NAME, WORK), NAME) as running:
            pid = int(hear(running))
            programs = [
                {"name": name, **program, "filters": {"pid": pid}, "duration": SECONDS}
                for name, program in PROGRAMS.items()
            ]
            with Playbook(ansible, write_trace(folder, programs), {}) as playbook:
                playbook.await_text(f"tracing {len(PROGRAMS)} probes")
                say(running, "go")
                assert hear(running) == "done"
                printed = playbook.finish()
                assert playbook.status == 0, printed
        both.append(kept(folder))
    return both


@pytest.mark.parametrize("name", PROGRAMS)
def test_events_show_the_same_with_types_and_without(traced: list[dict[str, Any]], name: str) -> None:
    typed, hidden = (results[name] for results in traced)
    for result in (typed, hidden):
        print(json.dumps({**result, "events": result["events"][:3]}, indent=1))
    # By fentry and by kprobe: it was another program that showed it.
    assert {way.partition(":")[0] for way in typed["attached_to"]} <= {"fentry", "fexit"}
    assert {way.partition(":")[0] for way in hidden["attached_to"]} <= {"kprobe", "kretprobe"}
    assert typed["event_count"] == hidden["event_count"] > 0
    assert shown(typed) == shown(hidden)
    assert typed.get("by_result") == hidden.get("by_result")
