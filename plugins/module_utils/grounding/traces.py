# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: the facts of what an eBPF program saw.

What a result says of a probe that was not attached is no fact: nothing is known then.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Optional

from .facts import Fact, Index, Source, lowered, words_of
from .units import BYTE_RATE, BYTES, PLAIN, RATE, SECONDS
from .vocabulary import word_set

_PAGE = 4096
_PLUMBING = word_set(
    """
    syscalls raw sys enter exit sched tcp inet sock kmem mm process exceptions user state set oom irq handler
    entry monitor trace events probe raw_syscalls
    """
)
_LARGEST = 1e300
_MANY_EVENTS = 400
_SIZES = ("count", "size", "len", "length", "bytes", "nbytes", "bytes_req", "bytes_alloc")
_FIGURES = {
    "duration_s": ("window", SECONDS, 1.0),
    "thinned_after_s": ("window", SECONDS, 1.0),
    "detached_after_s": ("window", SECONDS, 1.0),
    "missed": ("missed", PLAIN, 1.0),
    "own_events": ("own_events", PLAIN, 1.0),
    "events_not_carried": ("not_carried", PLAIN, 1.0),
    "returns_missed": ("missed", PLAIN, 1.0),
}


def add_trace(index: Index, key: str, result: dict[str, Any]) -> None:
    """Takes the result of a program."""
    source = _source(key, result)
    index.sources[key] = source
    for text in _texts(result):
        index.read(source, text)
    index.read(source, key)
    if not source.attached:
        return
    for fact in _facts(source, result):
        index.add(fact)


def _source(key: str, result: dict[str, Any]) -> Source:
    target = str(result.get("target") or "")
    name = str(result.get("program_name") or key.rpartition("_")[0])
    pieces = words_of(f"{target} {name}")
    topics = {piece for piece in pieces if piece not in _PLUMBING and not piece.startswith("sys_")}
    call = re.sub(r"^.*sys_(enter|exit)_", "", target)
    if call != target:
        topics |= {call, re.sub(r"(at2?|from|\d+|v|to|msg)$", "", call)}
    if "recv" in call:
        topics |= {"receive", "recv"}
    source = Source(key, True, frozenset(topics - {""}), attached=not result.get("error"))
    source.nouns = pieces
    source.syscalls = lowered(_dict(result.get("by_syscall")))
    return source


def _facts(source: Source, result: dict[str, Any]) -> Iterator[Fact]:
    key, seconds = source.key, _number(result.get("duration_s")) or 0.0
    source.count = _number(result.get("event_count")) or 0.0
    yield from _count(key, source.count, seconds, "total")
    for name, (what, unit, scale) in _FIGURES.items():
        value = _number(result.get(name))
        if value is not None:
            yield Fact(key, value * scale, unit, what, about=frozenset({name}))
    if source.count and seconds:
        yield Fact(key, seconds / source.count, SECONDS, "interval")
    yield from _processes(source, result, seconds)
    yield from _results(source, result, seconds)
    yield from _failures(source, result, seconds)
    yield from _breakdowns(source, result, seconds)
    yield from _durations(source, result)
    yield from _sample(source, result, seconds)


def _count(
    key: str,
    value: float,
    seconds: float,
    what: str,
    who: frozenset[str] = frozenset(),
    about: frozenset[str] = frozenset(),
) -> Iterator[Fact]:
    """A count, and how many that is a second."""
    yield Fact(key, value, PLAIN, what, who, about)
    if seconds > 0:
        yield Fact(key, value / seconds, RATE, what, who, about)


def _processes(source: Source, result: dict[str, Any], seconds: float) -> Iterator[Fact]:
    counts: dict[str, float] = defaultdict(float)
    errors: dict[str, float] = defaultdict(float)
    pids: dict[str, int] = defaultdict(int)
    listed = _entries(result.get("by_process"))
    knows_errors = any("errors" in entry for entry in listed)
    for entry in listed:
        name, pid = str(entry.get("process_name", "")).lower(), str(entry.get("process_id", ""))
        source.meet(name, pid)
        count, failed = _number(entry.get("count")) or 0.0, _number(entry.get("errors")) or 0.0
        counts[name] += count
        errors[name] += failed
        pids[name] += 1
        yield from _count(source.key, count, seconds, "count", frozenset({name, pid}))
        if count and seconds:
            yield Fact(source.key, seconds / count, SECONDS, "interval", frozenset({name, pid}))
        if knows_errors:
            yield from _count(source.key, failed, seconds, "errors", frozenset({name, pid}))
            yield from _count(source.key, count - failed, seconds, "ok", frozenset({name, pid}))
    for name, several in pids.items():
        yield Fact(source.key, several, PLAIN, "pids", frozenset({name}))
        if several > 1:
            yield from _count(source.key, counts[name], seconds, "count", frozenset({name}))
            yield from _count(source.key, errors[name], seconds, "errors", frozenset({name}))
    if knows_errors:
        source.failed = dict(errors)
    source.complete = not result.get("by_process_other") and "by_process" not in _dict(result.get("left_out"))


def _results(source: Source, result: dict[str, Any], seconds: float) -> Iterator[Fact]:
    by_result = result.get("by_result")
    if not isinstance(by_result, dict):
        return
    failed = 0.0
    for name, value in by_result.items():
        count = _number(value) or 0.0
        failed += 0.0 if name == "ok" else count
        kind = "ok" if name == "ok" else "errors"
        yield from _count(source.key, count, seconds, kind, about=frozenset({str(name).lower()}))
    source.errors = failed
    yield from _count(source.key, failed, seconds, "errors")
    yield from _count(source.key, _number(by_result.get("ok")) or 0.0, seconds, "ok")
    yield Fact(source.key, failed + (_number(by_result.get("ok")) or 0.0), PLAIN, "total")


def _failures(source: Source, result: dict[str, Any], seconds: float) -> Iterator[Fact]:
    sums: dict[tuple[str, str], float] = defaultdict(float)
    by_key: dict[tuple[str, frozenset[str]], float] = defaultdict(float)
    for entry in _entries(result.get("failures")):
        name, error = str(entry.get("process_name", "")).lower(), str(entry.get("error", "")).lower()
        count = _number(entry.get("count")) or 0.0
        about = lowered([error, entry.get("key"), entry.get("syscall")])
        source.meet(name, entry.get("process_id"))
        source.pairs.add((name, error))
        sums[name, error] += count
        by_key[name, about] += count
        yield from _count(
            source.key, count, seconds, "errors", frozenset({name, str(entry.get("process_id", ""))}), about
        )
    by_call: dict[tuple[str, str], float] = defaultdict(float)
    for entry in _entries(result.get("failures")):
        by_call[str(entry.get("syscall", "")).lower(), str(entry.get("error", "")).lower()] += (
            _number(entry.get("count")) or 0
        )
    if by_call:
        yield from _count(source.key, sum(by_call.values()), seconds, "errors")
    for (call, error), total in by_call.items():
        yield from _count(source.key, total, seconds, "errors", about=frozenset({call, error}))
    for (name, about), total in by_key.items():
        yield from _count(source.key, total, seconds, "errors", frozenset({name}), about)
    for (name, error), total in sums.items():
        yield from _count(source.key, total, seconds, "errors", frozenset({name}), frozenset({error}))


def _breakdowns(source: Source, result: dict[str, Any], seconds: float) -> Iterator[Fact]:
    for entry in _entries(result.get("by_key")):
        name = str(entry.get("key", "")).lower()
        about = frozenset({name, *name.split()})
        # Where the key is a process (of an exec, of an exit), the figure is of that process.
        who = frozenset({name}) if name in source.processes else frozenset()
        who |= frozenset(part for part in name.split()[1:] if part in source.processes)
        yield from _count(source.key, _number(entry.get("count")) or 0.0, seconds, "key", who, about)
    for name, value in _dict(result.get("by_syscall")).items():
        about = frozenset({str(name).lower()})
        yield from _count(source.key, _number(value) or 0.0, seconds, "syscall", about=about)


def _durations(source: Source, result: dict[str, Any]) -> Iterator[Fact]:
    for name, value in _dict(result.get("latency_us")).items():
        number = _number(value)
        if number is not None:
            yield Fact(source.key, number / 1e6, SECONDS, str(name))
    flight = _dict(result.get("in_flight"))
    if flight:
        yield Fact(source.key, _number(flight.get("count")) or 0.0, PLAIN, "waiting")
    for event in _entries(flight.get("events")):
        source.meet(event.get("process_name"), event.get("process_id"))
        elapsed = _number(_dict(event.get("data")).get("elapsed_us"))
        if elapsed is not None:
            yield Fact(source.key, elapsed / 1e6, SECONDS, "elapsed", _who(event), _told(event))


def _sample(source: Source, result: dict[str, Any], seconds: float) -> Iterator[Fact]:
    sizes: set[float] = set()
    shown: dict[tuple[str, str], int] = defaultdict(int)
    for event in _entries(result.get("events"))[:_MANY_EVENTS]:
        who, told = _who(event), _told(event)
        _meet(source, event)
        for name, value in _dict(event.get("data")).items():
            number = _number(value)
            if number is None:
                shown[name, str(value).lower()[:300]] += 1
                continue
            if name.endswith("_us"):
                yield Fact(source.key, number / 1e6, SECONDS, "event", who, told)
            elif name in _SIZES:
                sizes.add(number)
                yield Fact(source.key, number, BYTES, "size", who, told)
            else:
                yield Fact(source.key, number, PLAIN, "field", who, told, words_of(name))
        for number in _pages(result, event):
            sizes.add(number)
    for (_name, value), times in shown.items():
        yield Fact(source.key, times, PLAIN, "sampled", about=frozenset({value}))
    if len(sizes) == 1:
        yield from _moved(source, result, sizes.pop(), seconds)


def _pages(result: dict[str, Any], event: dict[str, Any]) -> Iterator[float]:
    order = _number(_dict(event.get("data")).get("order"))
    if "page_alloc" in str(result.get("target")) and order is not None and 0 <= order < 20:
        yield _PAGE * 2.0**order


def _moved(source: Source, result: dict[str, Any], size: float, seconds: float) -> Iterator[Fact]:
    """What the calls come to where each one of the sample is about as many bytes."""
    of_whom: list[tuple[float, frozenset[str]]] = [(source.count, frozenset())]
    for entry in _entries(result.get("by_process")):
        of_whom.append((_number(entry.get("count")) or 0.0, _who(entry)))
    for count, who in of_whom:
        yield Fact(source.key, size * count, BYTES, "total", who)
        if seconds:
            yield Fact(source.key, size * count / seconds, BYTE_RATE, "total", who)


def _meet(source: Source, event: dict[str, Any]) -> None:
    """Keeps which process has which pid: who caused an event, and whom its data names."""
    data = _dict(event.get("data"))
    source.meet(event.get("process_name"), event.get("process_id"))
    for begin in ("", "prev_", "next_", "parent_", "child_"):
        name, pid = data.get(f"{begin}comm"), data.get(f"{begin}pid")
        if isinstance(name, str) and name and _number(pid) is not None:
            source.meet(name, pid)


def _who(event: dict[str, Any]) -> frozenset[str]:
    return lowered([event.get("process_name"), event.get("process_id")])


def _told(event: dict[str, Any]) -> frozenset[str]:
    """The names in an event's data: paths, addresses, errors."""
    return lowered(value for value in _dict(event.get("data")).values() if isinstance(value, str) and len(value) < 300)


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """All names and texts of a result, its keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and depth < 8:
        for name, part in value.items():
            yield str(name)
            yield from _texts(part, depth + 1)
    elif isinstance(value, list) and depth < 8:
        for part in value:
            yield from _texts(part, depth + 1)


def _entries(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> Optional[float]:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LARGEST:
        return None
    return float(value)
