# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module diagnose as Ansible runs it on a host, many at once: each has a /run and records of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

REPOSITORY = Path(__file__).resolve().parents[2]
_MODULE = "ansible_collections.nannyapi.diagnostics.plugins.modules.diagnose"
_UNSHARED = ("unshare", "--mount", "--propagation", "private")
# The lock of the host is in /run: each of these is a host of its own in this.
_APART = (
    "mkdir -p /var/lib/nannyapi /var/log/nannyapi"
    ' && for place in /run /var/log/nannyapi; do mount -t tmpfs -o mode=0755 none "$place" || exit; done'
    ' && mount --bind "$1" /var/lib/nannyapi && shift && exec "$@"'
)


@dataclass(frozen=True)
class Ended:
    """How a run of the module ended. `record` is the content of its record, None where there is none."""

    exit: int
    result: dict[str, Any]
    stderr: str
    record: Optional[dict[str, Any]]
    record_name: Optional[str]


def diagnose(arguments: dict[str, Any], folder: Path, seconds: float, environment: dict[str, str]) -> Ended:
    """Runs the module with the records in `folder`. Raises subprocess.TimeoutExpired after `seconds`."""
    folder.mkdir(parents=True)
    given = {"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_remote_tmp": str(folder / "tmp")}}
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [*_UNSHARED, "sh", "-c", _APART, "sh", str(folder), sys.executable, "-m", _MODULE],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env={**kept, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        cwd="/",
    )
    record = next(iter(sorted((folder / "diagnostics").glob("*.json"))), None)
    return Ended(
        done.returncode,
        json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {},
        done.stderr,
        json.loads(record.read_text()) if record else None,
        record.name if record else None,
    )
