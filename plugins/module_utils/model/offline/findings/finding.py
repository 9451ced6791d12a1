# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: what one look at the evidence may find."""

from __future__ import annotations

from dataclasses import dataclass, field

STRONG, FAIR, WEAK = 3, 2, 1
"""How surely a finding is a fault: it shows one; it fits one and something else might too; it may well be ordinary."""


@dataclass
class Finding:
    """A cause that the evidence carries.

    `cause` is a sentence without its full stop. `traced` are sentences on eBPF results, with their keys and exact
    numbers; `seen` those on commands. `plan` are steps for a person. `subjects` are names that an issue may use (a
    process, an address, a path), `pids` and `addresses` what a second round can look at more closely. `weight` orders
    findings of one strength.
    """

    category: str
    cause: str
    strength: int
    weight: float = 0.0
    traced: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    plan: list[str] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
