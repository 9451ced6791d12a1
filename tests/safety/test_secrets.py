# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planted secrets that leak, and ordinary output of this machine that is changed; both go into the report."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

from report import merge

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.redaction.redactor import Redactor

HERE = Path(__file__).parent / "secrets"
sys.path.insert(0, str(HERE))
import planting  # noqa: E402  (a module of data beside this one)

# Sample settings in these files say that they are passwords. They count as false positives, and are no others' excuse.
SAMPLE_PASSWORDS = {"cat /etc/ssl/openssl.cnf", "cat /etc/debconf.conf", "cat /etc/adduser.conf"}
FEWEST_COMMANDS = 50


def test_no_planted_secret_leaks() -> None:
    cases = list(planting.planted())
    leaked = []
    for case in cases:
        shown = json.dumps(Redactor().value(case.evidence), ensure_ascii=False)
        if case.leaks(shown.replace("\\\\n", "\n").replace("\\n", "\n")):
            leaked.append(case.name)
    merge("secrets", {"planted": len(cases), "leaked": len(leaked), "kinds": len({case.kind for case in cases})})
    assert leaked == []


def test_ordinary_output_comes_through_unharmed() -> None:
    harmed: dict[str, list[str]] = {}
    characters = commands = 0
    for line in (HERE / "ordinary.txt").read_text().splitlines():
        output = printed(line) if line.strip() and not line.startswith("#") else ""
        if output:
            commands += 1
            characters += len(output)
            shown = Redactor().text(output)
            changed = [b for a, b in zip(output.split("\n"), shown.split("\n")) if a != b]
            if shown != output:
                harmed[line] = changed
    rate = sum(len(lines) for lines in harmed.values()) / (characters / 1e6)
    merge("secrets", {"false_positives_per_mb": round(rate, 2), "ordinary_commands": commands})
    assert commands >= FEWEST_COMMANDS
    assert {line: lines for line, lines in harmed.items() if line not in SAMPLE_PASSWORDS} == {}


def printed(line: str) -> str:
    """What a command prints here; nothing where this machine does not have it."""
    try:
        done = subprocess.run(shlex.split(line), capture_output=True, timeout=60, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")
