# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: the facts in what commands printed, and in what was told of the host.

Every number of an output is a fact of its line and, where the output is a table, of its column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Optional

from .facts import SYSTEM, Fact, Index, Source, words_of
from .units import BYTES, PERCENT, PLAIN, SECONDS, measured
from .vocabulary import STALLS, word_set

MAX_CHARACTERS = 256 * 1024
"""Characters of one output that are looked at."""

_VALUE = re.compile(r"(?<![\w.])[-+]?(\d+(?:,\d{3})+|\d+(?:\.\d+)?)\s?([A-Za-zµ%]{1,5}(?:/s)?)?(?![\w])")
_LABEL = re.compile(r"^\s*([A-Za-z][\w .()/%+-]{0,60}?)\s*[:=\t]\s*(?=\S)")
_HEADER = re.compile(r"^[A-Z%#a-z][^0-9:=]*$|^.*\b(PID|USE%|Use%|IUse%|1K-blocks|Filesystem)\b")
_SOCKET_USER = re.compile(r'\("([^"]+)",pid=(\d+)')
_LISTENING = re.compile(r"\b(LISTEN|UNCONN)\b.*?[\]*\d]:(\d+)\s")
_LISTS_LISTENERS = re.compile(r"\b(ss|netstat)\b.*\s-\w*l")
_KIB_COLUMNS = word_set("rss vsz rssize sz")
_PID_COLUMNS, _NAME_COLUMNS = ("pid",), ("command", "comm", "cmd", "name", "args", "ucmd")
_UNITS_BY_OPTION = {"-m": 2, "--mebi": 2, "-g": 3, "--gibi": 3, "-k": 1, "--kibi": 1, "-b": 0, "--bytes": 0}
_LARGEST = 1e300
_LONGEST_LINE = 2000
_LONGEST_NUMBER = 30
_PRESSURE = re.compile(r"/proc/pressure/(cpu|io|memory|irq)\b")
_STALLED = re.compile(r"\bavg\d+=$")
_MEASURING = frozenset(("vmstat", "iostat", "sar", "pidstat", "mpstat"))
_WORD_SPLIT = re.compile(r"\S+")


def add_command(index: Index, result: dict[str, Any]) -> None:
    """Takes what a command answered."""
    key, command = str(result.get("id", "")), str(result.get("command", ""))
    source = index.sources.setdefault(key, Source(key, False))
    source.command = frozenset(command.split())
    source.topics = words_of(f"{key} {command}").union(*(STALLS[what] for what in _PRESSURE.findall(command)))
    for text in (command, str(result.get("reason") or "")):
        index.read(source, text)
    for name, unit in (("exit_code", PLAIN), ("duration_s", SECONDS)):
        value: Any = result.get(name)
        if _is_number(value):
            index.add(Fact(key, float(value), unit, name, about=frozenset({"exit", "code", "took"})))
    output = str(result.get("output") or "")[: min(MAX_CHARACTERS, index.room)]
    index.room -= len(output)
    index.read(source, output)
    if result.get("exit_code") == 0 and _LISTS_LISTENERS.search(command):
        source.listening = {found[1] for found in _LISTENING.findall(output)}
    lines = output.splitlines()
    source.lines = [line.lower() for line in lines]
    source.programs = frozenset(re.findall(r"(?:^|[|;&]\s*)([\w./-]+)", command))
    index.add(Fact(key, float(len(lines)), PLAIN, "lines", about=frozenset({"line", "lines"})))
    for found in re.findall(r"\bsleep (\d{1,4})\b", command):
        index.add(Fact(key, float(found), SECONDS, "slept"))
    _pairs(source, lines)
    facts = list(_facts(source, command, lines))
    for fact in (
        *facts,
        *_differences(facts, source),
        *_shares_of_total(facts, source),
        *_shares_of_row(facts),
        *_means(facts, source),
    ):
        index.add(fact)


def add_system(index: Index, told: dict[str, Any], capabilities: Any = None) -> None:
    """Takes what was told of the host at the start; of what its eBPF can do, the words alone."""
    source = index.sources.setdefault(SYSTEM, Source(SYSTEM, False))
    memory = told.get("memory_mib")
    if isinstance(memory, dict) and _is_number(memory.get("total")) and memory["total"] > 0:
        for name, value in memory.items():
            if _is_number(value):
                about = words_of(f"memory {name}")
                index.add(Fact(SYSTEM, 100.0 * value / memory["total"], PERCENT, "row", about=about))
    for labels, value in _leaves(capabilities, ()):
        index.read(source, " ".join(labels))
        if isinstance(value, str):
            index.read(source, value)
    for number, (labels, value) in enumerate(_leaves(told, ())):
        words = words_of(" ".join(labels))
        if _is_number(value):
            unit, scale = PLAIN, 1.0
            if "mib" in words:
                unit, scale = BYTES, 1024.0**2
            elif "percent" in words:
                unit = PERCENT
            elif labels[0] == "pressure":
                unit = PERCENT
                words = words.union(*(STALLS.get(label, ()) for label in labels))
            elif labels[-1].endswith("_s"):
                unit = SECONDS
            index.add(Fact(SYSTEM, float(value) * scale, unit, "row", about=words, row=number))
            source.rows[number] = words
            if "load" in words:
                index.add(Fact(SYSTEM, round(float(value), 2), PLAIN, "row", about=words, row=number))
        elif isinstance(value, str):
            index.read(source, value)
        index.read(source, " ".join(labels))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST


def _leaves(value: Any, labels: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and len(labels) < 8:
        for name, part in value.items():
            yield from _leaves(part, (*labels, str(name)))
    elif isinstance(value, list) and len(labels) < 8:
        for part in value:
            yield from _leaves(part, labels)
    else:
        yield labels, value


def _facts(source: Source, command: str, lines: list[str]) -> Iterator[Fact]:
    scale = _scale_of(command)
    header: list[tuple[int, int, str]] = []
    head: Optional[str] = None
    columns: set[str] = set()
    listing = command.startswith("ls ")
    for number, line in enumerate(lines):
        line = line[:_LONGEST_LINE].replace("Mounted on", "Mounted_on")
        if head is not None and line.split() == head.split():
            continue
        if _is_header(line, lines, number):
            header = [(found.start(), found.end(), found.group()) for found in _WORD_SPLIT.finditer(line)]
            head = line
            columns |= words_of(line)
            continue
        label = _LABEL.match(line)
        all_words = _words_but_numbers(line)
        words = _words_but_numbers(label.group(1)) if label and head is None else all_words
        numbers = [found for found in _VALUE.finditer(line) if len(found.group(1)) <= _LONGEST_NUMBER]
        if numbers:
            # Of a line the words say what it is about; numbers in it do not.
            source.rows[number] = all_words
        for place, found in enumerate(numbers):
            column = _column(header, found, line)
            suffix = found.group(2) or ""
            apart = bool(suffix) and not found.group().endswith(found.group(1) + suffix)
            value, unit = measured(found.group(1), "" if apart and (head is not None or listing) else suffix)
            if unit == PLAIN and _STALLED.search(line, 0, found.start()):
                unit = PERCENT
            elif unit == PLAIN:
                value, unit = _by_column(value, column, head, scale, command, place, source.key)
            about = words if words is all_words else words | _near(line, found)
            yield Fact(source.key, value, unit, "row", about=about, columns=words_of(column), row=number)
    source.columns = frozenset(word for word in columns if not word.isdigit())


def _differences(facts: list[Fact], source: Source) -> Iterator[Fact]:
    """How much a number grew between two readings: of lines that differ in their numbers alone."""
    places: dict[tuple[frozenset[str], str, frozenset[str]], list[Fact]] = {}
    for fact in facts:
        places.setdefault((source.rows[fact.row], fact.unit, fact.columns), []).append(fact)
    for both in places.values():
        rows = {fact.row for fact in both}
        if len(rows) == 2 and len(both) % 2 == 0:
            half = len(both) // 2
            for one, other in zip(both[:half], both[half:]):
                yield replace(other, value=other.value - one.value)


def _shares_of_total(facts: list[Fact], source: Source) -> Iterator[Fact]:
    """Shares of what a line calls the total, such as MemTotal, for the lines of its unit."""
    total = next((fact for fact in facts if any(word.endswith("total") for word in source.rows[fact.row])), None)
    if total is None or total.value <= 0 or not source.command & {"/proc/meminfo"}:
        return
    for fact in facts:
        if fact.unit == total.unit and fact.value < total.value:
            yield replace(fact, value=100.0 * fact.value / total.value, unit=PERCENT)


def _means(facts: list[Fact], source: Source) -> Iterator[Fact]:
    """What programs that measure again and again show on average, also without the first line, which is since boot."""
    if not source.programs & _MEASURING:
        return
    columns: dict[tuple[frozenset[str], str], list[Fact]] = {}
    for fact in facts:
        if fact.columns:
            columns.setdefault((fact.columns, fact.unit), []).append(fact)
    for column in columns.values():
        for several in (column, column[1:]):
            if len(several) > 1:
                yield replace(several[-1], value=round(sum(fact.value for fact in several) / len(several)))


def _shares_of_row(facts: list[Fact]) -> Iterator[Fact]:
    """Shares of the largest number in a line of a table, which is the whole."""
    rows: dict[tuple[int, str], list[Fact]] = {}
    for fact in facts:
        if fact.columns:
            rows.setdefault((fact.row, fact.unit), []).append(fact)
    for line in rows.values():
        whole = max(fact.value for fact in line)
        largest = sum(1 for fact in line if fact.value == whole)
        for fact in line:
            # The whole is no share of itself.
            if whole > 0 and fact.unit in (PLAIN, BYTES) and (fact.value < whole or largest > 1):
                yield replace(fact, value=100.0 * fact.value / whole, unit=PERCENT, what="share")


def _words_but_numbers(text: str) -> frozenset[str]:
    return frozenset(word for word in words_of(text) if not word.isdigit())


def _near(line: str, found: re.Match[str]) -> frozenset[str]:
    """The words before a number in its line, such as the `estab` of `TCP: 12 (estab 8`."""
    return words_of(line[max(0, found.start() - 40) : found.start()])


def _is_header(line: str, lines: list[str], number: int) -> bool:
    following = lines[number + 1] if number + 1 < len(lines) else ""
    if number > 2 or not re.search(r"\d", following) or "=" in line:
        return False
    words = line.split()
    named = sum(1 for word in words if not re.fullmatch(r"[-+\d.,:%]+[A-Za-z%]?", word))
    return len(words) >= 2 and named == len(words) and not _LABEL.match(line) and len(following.split()) >= 2


def _column(header: list[tuple[int, int, str]], found: re.Match[str], line: str) -> str:
    """The header above a number: by the place of its word, else the one that it overlaps."""
    words = line.split()
    if header and len(words) >= len(header) and header[0][0] <= len(line) - len(line.lstrip()) + len(words[0]):
        place = len(line[: found.start()].split())
        return header[min(place, len(header) - 1)][2]
    return next((name for start, end, name in header if start < found.end() and found.start() < end), "")


def _scale_of(command: str) -> Optional[float]:
    words = command.split()
    if not words or words[0] not in ("free", "df", "du", "vmstat"):
        return None
    if words[0] == "df" and any(word.startswith("-") and "i" in word for word in words[1:]):
        return None
    for word in words[1:]:
        if word in _UNITS_BY_OPTION:
            return 1024.0 ** _UNITS_BY_OPTION[word]
    return 1024.0 if words[0] in ("free", "df", "du") else None


def _by_column(
    value: float, column: str, head: Optional[str], scale: Optional[float], command: str, place: int, key: str
) -> tuple[float, str]:
    """The unit that a column or the command's options give to a bare number."""
    name = column.lower()
    if name in _KIB_COLUMNS:
        return value * 1024.0, BYTES
    if name in ("%cpu", "%mem", "%") or name.endswith("%"):
        return value, PERCENT
    if name in ("elapsed", "etimes"):
        return value, SECONDS
    if scale is not None and head is not None:
        return value * scale, BYTES
    if command.startswith("ls ") and re.search(r"\s-\w*l", command) and value >= 10:
        return value, BYTES
    return value, PLAIN


def _pairs(source: Source, lines: list[str]) -> None:
    """Which process has which pid: of ps, of ss -p, of /proc/PID/status."""
    places: Optional[tuple[int, int]] = None
    name = ""
    for line in lines:
        for user, pid in _SOCKET_USER.findall(line):
            source.meet(user, pid)
        words = line.split()
        if places is None:
            places = _places([word.lower() for word in words])
        elif len(words) > max(places) and words[places[0]].isdigit():
            called = words[places[1]]
            source.meet(called, words[places[0]])
            source.meet(called.rpartition("/")[2], words[places[0]])
        if line.startswith("Name:"):
            name = line[5:].strip().lower()
        elif line.startswith("Pid:") and name:
            source.meet(name, line[4:].strip())


def _places(words: list[str]) -> Optional[tuple[int, int]]:
    pid = next((words.index(name) for name in _PID_COLUMNS if name in words), None)
    called = next((words.index(name) for name in _NAME_COLUMNS if name in words), None)
    return None if pid is None or called is None else (pid, called)
