# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task of this collection takes beside one of Ansible's own, on a host that is reached by ssh."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hosts import Host, inventory, make_keys

ROOT = Path(__file__).resolve().parents[2]
TRACE = {"programs": [{"name": "execs", "target": "sched/sched_process_exec", "duration": 1}]}


def pairs(rounds: int) -> list[tuple[float, float]]:
    """Seconds of a trace of one second, and of a command that sleeps for one; the first of each is not counted."""
    tasks: list[dict[str, Any]] = []
    for _round in range(rounds + 1):
        tasks += [
            {"name": "ours", "nannyapi.diagnostics.ebpf_trace": TRACE},
            {"name": "peer", "ansible.builtin.command": "sleep 1"},
        ]
    with tempfile.TemporaryDirectory() as name, contextlib.closing(Host("bench", 9, make_keys(Path(name)))) as host:
        folder = Path(name)
        (folder / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        subprocess.run(
            [
                str(Path(sys.executable).with_name("ansible-playbook")),
                "-i",
                str(inventory(folder, {"bench": host.address})),
                str(folder / "play.yml"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "src"),
                "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).with_name("callbacks")),
                "ANSIBLE_CALLBACKS_ENABLED": "bench_times",
                "BENCH_TIMES": str(folder / "times"),
            },
        )
        lines = [json.loads(line) for line in (folder / "times").read_text().splitlines()]
    took = {name: [line["seconds"] for line in lines if line["task"] == name] for name in ("ours", "peer")}
    return list(zip(took["ours"], took["peer"]))[1:]
