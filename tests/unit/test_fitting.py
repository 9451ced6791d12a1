# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model is shown of a round stays within its budget, and every cut is marked."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.fitting import as_json, fit_evidence, head_and_tail


def command(name: str, output: str) -> dict[str, Any]:
    return {"id": name, "command": f"cat {name}", "output": output, "exit_code": 0}


def event(number: int, **data: Any) -> dict[str, Any]:
    return {"timestamp": number, "process_id": 1, "process_name": "p", "event_type": "sys_enter_openat", "data": data}


def program(count: int, events: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"program_name": "opens", "event_count": count, "events": events, "summary": f"{count} opens.", **more}


def test_evidence_within_the_budget_is_untouched() -> None:
    collected = {"command_results": [command("a", "x")], "ebpf_results": {"opens_1": program(1, [event(1)])}}
    assert fit_evidence(collected, 10_000) is collected


def test_a_cut_output_keeps_its_head_and_tail_and_says_how_much_is_missing() -> None:
    output = "".join(f"line {number}\n" for number in range(20_000))
    fitted = fit_evidence({"command_results": [command("a", output)], "ebpf_results": {}}, 5_000)
    result = fitted["command_results"][0]
    shown = result["output"]
    assert shown.startswith("line 0\n")
    assert shown.endswith("line 19999\n")
    marked = re.search(r"\[… (\d+) characters left out here …\]", shown)
    assert marked is not None
    assert result["characters_left_out"] == int(marked[1]) == len(output) - len(shown) + len(marked[0]) + 2
    assert 4_000 < len(as_json(fitted)) <= 5_000


def test_short_outputs_stay_whole_beside_a_long_one() -> None:
    results = [command("long", "x" * 100_000), command("short", "tells it all")]
    fitted = fit_evidence({"command_results": results, "ebpf_results": {}}, 5_000)
    assert fitted["command_results"][1] == results[1]


def test_what_is_collected_is_not_changed_by_the_cut() -> None:
    collected = {
        "command_results": [command("a", "x" * 10_000)],
        "ebpf_results": {
            "opens_1": program(900, [event(n) for n in range(100)], by_process=[{"n": n} for n in range(99)])
        },
    }
    before = copy.deepcopy(collected)
    fit_evidence(collected, 2_000)
    assert collected == before


def test_the_slowest_event_outlasts_even_those_with_an_error() -> None:
    events = [event(n, path="/etc/hosts", error="ENOENT", duration_us=float(n % 7)) for n in range(1_000)]
    events[401] = event(401, path="/etc/hosts", duration_us=200_000.0)
    collected = {"command_results": [], "ebpf_results": {"opens_1": program(1_000, events)}}
    kept = fit_evidence(collected, 4_000)["ebpf_results"]["opens_1"]["events"]
    assert 1 < len(kept) < 100
    assert events[401] in kept


def test_events_with_an_error_outlast_the_others_and_the_sample_is_spread() -> None:
    events = [event(n, path="/etc/hosts") for n in range(1_000)]
    events[777] = event(777, path="/etc/hosts", error="ENOENT")
    collected = {"command_results": [], "ebpf_results": {"opens_1": program(5_000, events, events_not_carried=4_000)}}
    result = fit_evidence(collected, 8_000)["ebpf_results"]["opens_1"]
    times = [each["timestamp"] for each in result["events"]]
    assert 777 in times
    assert times == sorted(times)
    assert len([t for t in times if t < 500]) in range(len(times) * 2 // 5, len(times) * 3 // 5 + 2)
    assert result["events_not_carried"] == 5_000 - len(times)
    assert result["event_count"] == 5_000
    assert result["summary"] == "5000 opens."


def test_long_lists_are_shortened_and_counted_where_they_would_fill_the_budget() -> None:
    by_process = [{"process_id": n, "process_name": f"worker-{n}", "count": 1} for n in range(400)]
    collected = {"command_results": [], "ebpf_results": {"opens_1": program(400, [], by_process=by_process)}}
    result = fit_evidence(collected, 3_000)["ebpf_results"]["opens_1"]
    assert result["by_process"] == by_process[: len(result["by_process"])]
    assert result["left_out"] == {"by_process": 400 - len(result["by_process"])}


def test_what_json_cannot_say_becomes_text() -> None:
    assert json.loads(as_json({"a": float("nan"), "b": [float("inf")], "c": {1, 2} and object})) is not None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(max_size=3_000), max_size=16),
    st.lists(st.integers(0, 200), max_size=8),
    st.integers(8_000, 30_000),
)
def test_the_budget_holds_for_whatever_is_collected(outputs: list[str], samples: list[int], budget: int) -> None:
    collected = {
        "command_results": [command(str(index), output * 5) for index, output in enumerate(outputs)],
        "ebpf_results": {
            f"p{index}_1695902400": program(
                n, [event(i, path="é" * 30) for i in range(n)], by_process=[{"c": i} for i in range(n)]
            )
            for index, n in enumerate(samples)
        },
    }
    fitted = fit_evidence(collected, budget)
    assert len(as_json(fitted)) <= budget + 60 * len(outputs)
    assert [each["id"] for each in fitted["command_results"]] == [each["id"] for each in collected["command_results"]]
    for key, whole in collected["ebpf_results"].items():
        part = fitted["ebpf_results"][key]
        assert len(part["events"]) + part.get("events_not_carried", 0) == whole["event_count"]


@given(st.text(), st.integers(0, 50))
def test_head_and_tail_lose_nothing_but_what_they_count(text: str, keep: int) -> None:
    cut, missing = head_and_tail(text, keep)
    if not missing:
        assert cut == text
        return
    head, _mark, tail = cut.partition(f"\n[… {missing} characters left out here …]\n")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + missing + len(tail) == len(text)
