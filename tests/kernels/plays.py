# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The play of a test that traces a machine: the task, and what came of it kept on this side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_trace(folder: Path, programs: list[dict[str, Any]], keep_errors: bool = False, **options: Any) -> str:
    """Writes a play that traces `programs` with options of ebpf_trace, and gives its path.

    There is no limit to what they cost unless one is given: on an emulated processor every program takes many times
    what it takes on a real one. `keep_errors`: also where some could not be attached.
    """
    trace = {"programs": programs, "max_cpu_share": 0, **options}
    copy = {"content": "{{ trace | to_json }}", "dest": str(folder / "result.json")}
    tasks: list[dict[str, Any]] = [
        {
            "nannyapi.diagnostics.ebpf_trace": trace,
            "become": True,
            "register": "trace",
            "ignore_errors": keep_errors,
        },
        {"ansible.builtin.copy": copy, "delegate_to": "localhost"},
    ]
    path = folder / "play.yml"
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    return str(path)


def kept(folder: Path) -> dict[str, dict[str, Any]]:
    """The results that the play has kept, by the programs' names."""
    found = json.loads((folder / "result.json").read_text())["ebpf_results"].values()
    return {result["program_name"]: result for result in found}
