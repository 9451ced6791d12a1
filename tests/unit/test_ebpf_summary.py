# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The summary says what the result says, and the sample is spread over the trace."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.sampling import spread
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.summary import summarise

RESULT: dict[str, Any] = {
    "target": "syscalls/sys_enter_connect",
    "attached_to": ["raw_tracepoint:sys_enter", "raw_tracepoint:sys_exit"],
    "event_count": 42,
    "duration_s": 10.0,
    "filters": {"comm": "orders"},
    "events": [{}] * 20,
    "events_not_carried": 22,
    "exact": True,
    "missed": 0,
    "own_events": 3,
    "by_process": [{"process_id": 7, "process_name": "orders", "count": 42, "errors": 40}],
    "by_result": {"ECONNREFUSED": 40, "ok": 2},
    "failures": [
        {
            "process_id": 7,
            "process_name": "orders",
            "syscall": "connect",
            "error": "ECONNREFUSED",
            "key": "127.0.0.1:5432",
            "count": 40,
        }
    ],
    "by_syscall": {"connect": 42},
    "in_flight": {"count": 0, "events": []},
}


def test_a_summary_has_the_numbers_of_its_result() -> None:
    assert summarise(RESULT) == (
        "syscalls/sys_enter_connect (comm orders) fired 42 times in 10.0 s (4.2 a second). By process: orders (7) with"
        " 42. 40 failed: 40 ECONNREFUSED. The most frequent failure: ECONNREFUSED of connect on 127.0.0.1:5432 by"
        " orders (7), 40 times. 20 of the events are carried here, spread over the trace; 3 more, caused by this"
        " diagnosis itself, are not counted."
    )


def test_a_quiet_probe_says_that_it_was_quiet() -> None:
    quiet = {**RESULT, "event_count": 0, "events": [], "events_not_carried": 0, "own_events": 0, "filters": {}}
    assert summarise(quiet) == (
        "syscalls/sys_enter_connect did not fire in 10.0 s. The count is exact: the kernel skipped none. It was"
        " attached as raw_tracepoint:sys_enter and raw_tracepoint:sys_exit."
    )


KEYS = [{"key": "127.0.0.1:5432", "count": 40}, {"key": "127.0.0.1:80", "count": 2}]
FUNCTION = {
    "target": "tcp_connect",
    "attached_to": ["fentry:tcp_connect", "fexit:tcp_connect"],
    "failures": [{name: value for name, value in RESULT["failures"][0].items() if name != "syscall"}],
    "by_key": KEYS,
}
STAND_IN = {"type": "kprobe", "target": "tcp_connect"}
ADDITIONS: list[dict[str, Any]] = [
    {},
    STAND_IN,
    FUNCTION,
    {"event_count": 0},
    {"exact": False, "missed": 0},
    {"in_flight": {"count": 2, "events": []}},
    {"thinned_after_s": 1.0, "detached_after_s": 2.0},
    {"by_process": [], "own_events": 0, "events_not_carried": 0},
    {"by_result": {"null": 3, "ok": 39}, "failures": []},
    {"latency_us": {"p50": 1.0, "p95": 2.0, "p99": 3.0, "max": 4.0}},
    {"by_syscall": {"connect": 40, "read": 2}},
    {"by_key": KEYS},
]
_SENTENCE_ENDS = re.compile(r"[.](?= [A-Z0-9]|$)")


@given(st.lists(st.sampled_from(ADDITIONS)))
def test_a_summary_is_three_to_six_sentences_and_always_the_same(additions: list[dict[str, Any]]) -> None:
    result = dict(RESULT)
    for addition in additions:
        result.update(addition)
    summary = summarise(result)
    assert 3 <= len(_SENTENCE_ENDS.findall(summary)) <= 6, summary
    assert summary == summarise(result)


def test_a_failure_of_a_function_is_told_by_the_function_and_what_it_was_about() -> None:
    summary = summarise({**RESULT, **FUNCTION})
    assert "ECONNREFUSED of tcp_connect on 127.0.0.1:5432 by orders (7), 40 times" in summary


def test_a_stand_in_is_not_told_as_the_function_that_was_asked_for() -> None:
    stands_in = "What fired is a tracepoint that stands in for tcp_connect: notes say which, and how it differs."
    assert stands_in in summarise({**RESULT, **STAND_IN})
    assert "stands in" not in summarise({**RESULT, **FUNCTION, "type": "kretprobe"})
    assert "stands in" not in summarise({**RESULT, "type": "tracepoint"})
    assert "stands in" not in summarise({**RESULT, "type": "kprobe", "target": "sched/sched_switch"})


def test_no_pointer_is_an_answer_and_of_an_allocation_a_failure() -> None:
    looked_up = {**RESULT, "by_result": {"null": 3, "ok": 4}, "failures": []}
    assert "3 returned no pointer." in summarise(looked_up)
    assert "failed" not in summarise(looked_up)
    assert "4 returned false." in summarise({**looked_up, "by_result": {"false": 4, "true": 1}})
    assert "1 returned true." in summarise({**looked_up, "by_result": {"true": 1}})
    assert "failed" not in summarise({**looked_up, "by_result": {"true": 1}})
    failure = {"process_id": 7, "process_name": "orders", "key": "0", "error": "null", "count": 3}
    told = {**looked_up, "failures": [failure], "target": "__alloc_pages", "null_is_failure": True}
    allocated = summarise(told)
    assert "3 failed: 3 null." in summarise({**told, "failures": [], "failures_other": 3})
    assert (
        "3 failed: 3 null. The most frequent failure: null of __alloc_pages on 0 by orders (7), 3 times." in allocated
    )
    assert "None of the calls that returned failed." in summarise({**looked_up, "by_result": {"ok": 7}})


def test_failures_that_events_tell_of_are_told_where_there_are_some() -> None:
    assert "3 of them tell of a failure." in summarise({**RESULT, "failed_events": 3, "by_result": {}})
    assert "tell" not in summarise({**RESULT, "failed_events": 0, "by_result": {}})


def test_returns_that_were_not_seen_are_told() -> None:
    calls = {"in_flight": {"count": 2, "events": []}, "returns_missed": 30}
    said = summarise({**RESULT, **calls})
    assert "2 calls had not returned when the trace ended; of 30 calls the return was not seen." in said
    assert "Of 1 call the return was not seen." in summarise({**RESULT, "returns_missed": 1})


def test_an_inexact_count_is_never_told_as_exact() -> None:
    calls = {"by_syscall": {"connect": 40, "read": 2}, "in_flight": {"count": 1, "events": []}}
    summary = summarise({**RESULT, **calls, "exact": False, "missed": 5})
    assert "The count may be too low: the kernel does not say all that it skipped, and skipped at least 5." in summary
    assert "3 more, caused by this diagnosis itself" in summary
    assert "had not returned" in summary
    assert "40 failed" in summary


def test_what_was_not_looked_at_because_of_its_cost_is_said() -> None:
    thinned = {**RESULT, "thinned_after_s": 1.02}
    assert "After 1.0 s events were only counted, for it cost the host too much" in summarise(thinned)
    detached = {**thinned, "detached_after_s": 2.51, "event_count": 0}
    assert "After 1.0 s events were only counted, and after 2.5 s it was detached" in summarise(detached)


def event(timestamp: int, error: bool, duration: float) -> dict[str, Any]:
    data: dict[str, Any] = {"duration_us": duration}
    data.update({"error": "EIO"} if error else {"result": 0})
    return {"timestamp": timestamp, "data": data}


EVENTS = st.lists(st.builds(event, st.integers(0, 10**9), st.booleans(), st.floats(0, 1e6)), max_size=200)


@given(EVENTS, st.integers(0, 60))
def test_a_sample_is_bounded_ordered_and_of_the_events(events: list[dict[str, Any]], limit: int) -> None:
    chosen = spread(events, limit)
    assert len(chosen) == min(limit, len(events))
    assert chosen == sorted(chosen, key=lambda one: one["timestamp"])
    assert all(one in events for one in chosen)


def test_few_failures_and_the_slowest_are_in_the_sample() -> None:
    events = [event(at, at in (100, 500, 900), 200_000.0 if at == 700 else 1.0) for at in range(1000)]
    chosen = spread(events, 50)
    assert {100, 500, 900, 700} <= {one["timestamp"] for one in chosen}
    assert min(one["timestamp"] for one in chosen) < 50
    assert max(one["timestamp"] for one in chosen) > 950


def test_a_beginning_of_which_more_was_kept_is_not_half_of_the_sample() -> None:
    """As the kernel keeps them of a steady stream: bursts take their slots in the first slice of the time."""
    first = [event(at, False, 1.0) for at in range(0, 1000, 7)]
    others = [event(1000 * part + at, False, 1.0) for part in range(1, 16) for at in range(0, 1000, 125)]
    chosen = [one["timestamp"] for one in spread(first + others, 50)]
    assert len([at for at in chosen if at < 1000]) <= 10
    assert {at // 1000 for at in chosen} == set(range(16))


def test_what_has_no_duration_is_spread_like_anything_else() -> None:
    events = [{"timestamp": at, "data": {}} for at in range(1000)]
    chosen = [one["timestamp"] for one in spread(events, 10)]
    assert {at // 100 for at in chosen} == set(range(10))


def test_the_slowest_is_in_the_sample_also_where_it_failed_among_many() -> None:
    """Refusals by the thousand, and one connection that timed out."""
    events = [event(at, True, 130e6 if at == 501 else 50.0) for at in range(1000)]
    assert 501 in {one["timestamp"] for one in spread(events, 50)}
