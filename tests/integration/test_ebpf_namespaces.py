# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the target is a container, only its own processes count, under its own pids."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

from conftest import REPOSITORY, Workload

INSIDE = f"""
import json, os, pathlib, subprocess, sys
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import Tracer

OPENS = "import os, sys; sys.argv[1:] and sys.stdin.readline()\\n"
OPENS += "for n in range(100): os.close(os.open('/etc/hosts', 0))"
other = subprocess.Popen([sys.executable, "-c", OPENS, "wait"], stdin=subprocess.PIPE)

def work(event):
    if event["stage"] == "trace_running":
        print("tracing", flush=True)
        other.communicate(b"go")
        subprocess.run([sys.executable, "-c", OPENS])
        sys.stdin.readline()

bundle = Bundle.from_directory(pathlib.Path({str(REPOSITORY / "bpf")!r}))
program = {{"type": "tracepoint", "target": "syscalls/sys_enter_openat", "duration": 2}}
(result,) = Tracer(bundle).run([program], work).values()
print(json.dumps([result, other.pid]))
"""


def test_a_container_sees_itself_only_and_by_its_own_pids(workload: Callable[..., Workload]) -> None:
    outside = workload("for _ in range(5000): os.close(os.open('/etc/hosts', 0))", "outside")
    inside = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", INSIDE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=str(REPOSITORY / ".cache" / "src")),
        text=True,
    )
    assert inside.stdin is not None
    assert inside.stdout is not None
    assert inside.stdout.readline() == "tracing\n"
    outside.work()
    output, _errors = inside.communicate("done\n", timeout=60)
    result, other = json.loads(output)
    counted = {entry["process_id"]: entry["count"] for entry in result["by_process"]}
    assert other < 20
    assert counted[other] >= 100
    assert max(counted) < 50
    assert all(entry["process_name"] != "outside" for entry in result["by_process"])
    assert any("PID namespace" in note for note in result["notes"])
