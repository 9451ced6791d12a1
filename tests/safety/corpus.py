# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the corpora of command lines; their format is described in README.md beside this file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).parent
_PICTURES = str.maketrans({"⏎": "\n", "⇥": "\t", "␍": "\r", "␀": "\0", "␛": "\x1b"})
_HARMLESS = "harmless.txt"


@dataclass(frozen=True)
class Hostile:
    """A line that would do harm, what to look for after it was run, and where it comes from."""

    line: str
    look: str
    source: str
    where: str


@dataclass(frozen=True)
class Benign:
    """A line that a diagnostician types, and where it comes from."""

    line: str
    source: str
    where: str


def hostile() -> list[Hostile]:
    """All hostile lines; `where` is file and line number."""
    found = []
    for path in sorted((HERE / "hostile").glob("*.txt")):
        if path.name != _HARMLESS:
            for where, (look, source, line) in _rows(path, 3):
                found.append(Hostile(line.translate(_PICTURES), look, source, where))
    return found


def benign() -> list[Benign]:
    """All benign lines."""
    found = []
    for path in sorted((HERE / "benign").glob("*.txt")):
        for where, (source, line) in _rows(path, 2):
            found.append(Benign(line.translate(_PICTURES), source, where))
    return found


def harmless() -> dict[str, str]:
    """Hostile lines that may pass the policy, with the reason why that is harmless."""
    path = HERE / "hostile" / _HARMLESS
    if not path.exists():
        return {}
    reasons = {}
    for row in path.read_text().splitlines():
        if row.strip() and not row.startswith("# "):
            line, _separator, reason = row.rpartition(" :: ")
            reasons[line.translate(_PICTURES)] = reason
    return reasons


def sources() -> dict[str, str]:
    """What the word before a source's colon stands for."""
    found: dict[str, str] = yaml.safe_load((HERE / "sources.yml").read_text())
    return found


def _rows(path: Path, parts: int) -> list[tuple[str, list[str]]]:
    rows = []
    for number, row in enumerate(path.read_text().splitlines(), 1):
        if row.strip() and not row.startswith("# "):
            rows.append((f"{path.name}:{number}", row.split(" :: ", parts - 1)))
    return rows
