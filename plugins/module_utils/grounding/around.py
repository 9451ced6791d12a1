# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: which facts a number in a sentence may be.

A fact fits where it is of the result that is cited (or that the sentence is about), of the process, the error and the
system call that are named with it, and of the line and the column whose words stand with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Optional

from .claim import Reading
from .facts import Fact, Source, stem, words_of
from .names import process_names, processes_at
from .units import BYTES, SECONDS
from .vocabulary import ERRORS, EVENTS, FAILING, QUANTILES, SUCCEEDING, THINGS, WAITING, WHOLE, word_set

_WINDOW = re.compile(
    r"\b(?:in|within|during|over|for|after|lasted|traced|tracing|while|first|the)\s+(?:the\s|about\s|its\s|only\s|some\s|~)*$",
    re.IGNORECASE,
)
_OF_TRACE = re.compile(r"^\s*(?:of (?:the )?trac|trace|window)", re.IGNORECASE)
_EACH = re.compile(r"\b(?:each|every|interval|apart|spacing|between|mean time)\b", re.IGNORECASE)
_TOTAL = re.compile(r"\b(?:of|out of)\s+(?:the\s|all\s|its\s|these\s|those\s|a total of\s)*$", re.IGNORECASE)
_COUNTED = re.compile(r"^\s*(?:[a-z0-9-]+\s){0,2}?([a-z]+)", re.IGNORECASE)
_SPECIAL = {"missed": ("miss", "skip"), "own_events": ("own", "itself"), "not_carried": ("carr", "sample", "left out")}
_LEFT = frozenset(("left", "remaining", "free", "available", "avail"))
_UNINFORMATIVE = word_set(
    """
    a an the of in on at to is are was were be by for and or with it its this that has have had as from not no
    only all each per pid process which who than more less about some times time calls call number
    """
)


@dataclass
class Context:
    """What stands around a number."""

    cited: Optional[set[str]]
    topics: Optional[set[str]]
    processes: list[str]
    named_here: bool
    part: str
    before: str
    after: str
    words: frozenset[str]
    near: frozenset[str]
    """The words, and those before the bracket where the number stands in one."""
    wide: frozenset[str]
    errors: frozenset[str]
    total: bool
    quantiles: frozenset[str] = frozenset()
    best_rows: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def failing(self) -> bool:
        """Whether it is about calls that failed."""
        return not self.total and any(word in self.words for word in FAILING)

    def says(self, *phrases: str) -> bool:
        """Whether one of these stands in the part of the sentence."""
        lowered = self.part.lower()
        return any(phrase in lowered for phrase in phrases)


def context(reading: Reading, start: int, end: int) -> Context:
    """What stands around the characters from `start` to `end` of a sentence."""
    sentence = reading.sentence
    first, last = sentence.part(start)
    text = sentence.text
    part = text[first:last]
    here = process_names(part, reading)
    processes = here or processes_at(start, reading)
    if text[last:].startswith((" (", "(")):
        # What stands in brackets explains what stands before them.
        part += text[last:].partition(")")[0]
    words = words_of(part)
    near = words
    if part.lstrip().startswith("("):
        near |= words_of(text[sentence.part(max(0, first - 1))[0] : first])
    if words & _LEFT:
        words, near = words | _LEFT, near | _LEFT
    return Context(
        sentence.cited(start),
        _topics(reading, first, last),
        processes,
        bool(here),
        part,
        text[max(0, start - 60) : start],
        text[end : end + 60],
        words,
        near,
        words_of(text),
        frozenset(word.lower() for word in re.findall(r"\bE[A-Z][A-Z0-9]+\b", part) if word in ERRORS),
        bool(_TOTAL.search(text[max(0, start - 40) : start]))
        and bool(re.search(r"\d", text[max(0, start - 40) : start])),
        frozenset(name for name, cues in QUANTILES.items() if any(_cue(cue, part) for cue in cues)),
    )


def _cue(cue: str, part: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(cue)}(?!\w)", part, re.IGNORECASE))


def _topics(reading: Reading, first: int, last: int) -> Optional[set[str]]:
    """The programs that a part of a sentence speaks of, else those of the parts before it, else of those after."""
    text, parts = reading.sentence.text, reading.sentence.parts
    before = [part for part in reversed(parts) if part[0] < first]
    after = [part for part in parts if part[0] >= last]
    for start, end in [(first, last), *before, *after]:
        words = words_of(text[start:end])
        words |= {word[:-3] for word in words if word.endswith("ing")} | {
            word[:-2] for word in words if word.endswith("ed")
        }
        hits = {
            key: len(words & source.topics)
            for key, source in reading.index.sources.items()
            if source.traced and source.topics
        }
        most = max(hits.values(), default=0)
        if most:
            return {key for key, number in hits.items() if number == most}
    return None


def fits(fact: Fact, around: Context, reading: Reading) -> bool:
    """Whether a fact may be what the number is about."""
    source = reading.index.sources[fact.key]
    if around.cited is not None and fact.key not in around.cited:
        return False
    if not source.traced:
        return _fits_output(fact, around, source, reading)
    if around.cited is None and around.topics is not None and fact.key not in around.topics:
        return False
    if fact.what == "window":
        return bool(_WINDOW.search(around.before) or _OF_TRACE.search(around.after))
    if fact.what in _SPECIAL:
        return around.says(*_SPECIAL[fact.what])
    if fact.what == "sampled":
        return around.says("sampl", "carried", "shown") and any(
            name in reading.sentence.text.lower() for name in fact.about
        )
    if fact.what == "field":
        return bool(fact.columns & around.words)
    if fact.unit == SECONDS:
        return _fits_duration(fact, around, source)
    if fact.unit == BYTES or fact.what == "size":
        return _of_process(fact, around, source)
    return _fits_count(fact, around, source, reading)


def _fits_duration(fact: Fact, around: Context, source: Source) -> bool:
    if fact.what == "interval":
        return bool(_EACH.search(around.part))
    if (
        around.quantiles
        and fact.what not in around.quantiles
        and not (fact.what in ("event", "elapsed") and "max" in around.quantiles)
    ):
        return False
    return _of_process(fact, around, source)


def _fits_count(fact: Fact, around: Context, source: Source, reading: Reading) -> bool:
    if fact.what == "pids":
        return bool({"process", "pid"} & set(_counted(around))) and _of_process(fact, around, source)
    if _thing(around, source):
        return False
    if around.says(*WAITING) or fact.what == "waiting":
        return fact.what == "waiting" and around.says(*WAITING)
    if not around.total:
        if reading.unborne & (around.words | around.errors):
            return False
        if (around.failing or around.errors) and not _failed(fact, around, source):
            return False
        succeeding = any(word in around.words for word in SUCCEEDING) and not around.errors
        if succeeding and not around.failing and fact.what == "errors":
            return False
    calls = around.words & source.syscalls if len(source.syscalls) > 1 else frozenset()
    if calls and not around.total and not (fact.about & calls):
        return False
    if fact.what in ("key", "syscall") and not (fact.about & around.wide or fact.who):
        return any(len(word) > 3 and word in reading.sentence.text.lower() for word in fact.about)
    return _of_process(fact, around, source)


def _failed(fact: Fact, around: Context, source: Source) -> bool:
    if fact.what != "errors":
        return False
    if not around.errors or fact.about & around.errors:
        return True
    if fact.about:
        return False
    seen = {error for name, error in source.pairs if not fact.who or name in fact.who}
    return bool(seen & around.errors) and len(seen) == 1


def counts_things(around: Context) -> bool:
    """Whether what follows the number is something that a host has, such as threads."""
    return any(word in THINGS for word in _counted(around))


def _counted(around: Context) -> list[str]:
    if not _COUNTED.match(around.after):
        return []
    return [stemmed for word in re.findall(r"[A-Za-z]+", around.after[:30])[:2] for stemmed in words_of(word)]


def _thing(around: Context, source: Source) -> bool:
    """Whether what is counted is something of the host, and no events."""
    if not counts_things(around):
        return False
    words = _counted(around)
    return not any(
        word.startswith(noun) or noun.startswith(word) for word in words for noun in source.nouns if len(noun) > 3
    )


def _of_process(fact: Fact, around: Context, source: Source) -> bool:
    """Whether a figure is of the process that stands with it, or of all where all is meant."""
    if not around.processes:
        return True
    known = [name for name in around.processes if name in source.processes]
    if not known:
        return around.cited is not None and not around.named_here
    if fact.who:
        return bool(fact.who & set(known))
    if any(source.sole(name) for name in known) or fact.unit == SECONDS:
        return True
    if fact.what in ("key", "syscall"):
        return not around.named_here
    return around.total or around.says(*WHOLE) or (not around.named_here and around.cited is not None)


def _fits_output(fact: Fact, around: Context, source: Source, reading: Reading) -> bool:
    if fact.what == "duration_s":
        return around.cited is not None or bool(fact.about & around.words)
    if fact.what == "share" and not fact.columns & around.words:
        return False
    if fact.what == "slept":
        return bool(_WINDOW.search(around.before))
    if fact.what in ("exit_code", "lines"):
        return bool(fact.about & around.words)
    if around.cited is None and _event(around, reading_row(source, fact)):
        return False
    if _LEFT & around.words and not around.total and source.columns & _LEFT and not fact.columns & _LEFT:
        return False
    if around.cited is None and not _touches(fact, around, source):
        return False
    if not _in_best_row(fact, around, source, reading):
        return False
    if around.cited is None and _named_another(fact, around, source, reading):
        return False
    columns = {
        word for word in reading.index.columns(fact.key, fact.unit) if len(word) > 1 and word not in _UNINFORMATIVE
    } & around.words
    if columns & _LEFT and not around.total:
        columns &= _LEFT
    return around.total or not columns or bool(fact.columns & columns) or bool(fact.about & columns)


def _event(around: Context, row: frozenset[str]) -> bool:
    """Whether it is events that are counted, and the line says nothing of such."""
    following = re.match(r"\s+([a-z]+)(?:\s+([a-z]+))?", around.after, re.IGNORECASE)
    nouns = {stem(word.lower()) for word in following.groups() if word} & EVENTS if following else set()
    return bool(nouns) and not nouns & row


def _named_another(fact: Fact, around: Context, source: Source, reading: Reading) -> bool:
    """Whether the words name another command by its id, and nothing of this fact's line."""
    if reading_row(source, fact) & (around.words.union(around.processes) - _UNINFORMATIVE):
        return False
    ids = {key for key, each in reading.index.sources.items() if not each.traced and words_of(key) & around.words}
    return bool(ids) and fact.key not in ids


def _touches(fact: Fact, around: Context, source: Source) -> bool:
    """Whether a word near the number stands in the fact's line, column, command or its id."""
    described = fact.about | fact.columns | source.topics | reading_row(source, fact)
    near = around.near.union(around.processes) - _UNINFORMATIVE
    if _share(near, described):
        return True
    return _share(around.wide - _UNINFORMATIVE, described)


def reading_row(source: Source, fact: Fact) -> frozenset[str]:
    """The words of a fact's line."""
    return source.rows.get(fact.row, fact.about)


def _share(words: frozenset[str], described: frozenset[str]) -> bool:
    if words & described:
        return True
    longer = [word for word in words if len(word) >= 4 and not word.isdigit()]
    return any(
        other.startswith(word) or (len(other) >= 4 and word.startswith(other)) for word in longer for other in described
    )


def _in_best_row(fact: Fact, around: Context, source: Source, reading: Reading) -> bool:
    """Whether no other line has more of the words that stand with the number."""
    words = around.words.union(around.processes) - _UNINFORMATIVE
    place = (fact.key, fact.unit)
    if place not in around.best_rows:
        rows = reading.index.rows(fact.key, fact.unit)
        around.best_rows[place] = max((len(_hits(words, source.rows.get(row, frozenset()))) for row in rows), default=0)
    best = around.best_rows[place]
    return not best or around.total or fact.row < 0 or len(_hits(words, reading_row(source, fact))) == best


def _hits(words: frozenset[str], row: frozenset[str]) -> frozenset[str]:
    return words & row
