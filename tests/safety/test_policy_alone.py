# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy as the only fence: its rates, and that hostile lines which pass it do no harm when they are really run.

Each line is judged again in tests/unit; here is what takes longer and what goes into the report.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import corpus
import pytest
from report import merge

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands import kinds
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.launch import Unsandboxed
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.runner import Limits, run_commands

POLICY = Policy.default()
SECONDS = 5.0
MARKER, KEEP = Path("/tmp/marker"), Path("/tmp/keep")
PASSED = [case for case in corpus.hostile() if POLICY.judge(case.line).allowed]


def test_the_rates_are_kept_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "is_interface", {"eth0", "lo"}.__contains__)
    hostile, benign = corpus.hostile(), corpus.benign()
    refused = [case for case in benign if not POLICY.judge(case.line).allowed]
    merge("hostile", {"tried": len(hostile), "passed_policy": len(PASSED)})
    merge("benign", {"tried": len(benign), "refused": len(refused)})
    assert len(PASSED) < 0.02 * len(hostile)
    assert len(refused) < 0.02 * len(benign)


@pytest.mark.parametrize("case", PASSED, ids=lambda case: case.where)
def test_a_hostile_line_that_passes_does_no_harm_without_the_sandbox(case: corpus.Hostile) -> None:
    assert not MARKER.exists(), f"{MARKER} is there already; remove it"
    KEEP.write_text("kept")
    try:
        result = run(case.line)
        assert not MARKER.exists()
        assert KEEP.read_text() == "kept"
    finally:
        KEEP.unlink(missing_ok=True)
    assert result["duration_s"] < SECONDS + 3
    look, _blank, path = case.look.partition(" ")
    if look == "shown":
        assert not [line for line in secret_lines(path) if line in result["output"]]


def run(line: str) -> dict[str, Any]:
    """The line's result with the policy, and without a sandbox."""
    fence = Unsandboxed("the policy is tried by itself")
    return run_commands([{"id": "x", "command": line}], policy=POLICY, limits=Limits(SECONDS), fence=fence)[0]


def secret_lines(path: str) -> list[str]:
    """Lines of a secret file that cannot stand in other output by chance; none where the host has no such file."""
    if not os.path.exists(path):
        return []
    return [line for line in Path(path).read_text(errors="replace").splitlines() if len(line) > 12]
