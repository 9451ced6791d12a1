# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same measurements in a virtual machine with one of Debian's kernels, by the same bench.py over there."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from machines import Machine, boot
from table import Row

ROOT = Path(__file__).resolve().parents[2]
_PLACE = "/root/src"
_THERE = f"{_PLACE}/ansible_collections/nannyapi/diagnostics"


def measured(kernel: str, arguments: list[str]) -> list[Row]:
    """The rows of bench.py with `arguments`, run in a machine. Raises MachineError, CalledProcessError."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, boot(kernel, Path(folder)) as machine:
        for part in ("plugins", "bpf", "tests/bench"):
            machine.put(ROOT / part, f"{_THERE}/{part}")
        command = f"cd {_THERE} && PYTHONPATH={_PLACE} python3 tests/bench/bench.py {' '.join(arguments)}"
        # What it says of its progress goes to our own output.
        subprocess.run(machine.ssh_command(command), stdin=subprocess.DEVNULL, check=True)
        return _rows(machine)


def _rows(machine: Machine) -> list[Row]:
    written = json.loads(machine.ssh(f"cat {_THERE}/reports/bench.json").stdout)
    return [replace(Row(**row), where=f"virtual machine, Linux {machine.release}") for row in written]
