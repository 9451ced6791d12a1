# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traces are killed at random moments, a thousand times, and nothing of them is left in the kernel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from machines import Reached

from playbooks import Ansible

ONLY_KERNELS = ("6.1",)

SEED = 20261122
SECONDS = 4 * 3600
# Every way of attaching: what has more arguments than registers is attached by kprobe and kretprobe.
PROGRAMS = [
    {"name": "calls", "type": "tracepoint", "target": "syscalls/sys_enter_*", "duration": 1},
    {"name": "switches", "type": "tracepoint", "target": "sched/sched_switch", "duration": 1},
    {"name": "reads", "type": "kprobe", "target": "vfs_read", "duration": 1},
    {"name": "sent", "type": "kretprobe", "target": "tcp_sendmsg", "duration": 1},
    {"name": "mapped", "type": "kretprobe", "target": "do_mmap", "duration": 1},
]
HERE = Path(__file__).parent


def test_a_thousand_traces_killed_at_random_moments_leave_nothing(
    machine: Reached, built: Ansible, able: None, request: pytest.FixtureRequest
) -> None:
    rounds = request.config.getoption("--rounds")
    machine.put(built.collections, "/opt/collections")
    machine.ssh("cat > /opt/rounds.py", (HERE / "rounds.py").read_text())
    ran = machine.ssh(
        f"PYTHONPATH=/opt/collections python3 /opt/rounds.py {rounds} {SEED}", json.dumps(PROGRAMS), SECONDS
    )
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout.splitlines()[-1])
    print(said)
    assert said["left"] == []
    assert said["attached"] == ["fentry", "fexit", "kprobe", "kretprobe", "raw_tracepoint", "tracepoint"]
    assert said["with_kprobes"] > rounds / 50, said
    # They were random: each part of a trace's life was met often.
    assert all(said["moments"][moment] > rounds / 50 for moment in ("preparing", "loading", "attached", "ended")), said
