# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: claims that are numbers: counts, durations, sizes, rates, shares, ranges."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Optional

from .around import Context, context, counts_things, fits
from .claim import Reading
from .facts import Fact, Source
from .names import known_pid
from .units import BYTES, NUMBER, PERCENT, PLAIN, RATE, SECONDS, WORDS, Quantity, quantity
from .vocabulary import ABOVE, BELOW, HEDGES

_ABOUT, _FAR = 0.1, 3.0
_LIST = re.compile(r"^\s*\d+[.)]\s*$")
_WORD_NUMBER = re.compile(
    r"(?<![\w-])(" + "|".join(sorted(WORDS, key=len, reverse=True)) + r")(?![\w-])(\s+(?:[a-z-]+\s)?[A-Za-z]+s\b)?",
    re.IGNORECASE,
)
_HAPPENED = re.compile(
    r"\b(?:fired|failed|called|seen|killed|restarted|happened|counted|occurred|times?)\s*$", re.IGNORECASE
)
_RANGE = re.compile(r"^\s?(?:to|and|[-\u2013\u2014])\s?(?=\d)", re.IGNORECASE)
_BETWEEN = re.compile(r"\b(?:between|from)\s*$", re.IGNORECASE)
_HALF = re.compile(r"\bhalf of (?:the |all |its )?[\w ]{0,30}?\b(?:failed|fail|were refused|succeeded)", re.IGNORECASE)
_MANY_LINES = 200
_COUNTS = ("count", "errors", "ok", "key", "syscall", "waiting")


def read_numbers(reading: Reading) -> None:
    """Settles all claims of a sentence that are numbers."""
    text = reading.sentence.text
    taken_to = 0
    for found in NUMBER.finditer(text):
        if (
            found.start() < taken_to
            or not reading.free(found.start("number"), found.end("number"))
            or _no_claim(text, found)
        ):
            continue
        second = _second_of_range(text, found)
        if second is not None:
            taken_to = second.end()
            _settle_range(reading, found, second)
        else:
            _settle(reading, found.start("number"), _end(found), quantity(found))
    for found in _WORD_NUMBER.finditer(text):
        _settle_word(reading, found)
    for found in _HALF.finditer(text):
        _settle(reading, found.start(), found.start() + 4, Quantity(PERCENT, (50.0,), (5.0,), 50.0))


def _no_claim(text: str, found: re.Match[str]) -> bool:
    """A number that counts a list's entries, is of a name such as `fsync(2)`, or says which load is meant."""
    before, after = text[: found.start()], text[found.end("number") :]
    if re.search(r"\w\($", before) and after.startswith(")"):
        return True
    if re.match(r"\s+(?:more|others?|readings?)\b", after) or re.search(r"\b(?:last|past|next|previous)\s+$", before):
        return True
    if (found["unit"] or "").lower().startswith("min") and re.search(r"\bload\b", text, re.IGNORECASE):
        return True
    return bool(_LIST.match(text[: found.end("number") + 1])) or text[
        found.end("number") : found.end("number") + 2
    ] in ("st", "nd", "rd", "th")


def _end(found: re.Match[str]) -> int:
    return max(found.end(name) for name in ("number", "times", "letter", "unit") if found[name])


def _second_of_range(text: str, found: re.Match[str]) -> Optional[re.Match[str]]:
    gap = _RANGE.match(text[_end(found) :])
    if gap is None:
        return None
    if gap.group().strip().lower() == "and" and not _BETWEEN.search(text[: found.start()]):
        return None
    second = NUMBER.match(text, _end(found) + gap.end())
    if second is None:
        second = re.compile(NUMBER.pattern.split(")", 1)[1], re.IGNORECASE).match(text, _end(found) + gap.end())
    return second


def _settle_word(reading: Reading, found: re.Match[str]) -> None:
    text, word = reading.sentence.text, found.group(1).lower()
    if not reading.free(found.start(1), found.end(1)):
        return
    adverb = word in ("once", "twice", "thrice")
    if (adverb and not _HAPPENED.search(text[: found.start(1)])) or (
        not adverb and not (found.group(2) or _HAPPENED.search(text[: found.start(1)]))
    ):
        return
    written = NUMBER.match(f"{WORDS[word]}{text[found.end(1) :][:40]}")
    if written is None or re.search(r"\b(?:last|past|next|previous)\s+$", text[: found.start(1)]):
        return
    if re.search(r"\bbetween\s+$", text[: found.start(1)]):
        return
    if re.match(r"\s+(?:more|others?|readings?)\b", text[found.end(1) :]) or (
        written["unit"] and _no_claim(text, written)
    ):
        return
    end = found.end(1) + (_end(written) - len(str(WORDS[word])) if written["unit"] else 0)
    claimed = quantity(written)
    if (
        claimed.unit == PLAIN
        and _is_small(claimed)
        and re.match(r"\s+(?:\w+\s)?(?:ways|things|causes|steps|reasons|hosts)\b", text[found.end(1) :])
    ):
        return
    _settle(reading, found.start(1), end, claimed)


def _is_small(claimed: Quantity) -> bool:
    return claimed.raw <= 12


def _settle(reading: Reading, start: int, end: int, claimed: Quantity) -> None:
    around = context(reading, start, end)
    before = reading.sentence.text[max(0, start - 24) : start].lower()
    if _ends_with(before, HEDGES):
        claimed = claimed.reaches(_ABOUT)
    compared = "above" if _ends_with(before, ABOVE) else "below" if _ends_with(before, BELOW) else ""
    keys = supporters(reading, around, claimed, compared)
    if not keys and claimed.unit == PLAIN and claimed.raw == 1 and around.cited is None and not counts_things(around):
        return
    reason = "" if keys else _why(reading, around, claimed)
    reading.settle(start, end, keys, reason)


def _ends_with(before: str, words: Iterable[str]) -> bool:
    stripped = before.rstrip()
    return any(stripped.endswith(word) and not stripped[: -len(word)][-1:].isalpha() for word in words)


def supporters(reading: Reading, around: Context, claimed: Quantity, compared: str = "") -> set[str]:
    """The results with a fact that the number may be; `compared`: `above` and `below` for a bound."""
    found = {fact.key for fact in _candidates(reading, claimed, compared) if fits(fact, around, reading)}
    if not found and claimed.unit == PLAIN and not compared and not counts_things(around):
        found = _lines_with(reading, around, claimed)
    if claimed.unit == PERCENT:
        found |= _shares(reading, around, claimed)
    if not found and claimed.unit == PLAIN and not compared and claimed.raw >= 2:
        found |= _as_pid(reading, around, claimed)
    return found


def _candidates(reading: Reading, claimed: Quantity, compared: str) -> list[Fact]:
    index = reading.index
    if compared:
        low, high = (0.97, _FAR) if compared == "above" else (1 / _FAR, 1.03)
        value = claimed.values[0]
        return index.between(claimed.unit, value * low, value * high) + index.like(claimed, claimed.unit)
    found = index.like(claimed, claimed.unit)
    if claimed.unit == PLAIN:
        # Outputs say in the heading what their numbers are; a sentence may leave that out.
        for scale in (1.0, 1024.0, 1024.0**2):
            scaled = replace(claimed, values=tuple(value * scale for value in claimed.values))
            found += [fact for fact in index.like(scaled, BYTES) if scale == 1.0 or not index.sources[fact.key].traced]
        for unit in (PERCENT, SECONDS):
            found += [fact for fact in index.like(claimed, unit) if not index.sources[fact.key].traced]
    elif claimed.unit in (BYTES, SECONDS, PERCENT, RATE):
        if claimed.unit == BYTES:
            found += [
                fact for fact in index.like(claimed, PLAIN) if not index.sources[fact.key].traced and fact.value >= 1024
            ]
        if claimed.unit == SECONDS and claimed.values[0] >= 100:
            found += [fact for fact in index.like(claimed, PLAIN) if not index.sources[fact.key].traced]
        bare = Quantity(PLAIN, (claimed.raw,), (0.0,), claimed.raw)
        found += [fact for fact in index.like(bare, PLAIN) if not index.sources[fact.key].traced and fact.what == "row"]
    return found


def _lines_with(reading: Reading, around: Context, claimed: Quantity) -> set[str]:
    """The outputs in which so many lines have a name that the sentence says: a process, a pid, a path."""
    names = {word for word in around.wide if word in around.processes or "/" in word or known_pid(reading, word)}
    if around.cited is not None:
        names |= around.words
    return {
        key
        for key, source in reading.index.sources.items()
        if source.lines
        and (around.cited is None or key in around.cited)
        and claimed.raw <= len(source.lines) <= _MANY_LINES
        if any(sum(1 for line in source.lines if name in line.split()) == claimed.raw for name in names & source.words)
    }


def _as_pid(reading: Reading, around: Context, claimed: Quantity) -> set[str]:
    """A bare number after the name of a process, or beside the word, may be its pid."""
    number = f"{claimed.raw:.0f}"
    for name in around.processes:
        if re.search(rf"{re.escape(name)}\W{{0,3}}$", around.before.lower()):
            return {key for key, source in reading.index.sources.items() if number in source.processes.get(name, ())}
    if claimed.raw < 100 and "pid" not in around.words and "pids" not in around.words:
        return set()
    if "pid" in around.wide or "pids" in around.wide:
        return known_pid(reading, number)
    return set()


def _shares(reading: Reading, around: Context, claimed: Quantity) -> set[str]:
    """The results in which two figures make this share."""
    found = set()
    for key, source in reading.index.sources.items():
        if around.cited is not None and key not in around.cited:
            continue
        if any(claimed.holds(100.0 * part / whole) for part, whole in _ratios(reading, around, source) if whole):
            found.add(key)
    return found or _told_in_sentence(reading, claimed)


def _ratios(reading: Reading, around: Context, source: Source) -> list[tuple[float, float]]:
    """The shares that two figures of a program make, as (part, whole); those of outputs are facts."""
    if not source.traced:
        return []
    facts = reading.index.of(source.key)
    wholes = {source.count, *(fact.value for fact in facts if fact.what == "total" and fact.unit == PLAIN)}
    parts = [fact for fact in facts if fact.unit == PLAIN and fact.what in _COUNTS]
    told = [fact for fact in parts if _telling(fact, around, source) and fits(fact, around, reading)]
    ratios = [(fact.value, whole) for fact in told for whole in wholes]
    named = {fact.value for fact in parts if fact.what == "count" and fact.who & set(around.processes)}
    return ratios + [(fact.value, whole) for fact in told if fact.what == "errors" for whole in named]


def _telling(fact: Fact, around: Context, source: Source) -> bool:
    """Whether a figure is named by the sentence: any other one would make any share."""
    if fact.what == "errors":
        return around.failing or bool(around.errors) or "error" in around.words or not fact.who
    if fact.what == "ok":
        return not fact.who
    return bool(fact.who & set(around.processes)) or bool(fact.about & around.wide)


def _told_in_sentence(reading: Reading, claimed: Quantity) -> set[str]:
    """Numbers of the sentence that were found in one result and make this share."""
    values: list[tuple[float, tuple[str, ...]]] = []
    for claim in (*reading.earlier, *reading.claims):
        found = NUMBER.fullmatch(claim.text.strip())
        if claim.supported and found and not found["unit"]:
            values.append((quantity(found).values[0], claim.by))
    for found in NUMBER.finditer(reading.sentence.text):
        if found["unit"] or not found.start("number"):
            continue
        around = context(reading, found.start("number"), found.end("number"))
        by = supporters(reading, around, quantity(found)) if quantity(found).unit == PLAIN else set()
        if by:
            values.append((quantity(found).values[0], tuple(by)))
    return {
        key
        for one, keys in values
        for other, others in values
        if other > 0 and one < other and claimed.holds(100.0 * one / other)
        for key in set(keys) & set(others)
    }


def _settle_range(reading: Reading, first: re.Match[str], second: re.Match[str]) -> None:
    start, end = first.start("number"), _end(second)
    around = context(reading, start, end)
    high = quantity(second)
    low = quantity(first)
    if low.unit == PLAIN and high.unit != PLAIN:
        scale = high.values[0] / high.raw if high.raw else 1.0
        low = Quantity(high.unit, (low.raw * scale,), (low.tolerance[0] * scale or 0.5 * scale,), low.raw)
    both = [supporters(reading, around, one) for one in (low, high)]
    keys = both[0] & both[1]
    if not keys:
        within = [
            fact
            for fact in reading.index.between(high.unit, low.values[0] * 0.95, high.values[0] * 1.05)
            if fits(fact, around, reading) and fact.what not in ("interval", "window")
        ]
        keys = {fact.key for fact in within if _typical(reading, fact, low.values[0], high.values[0])}
    reading.settle(start, end, keys, "no such range follows from what was collected")


def _typical(reading: Reading, fact: Fact, low: float, high: float) -> bool:
    """Whether what is usual in a result lies in a range, too: one odd value does not make it."""
    usual = [each.value for each in reading.index.of(fact.key) if each.what == "p50" and each.unit == fact.unit]
    return not usual or low * 0.9 <= usual[0] <= high * 1.1


def _why(reading: Reading, around: Context, claimed: Quantity) -> str:
    """Where the number stands instead, for whoever has to correct it."""
    where = sorted({fact.key for fact in _candidates(reading, claimed, "")})
    shown = ", ".join(where[:3])
    if around.cited is not None:
        cited = ", ".join(sorted(around.cited))
        return f"not a figure of {cited} for what the sentence says" + (
            f"; such a number is in {shown}" if shown and set(where) - around.cited else ""
        )
    if where:
        return f"such a number stands in {shown}, but not for what the sentence says"
    return "no such figure was collected"
