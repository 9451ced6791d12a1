# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Diagnoses in a process of their own, as the module does them: a line of JSON in, a line of JSON out.

The process is one of its own so that what a test does on the host is not taken for the diagnosis's own doing. A line
says also which of the two defences stand, and what a trace or this host's name says where no host can be made to.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from ansible_collections.nannyapi.diagnostics.plugins.module_utils import collecting, diagnosis
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import Tracer
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.evidence import outputs, system
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.injection.echo import Evidence
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import Layer
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.ending import Ending

BPF = Path(__file__).resolve().parents[3] / "bpf"


def main() -> None:
    bundle = Bundle.from_directory(BPF)
    for line in sys.stdin:
        print(json.dumps(_diagnosed(bundle, json.loads(line))), flush=True)


def _diagnosed(bundle: Bundle, told: dict[str, Any]) -> dict[str, Any]:
    options = diagnosis.Options(
        issue=told["issue"],
        rounds=3,
        seconds=120,
        trace_seconds=5,
        command_seconds=20,
        output_bytes=65536,
        lock_timeout=600,
        bundle=bundle,
        parameters=Layer("gullible", told["endpoint"], None),
    )
    run = Tracer.run

    def traced(tracer: Tracer, *arguments: Any) -> dict[str, dict[str, Any]]:
        results = run(tracer, *arguments)
        for result in results.values():
            result.update(told["traced"])
        return results

    with mock.patch.object(Tracer, "run", traced):
        if told["hostname"]:
            with mock.patch.object(system.socket, "gethostname", return_value=told["hostname"]):
                return _run(options, told["defences"])
        return _run(options, told["defences"])


def _run(options: diagnosis.Options, defences: list[str]) -> dict[str, Any]:
    def unmarked(value: Any, _kept: Any = ()) -> tuple[Any, dict[str, int]]:
        return value, {}

    patches = []
    if "marks" not in defences:
        patches += [mock.patch.object(room, "marked", unmarked) for room in (outputs, collecting)]
    if "echo" not in defences:
        patches.append(mock.patch.object(Evidence, "problem", return_value=None))
    for patch in patches:
        patch.start()
    try:
        return diagnosis.run(options, Ending(), lambda event: None)
    except diagnosis.DiagnosisError as error:
        return {**error.result, "msg": str(error)}
    finally:
        for patch in patches:
            patch.stop()


if __name__ == "__main__":
    main()
