# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured, as rows: written for programs, shown for people."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional


@dataclass(frozen=True)
class Row:
    """A figure. `spread`: the middle half of the paired ratios, or of our values where there is no peer."""

    name: str
    where: str
    unit: str
    ours: float
    peer: Optional[float]
    peer_name: Optional[str]
    ratio: Optional[float]
    spread: list[float]
    goal: float
    met: bool


def compared(name: str, unit: str, ours: list[float], peer: list[float], peer_name: str, goal: float) -> Row:
    """A row of values that were measured in pairs; the ratio is the median of theirs."""
    ratios = [one / other for one, other in zip(ours, peer)]
    ratio = statistics.median(ratios)
    low, _middle, high = statistics.quantiles(ratios, n=4)
    return Row(
        name,
        "host",
        unit,
        round(statistics.median(ours), 6),
        round(statistics.median(peer), 6),
        peer_name,
        round(ratio, 4),
        [round(low, 4), round(high, 4)],
        goal,
        ratio <= goal,
    )


def alone(name: str, unit: str, ours: list[float], goal: float, met: bool) -> Row:
    """A row of values that are held against a number."""
    low, _middle, high = statistics.quantiles(ours, n=4) if len(ours) > 1 else (ours[0], ours[0], ours[0])
    middle = round(statistics.median(ours), 6)
    return Row(name, "host", unit, middle, None, None, None, [round(low, 6), round(high, 6)], goal, met)


def write(rows: list[Row], path: Path) -> None:
    """Writes all rows, whole or not at all; rows of other names that are there stay."""
    kept = []
    if path.exists():
        names = {(row.name, row.where) for row in rows}
        kept = [row for row in json.loads(path.read_text()) if (row["name"], row["where"]) not in names]
    path.parent.mkdir(exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(kept + [asdict(row) for row in rows], indent=1) + "\n")
    new.replace(path)


def shown(rows: list[Row]) -> str:
    """The rows as a table."""
    lines = [("name", "unit", "ours", "peer", "ratio", "middle half", "goal", "")]
    for row in rows:
        ratio, peer = ("" if value is None else f"{value:.4g}" for value in (row.ratio, row.peer))
        spread = f"{row.spread[0]:.4g} to {row.spread[1]:.4g}"
        met = "met" if row.met else "NOT MET"
        lines.append((row.name, row.unit, f"{row.ours:.4g}", peer, ratio, spread, f"{row.goal:g}", met))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in lines)
