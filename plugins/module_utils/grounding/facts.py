# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: what was collected, as facts that a claim can be looked up among.

A fact is a number with its unit, the result that it stands in and what it is of. Names, paths and addresses are kept as
whole words: a part of a longer one is not found. Building takes time in proportion to the evidence.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Optional

from .units import Quantity

SYSTEM = "system"
"""The key of what was told of the host at the start."""

MAX_FACTS = 60_000
"""Facts that are kept; what comes after is as if it had not been collected. Some 25 MiB."""

MAX_CHARACTERS = 1024 * 1024
"""Characters of all outputs that are looked at."""

_DEEPEST = 40
_ROWS_COMPARED = 1000

_WORD = re.compile(r"[^\s\"'`,;|<>(){}\[\]]+")
_PIECE = re.compile(r"[A-Za-z0-9_%][\w%]*(?:[.\-+:/@][\w%]+)*")
_PART = re.compile(r"\w+")
_SMALLER = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ADDRESS = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3})(?:[:#](\d{1,5}))?(?![\w.]*\d)")
_V6 = re.compile(r"\[?([0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})\]?(?::(\d{1,5}))?")
_PATH = re.compile(r"(?<![\w.\-/])/(?:[\w.@+\-:=%~]+/?)+")


@dataclass(frozen=True)
class Fact:
    """A number of a result: `unit` as in `units`, `what` it is a figure of, `who` it is of, where that is known.

    `what`: the kind, such as ``count``, ``errors``, ``p50``, ``row``. `about`: lower-case words, names, addresses.
    `columns`: words of the column in a table.
    """

    key: str
    value: float
    unit: str
    what: str
    who: frozenset[str] = frozenset()
    about: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()
    row: int = -1


@dataclass
class Source:
    """One result: a program's, a command's or what was told of the host."""

    key: str
    traced: bool
    topics: frozenset[str] = frozenset()
    nouns: frozenset[str] = frozenset()
    """All words of a program's name and target."""
    processes: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Names of processes with their pids."""
    syscalls: frozenset[str] = frozenset()
    attached: bool = True
    count: float = 0.0
    errors: Optional[float] = None
    """Calls that failed; None where the result cannot tell."""
    failed: dict[str, float] = field(default_factory=dict)
    """Failures by process; what is not listed did not fail, where `complete`."""
    pairs: set[tuple[str, str]] = field(default_factory=set)
    """(process, error) as they were seen."""
    complete: bool = True
    rows: dict[int, frozenset[str]] = field(default_factory=dict)
    columns: frozenset[str] = frozenset()
    words: set[str] = field(default_factory=set)
    text: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    programs: frozenset[str] = frozenset()
    """What a command line runs."""
    listening: Optional[set[str]] = None
    """Ports that this result lists as listened on; None where it is no such list."""
    command: frozenset[str] = frozenset()

    def meet(self, name: object, pid: object) -> None:
        """Keeps which process has which pid."""
        if name not in (None, ""):
            self.processes[str(name).lower()].add(str(pid))

    def sole(self, name: str) -> bool:
        """Whether all that was counted is of one process."""
        return list(self.processes) == [name]


class Index:
    """All facts, found by value, and all names, found whole."""

    def __init__(self) -> None:
        self.sources: dict[str, Source] = {}
        self.room = MAX_CHARACTERS
        self.facts: list[Fact] = []
        self.words: dict[str, set[str]] = defaultdict(set)
        self.ports: dict[str, set[str]] = defaultdict(set)
        self.folded: dict[str, str] = {}
        self._by_unit: dict[str, list[Fact]] = {}
        self._values: dict[str, list[float]] = {}
        self._of: dict[str, list[Fact]] = defaultdict(list)
        self._columns: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._rows: dict[tuple[str, str], set[int]] = defaultdict(set)
        self.processes: dict[str, list[str]] = defaultdict(list)
        """The results that show a process, by its name."""
        self.pids: dict[str, set[str]] = defaultdict(set)
        """The results that show a process, by its pid."""

    def add(self, fact: Fact) -> None:
        """Keeps a fact, as long as there is room."""
        if len(self.facts) < MAX_FACTS:
            self.facts.append(fact)

    def read(self, source: Source, text: str) -> None:
        """Takes the words, addresses and paths of a text of this source."""
        source.text.append(" ".join(text.lower().split()))
        names = self.words
        for word in _WORD.findall(text):
            lowered = word.lower().strip(".,:")
            parts = (*_PART.findall(lowered), *_SMALLER.findall(lowered)) if len(lowered) < 200 else ()
            for each in {lowered, *_PIECE.findall(lowered), *parts}:
                names[each].add(source.key)
                source.words.add(each)
        for path in _PATH.findall(text):
            self._path(path.rstrip("/.:"), source.key)
        self._addresses(text, source.key)

    def _path(self, path: str, key: str) -> None:
        parts = path.lower().split("/")
        self.words[path.lower()].add(key)
        for end in range(2, min(len(parts), _DEEPEST) + 1):
            self.words["/".join(parts[:end])].add(key)
        self.words[parts[-1]].add(key)

    def _addresses(self, text: str, key: str) -> None:
        for pattern in (_ADDRESS, _V6):
            for host, port in pattern.findall(text):
                self.words[host.lower()].add(key)
                if port:
                    bracketed = f"[{host}]" if ":" in host else host
                    self.words[f"{bracketed}:{port}".lower()].add(key)
                    self.ports[port].add(key)

    def finish(self) -> None:
        """Sorts; to be called once, when all has been read."""
        groups: dict[str, list[Fact]] = defaultdict(list)
        for fact in self.facts:
            groups[fact.unit].append(fact)
            self._of[fact.key].append(fact)
            self._columns[fact.key, fact.unit].update(word for word in fact.columns if not word.isdigit())
            if 0 <= fact.row < _ROWS_COMPARED:
                self._rows[fact.key, fact.unit].add(fact.row)
        for key, source in self.sources.items():
            for name, pids in source.processes.items():
                self.processes[name].append(key)
                for pid in pids:
                    self.pids[pid].add(key)
        for unit, facts in groups.items():
            facts.sort(key=lambda fact: fact.value)
            self._by_unit[unit] = facts
            self._values[unit] = [fact.value for fact in facts]

    def of(self, key: str) -> list[Fact]:
        """The facts of a result."""
        return self._of.get(key, [])

    def columns(self, key: str, unit: str) -> set[str]:
        """The words of the columns in which a result has numbers of a unit."""
        return self._columns.get((key, unit), set())

    def rows(self, key: str, unit: str) -> set[int]:
        """The lines in which a result has numbers of a unit; the first thousand."""
        return self._rows.get((key, unit), set())

    def between(self, unit: str, low: float, high: float) -> list[Fact]:
        """The facts of a unit with a value from `low` to `high`, at most some thousands."""
        values = self._values.get(unit, [])
        start, end = bisect_left(values, low), bisect_right(values, high)
        return self._by_unit[unit][start : min(end, start + 4000)] if values else []

    def like(self, claimed: Quantity, unit: str) -> list[Fact]:
        """The facts of a unit that may be written as the claimed quantity."""
        found: list[Fact] = []
        for value, off in zip(claimed.values, claimed.tolerance):
            slack = off + 1e-9 * abs(value)
            found += self.between(unit, value - slack, value + slack)
        return found

    def keys_of(self, name: str) -> set[str]:
        """The results in which a word, path or address stands as such."""
        return self.words.get(name.lower(), set())

    def says(self, phrase: str) -> list[str]:
        """The results whose text holds a phrase, between word boundaries; white space and case do not count."""
        wanted = " ".join(phrase.lower().split())
        # A quote that says that it is cut off may end within a word.
        whole = wanted.rstrip(".…")
        end = "" if wanted.endswith(("…", "...")) else r"(?!\w)"
        pattern = re.compile(rf"(?<!\w){re.escape(whole)}{end}")
        return [key for key, source in self.sources.items() if any(pattern.search(text) for text in source.text)]


@lru_cache(maxsize=16384)
def words_of(text: str) -> frozenset[str]:
    """The words of a text in lower case, whole and in parts, without the endings of plurals and participles as well."""
    found: set[str] = set()
    for piece in _PIECE.findall(text):
        lowered_piece = piece.lower()
        found.add(lowered_piece)
        found.update(_PART.findall(lowered_piece))
        found.update(part for word in _CAMEL.split(piece) for part in _SMALLER.findall(word.lower()))
    stems = {stem(word) for word in found}
    stems |= {word[:-1] for word in found if len(word) > 3 and word.endswith("ed")}
    return frozenset(found | stems | {word[:-2] for word in found if len(word) > 4 and word.endswith("ed")})


def stem(word: str) -> str:
    """A word without the ending of a plural."""
    if word.endswith(("sses", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def lowered(values: Iterable[object]) -> frozenset[str]:
    """What is given, as lower-case words; empty ones left out."""
    return frozenset(str(value).lower() for value in values if value not in (None, ""))
