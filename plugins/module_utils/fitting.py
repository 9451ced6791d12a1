# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: fits the evidence of one round into the characters a model gets.

Only what the model is shown is cut; the whole stays in the diagnosis's result. Each cut is marked where it is, with
how much is missing.
"""

from __future__ import annotations

import json
import math
from typing import Any

_LISTS_KEPT = (20, 5)
"""Entries that lists such as by_process keep, tried in turn, where outputs and events would get too little."""

_FOR_OUTPUTS_AND_EVENTS = 0.4
_SAID = ("command", "reason", "error", "summary")
_LONGEST_SAID = 600
"""Characters that each of these keeps."""

_MARK = 60
"""Characters that a mark, or the key that counts what is missing, may take."""


def as_json(value: Any) -> str:
    """*value* as one line of JSON; what JSON cannot say (NaN, foreign types) is given as a string."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:
        return json.dumps(_sayable(value), ensure_ascii=False, default=str)


def fit_evidence(collected: dict[str, Any], budget: int) -> dict[str, Any]:
    """*collected* (command_results, ebpf_results), as it is where its JSON has at most *budget* characters, else cut.

    Outputs lose their middle (``characters_left_out`` says how much), samples of events are thinned, errors and the
    slowest last (``events_not_carried`` counts them), and long lists are shortened (``left_out`` counts their entries).
    """
    if len(as_json(collected)) <= budget:
        return collected
    commands = [_told_in_short(result) for result in collected["command_results"]]
    programs = {key: _told_in_short(result) for key, result in collected["ebpf_results"].items()}
    outputs = [str(result.get("output", "")) for result in commands]
    samples = [list(result.get("events") or []) for result in programs.values()]
    for result in commands:
        result["output"] = ""
    for result in programs.values():
        result["events"] = []
    room = budget - _length(commands, programs)
    for most in _LISTS_KEPT:
        if room < budget * _FOR_OUTPUTS_AND_EVENTS:
            programs = {key: _shortened(result, most) for key, result in programs.items()}
            room = budget - _length(commands, programs)
    sizes = [len(as_json(each)) for each in [*outputs, *samples]]
    shares = _shares(sizes, max(0, room - _MARK * len(sizes)))
    for result, text, share in zip(commands, outputs, shares):
        _put_output(result, text, share)
    for result, events, share in zip(programs.values(), samples, shares[len(outputs) :]):
        _put_events(result, events, share)
    return {"command_results": commands, "ebpf_results": programs}


def head_and_tail(text: str, keep: int) -> tuple[str, int]:
    """*text* with its middle replaced by a mark where it is longer than *keep*, and how many characters that took."""
    if len(text) <= keep:
        return text, 0
    head, tail = keep - keep // 2, keep // 2
    missing = len(text) - head - tail
    return f"{text[:head]}\n[… {missing} characters left out here …]\n{text[len(text) - tail :]}", missing


def _told_in_short(result: dict[str, Any]) -> dict[str, Any]:
    """The same, with what is said beside the evidence in at most some hundred characters each."""
    long = {name for name in _SAID if isinstance(result.get(name), str) and len(result[name]) > _LONGEST_SAID}
    return {name: head_and_tail(value, _LONGEST_SAID)[0] if name in long else value for name, value in result.items()}


def _length(commands: list[dict[str, Any]], programs: dict[str, dict[str, Any]]) -> int:
    return len(as_json({"command_results": commands, "ebpf_results": programs}))


def _shares(sizes: list[int], room: int) -> list[int]:
    """How much of *room* each gets: the small ones all they want, the large ones the same."""
    shares = [0] * len(sizes)
    waiting = sorted(range(len(sizes)), key=sizes.__getitem__)
    for position, index in enumerate(waiting):
        shares[index] = min(sizes[index], room // (len(waiting) - position))
        room -= shares[index]
    return shares


def _put_output(result: dict[str, Any], text: str, share: int) -> None:
    size = len(as_json(text))
    keep = len(text) if size <= share else max(0, int(len(text) * share / size) - _MARK)
    cut, missing = head_and_tail(text, keep)
    while keep and len(as_json(cut)) > share:
        keep = keep * 9 // 10
        cut, missing = head_and_tail(text, keep)
    result["output"] = cut
    if missing:
        result["characters_left_out"] = missing


def _put_events(result: dict[str, Any], events: list[Any], share: int) -> None:
    """As many events as fit: the slowest, then those with an error, then others, each kind spread over the window."""
    slowest = _slowest(events)
    failed = [i for i, event in enumerate(events) if i not in slowest and "error" in _data(event)]
    others = sorted(set(range(len(events))) - {*slowest, *failed})
    kept: list[int] = []
    room = share - 2
    for index in [*slowest, *_spread(failed), *_spread(others)]:
        room -= len(as_json(events[index])) + 2
        if room < 0:
            break
        kept.append(index)
    result["events"] = [events[index] for index in sorted(kept)]
    dropped = len(events) - len(kept)
    if dropped:
        result["events_not_carried"] = int(result.get("events_not_carried") or 0) + dropped


def _slowest(events: list[Any]) -> list[int]:
    """The index of the event that took longest; none where no durations are told."""
    took = {index: _data(event).get("duration_us") for index, event in enumerate(events)}
    known = {index: value for index, value in took.items() if isinstance(value, (int, float))}
    return [max(known, key=known.__getitem__)] if known else []


def _data(event: Any) -> dict[str, Any]:
    data = event.get("data") if isinstance(event, dict) else None
    return data if isinstance(data, dict) else {}


def _spread(indexes: list[int]) -> list[int]:
    """The same indexes in an order whose every beginning is spread over the whole (a van der Corput sequence)."""
    bits = max(1, len(indexes) - 1).bit_length()
    return [indexes[i] for i in sorted(range(len(indexes)), key=lambda i: int(f"{i:0{bits}b}"[::-1], 2))]


def _shortened(result: dict[str, Any], most: int) -> dict[str, Any]:
    short = dict(result)
    left_out = dict(short.get("left_out") or {})
    for key, value in result.items():
        if key in ("events", "notes", "left_out") or not isinstance(value, (list, dict)):
            continue
        if len(value) > max(most, 5):
            short[key] = value[:most] if isinstance(value, list) else dict(list(value.items())[:most])
            left_out[key] = left_out.get(key, 0) + len(value) - most
        elif isinstance(value, dict):
            short[key] = {name: part[:most] if isinstance(part, list) else part for name, part in value.items()}
    if left_out:
        short["left_out"] = left_out
    return short


def _sayable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _sayable(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_sayable(member) for member in value]
    return value
