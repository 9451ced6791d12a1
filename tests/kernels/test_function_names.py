# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of probes on functions, held against what Debian's kernels say themselves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from machines import Machine

REPOSITORY = Path(__file__).resolve().parents[2]
ROOM = Path("plugins/module_utils/ebpf")
SEED = 2026
CAUSES = ("notrace", "blacklist", "several functions have this name", "this kernel has no function")


def test_the_kernel_takes_a_probe_on_a_function_exactly_where_we_say_so(machine: Machine, tmp_path: Path) -> None:
    place = tmp_path / "ansible_collections" / "nannyapi" / "diagnostics" / ROOM
    shutil.copytree(REPOSITORY / ROOM, place, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).with_name("function_verdicts.py"), tmp_path)
    machine.put(tmp_path, "/tmp/verdicts")
    machine.ssh("mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug")
    said = machine.ssh(f"python3 /tmp/verdicts/function_verdicts.py /tmp/verdicts 160 {SEED}", seconds=600)
    assert said.returncode == 0, said.stderr
    verdicts = json.loads(said.stdout)
    wrong = [verdict for verdict in verdicts if verdict["predicted"] is bool(verdict["error"])]
    assert wrong == []
    refused = [verdict for verdict in verdicts if verdict["error"]]
    assert 10 < len(refused) < len(verdicts) - 10
    reasons = [verdict["reason"] for verdict in refused if "reason" in verdict]
    assert len(reasons) > 1
    assert [reason for reason in reasons if not any(cause in reason for cause in CAUSES)] == []
