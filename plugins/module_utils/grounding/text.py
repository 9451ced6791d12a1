# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: a resolution's text, taken apart into sentences, their parts and the results they cite."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Optional

from .facts import Index

LONGEST_SENTENCE = 1000
_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'`(\[]*[A-Z0-9a-z/])|\n+")
_ABBREVIATED = re.compile(r"(?:\b(?:e\.g|i\.e|ca|approx|vs|etc|no|resp)\.)$", re.IGNORECASE)
_PART = re.compile(r"[,;:](?=\s)|\s(?:and|while|but|whereas|then)\s|\s\(|\)\s|\s[-\u2013\u2014]\s")
_KEY = re.compile(r"(?<![\w./])[A-Za-z][\w.\-]*_\d{9,11}(?:_\d+)?(?![\w])")
_BRACKET = re.compile(r"\[([A-Za-z][\w.\-]*(?:,\s*[A-Za-z][\w.\-]*)*)\]")
_LEADING = re.compile(r"(?:^|(?<=[;.(])\s*|(?<=,\s))`?([A-Za-z][\w.\-]*)`?:(?=\s)")
_CITED_AS = re.compile(r"\b(?:command|result|program|probe|output of|key|trace|tracer|see)\s+[`\"']?([A-Za-z][\w.\-]*)")


@dataclass
class Citation:
    """A place that names results; `unknown` where it names one that was never collected."""

    start: int
    end: int
    keys: tuple[str, ...]
    bracketed: bool = False
    unknown: bool = False


@dataclass
class Sentence:
    """A sentence of a text: where it is, its parts, what it cites."""

    text: str
    start: int
    citations: list[Citation] = field(default_factory=list)
    parts: list[tuple[int, int]] = field(default_factory=list)

    def part(self, position: int) -> tuple[int, int]:
        """The part of the sentence (start, end) in which a position is."""
        return next((part for part in self.parts if part[0] <= position < part[1]), (0, len(self.text)))

    def cited(self, position: int) -> Optional[set[str]]:
        """The results that what is said at a position leans on; None where none is cited."""
        known = self.citations
        behind = [each for each in known if each.bracketed and each.start > position]
        before = [each for each in known if each.end <= position]
        if behind and not (before and not before[-1].bracketed):
            return set(behind[0].keys)
        if before and before[-1].bracketed:
            # One in brackets is of what stands before it.
            return None
        if not before:
            return set(known[0].keys) if known else None
        keys, start = set(before[-1].keys), before[-1].start
        for each in reversed(before[:-1]):
            if re.fullmatch(r"[\s,/&`\]\[]*(?:and|or)?[\s,/&`\]\[]*", self.text[each.end : start]):
                keys |= set(each.keys)
                start = each.start
            else:
                break
        return keys


def sentences(text: str, index: Index) -> list[Sentence]:
    """The sentences of a text, in order."""
    found: list[tuple[int, int]] = []
    start = 0
    for gap in _SENTENCE.finditer(text):
        if _ABBREVIATED.search(text[max(start, gap.start() - 8) : gap.start()]):
            continue
        found.append((start, gap.start()))
        start = gap.end()
    found.append((start, len(text)))
    pieces = [piece for begin, end in found for piece in _pieces(text, begin, end)]
    return [_sentence(text[begin:end], begin, index) for begin, end in pieces if text[begin:end].strip()]


def _pieces(text: str, begin: int, end: int) -> list[tuple[int, int]]:
    """A sentence as it is, or one that never ends in pieces: what a claim is about is sought in all of its sentence."""
    pieces = []
    while end - begin > LONGEST_SENTENCE:
        cut = text.rfind(" ", begin + LONGEST_SENTENCE // 2, begin + LONGEST_SENTENCE)
        cut = cut if cut > 0 else begin + LONGEST_SENTENCE
        pieces.append((begin, cut))
        begin = cut
    return [*pieces, (begin, end)]


def _sentence(text: str, start: int, index: Index) -> Sentence:
    sentence = Sentence(text, start)
    places = [0]
    for cut in _PART.finditer(text):
        places.append(cut.start() + (0 if cut.group().startswith(" ") else 1))
    sentence.parts = [(one, other) for one, other in zip(places, [*places[1:], len(text) + 1]) if other > one]
    sentence.citations = _citations(text, index)
    return sentence


def _citations(text: str, index: Index) -> list[Citation]:
    by_name = _names(index)
    found: list[Citation] = []
    for match in _KEY.finditer(text):
        key = match.group()
        known = key in index.sources
        # One that closes a bracket is of what stands before it.
        closes = (
            text[match.end() : match.end() + 1] in (")", "]") and match.start() > 0 and text[match.start() - 1] != "("
        )
        found.append(Citation(match.start(), match.end(), (key,) if known else (), closes, not known))
    for match in _BRACKET.finditer(text):
        names = [name.strip() for name in match.group(1).split(",")]
        keys = tuple(key for name in names for key in by_name.get(name, ()))
        attached = match.start() > 0 and text[match.start() - 1].isalnum()
        if keys or (not attached and not any(_KEY.fullmatch(name) for name in names)):
            found.append(Citation(match.start(), match.end(), keys, bracketed=match.start() > 0, unknown=not keys))
    for pattern in (_LEADING, _CITED_AS):
        for match in pattern.finditer(text):
            if match.group(1) in by_name:
                found.append(Citation(match.start(1), match.end(1), by_name[match.group(1)]))
    for match in re.finditer(r"`([^`\n]{2,300})`", text):
        keys = tuple(commands_like(match.group(1), index)) or by_name.get(match.group(1), ())
        if keys:
            found.append(Citation(match.start(), match.end(), keys))
    return _distinct(found)


def _names(index: Index) -> dict[str, tuple[str, ...]]:
    names: dict[str, tuple[str, ...]] = {}
    for key, source in index.sources.items():
        names[key] = (key,)
        if source.traced:
            short = re.sub(r"_\d{9,11}(_\d+)?$", "", key)
            names[short] = (*names.get(short, ()), key) if short != key else (key,)
    return names


def commands_like(text: str, index: Index) -> list[str]:
    """The commands whose line a text quotes, in full or in words of it."""
    words = text.split()
    if not words:
        return []
    return [
        key
        for key, source in index.sources.items()
        if words[0] in source.programs and all(word in source.command for word in words[1:])
    ]


def _distinct(found: list[Citation]) -> list[Citation]:
    kept: list[Citation] = []
    for each in sorted(found, key=lambda one: (one.start, -one.end)):
        if kept and each.start < kept[-1].end:
            if each.bracketed or (kept[-1].unknown and not each.unknown):
                kept[-1] = each
            continue
        kept.append(each)
    return kept
