# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: a claim, and what has been read of a sentence already."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Optional

from .facts import Index
from .text import Sentence


@dataclass(frozen=True)
class Claim:
    """A part of a text that can be looked up, with the results that bear it out, or why none does."""

    start: int
    end: int
    text: str
    by: tuple[str, ...] = ()
    reason: str = ""

    @property
    def supported(self) -> bool:
        """Whether some result bears it out."""
        return not self.reason


@dataclass
class Reading:
    """A sentence while it is read: the claims so far, and which characters they took."""

    sentence: Sentence
    index: Index
    issue: frozenset[str] = frozenset()
    """Words of the issue: a person's own words are nobody's invention."""
    earlier: tuple[Claim, ...] = ()
    """The claims of the sentences just before."""
    claims: list[Claim] = field(default_factory=list)
    taken: list[bool] = field(default_factory=list)
    unborne: set[str] = field(default_factory=set)
    """Errors and system calls named here that were not seen, in lower case."""

    def __post_init__(self) -> None:
        self.taken = [False] * (len(self.sentence.text) + 1)

    def free(self, start: int, end: int) -> bool:
        """Whether no claim has these characters yet."""
        return not any(self.taken[start:end])

    def take(self, start: int, end: int) -> None:
        """Leaves these characters to no other claim."""
        self.taken[start:end] = [True] * (end - start)

    def settle(self, start: int, end: int, by: Optional[Collection[str]], reason: str = "") -> None:
        """Adds a claim; `by` are the results that bear it out, None or none for a claim without."""
        if not self.free(start, end):
            return
        self.take(start, end)
        text, offset = self.sentence.text[start:end], self.sentence.start
        if by:
            self.claims.append(Claim(offset + start, offset + end, text, tuple(sorted(by))))
        else:
            self.claims.append(
                Claim(offset + start, offset + end, text, (), reason or "not found in what was collected")
            )
