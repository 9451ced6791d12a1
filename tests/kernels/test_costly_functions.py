# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A function that is called all the time: its probe is thinned or detached, says so, and its counts are true."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from fixtures import Playbook
from machines import Reached
from plays import kept, write_trace
from truth import Perf
from workload import gated, hear, process, say

from playbooks import Ansible

NAME, SECONDS, COUNTED = "thrasher", 25, "syscalls:sys_enter_read"
WORK = """
zero = os.open('/dev/zero', os.O_RDONLY)
until = time.monotonic() + 12
while time.monotonic() < until: os.read(zero, 1)
"""


@pytest.fixture(scope="module")
def traced(
    machine: Reached, ansible: Ansible, set_up: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, dict[str, Any]]:
    """How often perf saw the process read, and the result of the trace.

    What perf counts is the system call, which calls the function once: a kprobe in the function itself would slow it.
    """
    folder = tmp_path_factory.mktemp("costly")
    wanted = {"name": "reads", "type": "kretprobe", "target": "vfs_read", "filters": {"comm": NAME}}
    path = write_trace(folder, [{**wanted, "duration": SECONDS}], max_cpu_share=0.02)
    with (
        process(machine, gated(NAME, WORK), NAME) as running,
        contextlib.closing(Perf(machine, "costly", [COUNTED], f"-p {int(hear(running))}")) as perf,
        Playbook(ansible, path, {}) as playbook,
    ):
        playbook.await_text("tracing 1 probes")
        say(running, "go")
        assert hear(running) == "done"
        counts = perf.stop()
        printed = playbook.finish()
        assert playbook.status == 0, printed
    (result,) = kept(folder).values()
    print(json.dumps({**result, "events": result["events"][:2]}, indent=1))
    return counts[COUNTED], result


def test_it_is_thinned_and_says_so(traced: tuple[int, dict[str, Any]]) -> None:
    _counted, result = traced
    assert 0 < result["thinned_after_s"] < SECONDS
    assert any("only counted" in note for note in result["notes"])
    assert result["cost"]["cpu_share"] > 0


def test_what_it_counted_is_true(traced: tuple[int, dict[str, Any]]) -> None:
    counted, result = traced
    seen = result["event_count"] + result["returns_missed"]
    if "detached_after_s" in result:
        assert 0 < seen < counted
        assert result["duration_s"] < SECONDS - 1
    else:
        assert seen + result["in_flight"]["count"] == counted  # in the end it waits for a word
