# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three to six sentences of facts about a trace, the same for the same data. Private to the collection."""

from __future__ import annotations

from typing import Any


def summarise(result: dict[str, Any]) -> str:
    """The summary of a result that has all its other keys."""
    count, seconds = result["event_count"], result["duration_s"]
    what = f"{result['target']}{_filtered(result['filters'])}"
    if count == 0:
        sentences = [f"{what} did not fire in {seconds:.1f} s."]
    else:
        sentences = [f"{what} fired {_times(count)} in {seconds:.1f} s ({count / seconds:.1f} a second)."]
        sentences += _processes(result, count)
        sentences += _syscalls(result)
        sentences += _failures(result)
    waiting = result.get("in_flight", {}).get("count", 0)
    if waiting:
        calls = "call" if waiting == 1 else "calls"
        sentences.append(f"{waiting} {calls} had not returned when the trace ended.")
    if result["events_not_carried"]:
        sentences.append(f"{len(result['events'])} of the events are carried here, spread over the trace.")
    if not result["exact"]:
        sentences.append(f"The count is not exact: the kernel skipped at least {result['missed']}.")
    if result["own_events"]:
        sentences.append(f"{result['own_events']} more were caused by this diagnosis itself and are not counted.")
    return " ".join(sentences[:6])


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


def _syscalls(result: dict[str, Any]) -> list[str]:
    calls = result.get("by_syscall", {})
    if len(calls) < 2:
        return []
    return ["Most frequent: " + ", ".join(f"{name} {number}" for name, number in list(calls.items())[:5]) + "."]


def _failures(result: dict[str, Any]) -> list[str]:
    if "by_result" not in result:
        return []
    errors = {name: number for name, number in result["by_result"].items() if name != "ok"}
    if not errors:
        return ["None of the calls that returned failed."]
    listed = ", ".join(f"{number} {name}" for name, number in list(errors.items())[:4])
    sentence = f"{sum(errors.values())} failed: {listed}."
    if not result["failures"]:
        return [sentence]
    first = result["failures"][0]
    about = f" on {first['key']}" if first["key"] else ""
    return [
        sentence,
        f"The most frequent failure: {first['error']} of {first['syscall']}{about} by {first['process_name']}"
        f" ({first['process_id']}), {_times(first['count'])}.",
    ]
