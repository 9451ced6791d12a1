# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three to six sentences of facts about a trace, the same for the same data. Private to the collection."""

from __future__ import annotations

from typing import Any

_FEWEST, _MOST = 3, 6
_NO_ERRORS = frozenset(("ok", "null", "true", "false"))
_ANSWERS = {"null": "no pointer", "false": "false", "true": "true"}  # which may mean that a call failed, or not


def summarise(result: dict[str, Any]) -> str:
    """The summary of a result that has all its other keys. What limits the numbers is said before what adorns them."""
    count, seconds = result["event_count"], result["duration_s"]
    what = f"{result['target']}{_filtered(result['filters'])}"
    limits = _limits(result)
    if count:
        first = f"{what} fired {_times(count)} in {seconds:.1f} s ({count / seconds:.1f} a second)."
        details = [
            *_processes(result, count),
            *_failures(result),
            *_keys(result),
            *_durations(result),
            *_syscalls(result),
        ]
    else:
        first, details = f"{what} did not fire in {seconds:.1f} s.", []
    said = [first, *details[: _MOST - 1 - len(limits)], *limits]
    return " ".join([*said, *_certainties(result)[: max(0, _FEWEST - len(said))]])


def _certainties(result: dict[str, Any]) -> list[str]:
    """What can be said of any trace, where there is not much else."""
    sentences = [f"It was attached as {' and '.join(result['attached_to'])}."]
    if result["exact"]:
        sentences.insert(0, "The count is exact: the kernel skipped none.")
    return sentences


def _limits(result: dict[str, Any]) -> list[str]:
    """At most five sentences: what is not in the numbers, and what is not in the sample."""
    sentences = [*_stand_in(result), *_costs(result)]
    if not result["exact"]:
        skipped = f", and skipped at least {result['missed']}" if result["missed"] else ""
        sentences.append(f"The count may be too low: the kernel does not say all that it skipped{skipped}.")
    waiting, dropped = result.get("in_flight", {}).get("count", 0), result.get("returns_missed", 0)
    under_way = [f"{_number(waiting, 'call')} had not returned when the trace ended"] if waiting else []
    over = [f"of {_number(dropped, 'call')} the return was not seen"] if dropped else []
    if under_way or over:
        said = "; ".join([*under_way, *over])
        sentences.append(f"{said[0].upper()}{said[1:]}.")
    parts = []
    if result["events_not_carried"]:
        parts.append(f"{len(result['events'])} of the events are carried here, spread over the trace")
    if result["own_events"]:
        parts.append(f"{result['own_events']} more, caused by this diagnosis itself, are not counted")
    return [*sentences, *(["; ".join(parts) + "."] if parts else [])]


def _stand_in(result: dict[str, Any]) -> list[str]:
    """That it was something else that fired, which may fire for more or for less."""
    function = result.get("type") in ("kprobe", "kretprobe") and "/" not in result["target"]
    if not function or not all("tracepoint:" in attached for attached in result["attached_to"]):
        return []
    return [f"What fired is a tracepoint that stands in for {result['target']}: notes say which, and how it differs."]


def _costs(result: dict[str, Any]) -> list[str]:
    """What was left out because it cost the host too much."""
    if "thinned_after_s" not in result:
        return []
    ended = f", and after {result['detached_after_s']:.1f} s it was detached" if "detached_after_s" in result else ""
    return [
        f"After {result['thinned_after_s']:.1f} s events were only counted{ended}, for it cost the host too much: what"
        " is said of results, durations and events is of the time before."
    ]


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _filtered(filters: dict[str, Any]) -> str:
    if not filters:
        return ""
    return " (" + ", ".join(f"{name} {value}" for name, value in filters.items()) + ")"


def _processes(result: dict[str, Any], count: int) -> list[str]:
    busiest = result["by_process"][:3]
    if not busiest:
        return []
    listed = ", ".join(
        f"{entry['process_name']} ({entry['process_id']}) with {entry['count']}" for entry in busiest if entry["count"]
    )
    others = count - sum(entry["count"] for entry in busiest)
    return [f"By process: {listed}" + (f", others with {others}." if others > 0 else ".")]


def _call(result: dict[str, Any], failure: dict[str, Any]) -> str:
    """Which call failed: the system call, or the function as it was asked for."""
    return str(failure.get("syscall") or result["target"])


def _keys(result: dict[str, Any]) -> list[str]:
    named = [entry for entry in result.get("by_key", []) if entry["key"]][:3]
    if not named:
        return []
    return ["Most often about " + ", ".join(f"{entry['key']} ({entry['count']})" for entry in named) + "."]


def _syscalls(result: dict[str, Any]) -> list[str]:
    calls = result.get("by_syscall", {})
    if len(calls) < 2:
        return []
    return ["Most frequent: " + ", ".join(f"{name} {number}" for name, number in list(calls.items())[:5]) + "."]


def _durations(result: dict[str, Any]) -> list[str]:
    took = result.get("latency_us")
    if not took:
        return []
    return [f"Half of the calls took up to {took['p50']:g} us, 99 % up to {took['p99']:g} us, one {took['max']:g} us."]


def _failures(result: dict[str, Any]) -> list[str]:
    if "failed_events" in result:
        return [f"{result['failed_events']} of them tell of a failure."] if result["failed_events"] else []
    if not result.get("by_result"):
        return []  # nothing returned, or nothing but counts was kept
    no_errors = _NO_ERRORS - ({"null"} if result.get("null_is_failure") else set())
    errors = {name: n for name, n in result["by_result"].items() if name not in no_errors}
    answers = [
        f"{result['by_result'][name]} returned {what}."
        for name, what in _ANSWERS.items()
        if name in result["by_result"] and name not in errors
    ]
    if not errors:
        return answers or ["None of the calls that returned failed."]
    listed = ", ".join(f"{number} {name}" for name, number in list(errors.items())[:4])
    sentence = f"{sum(errors.values())} failed: {listed}."
    if not result["failures"]:
        return [sentence, *answers]
    first = result["failures"][0]
    about = f" on {first['key']}" if first["key"] else ""
    return [
        sentence,
        f"The most frequent failure: {first['error']} of {_call(result, first)}{about} by {first['process_name']}"
        f" ({first['process_id']}), {_times(first['count'])}.",
    ]
