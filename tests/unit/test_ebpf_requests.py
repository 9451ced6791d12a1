# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Program requests: what is accepted, and which sentence says why something is not."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import RequestError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.request import FILTERS, parse_request

GOOD = {"name": "opens", "type": "tracepoint", "target": "syscalls/sys_enter_openat", "duration": 10}


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"duration": 0}, "0 s is outside"),
        ({"duration": -5}, "-5 s is outside"),
        ({"duration": 10**6}, "1000000 s is outside"),
        ({"duration": float("nan")}, "outside"),
        ({"duration": "soon"}, "'soon'"),
        ({"duration": None}, "None"),
        ({"duration": True}, "True"),
        ({"target": ""}, "needs a target"),
        ({"target": None}, "needs a target"),
        ({"target": "tcp_connect"}, "category/event"),
        ({"type": "uprobe"}, "'uprobe' is not known"),
        ({"type": None}, "None is not known"),
        ({"name": "x" * 81}, "80 characters"),
        ({"filters": {"port": 5432}}, "No filter is called port"),
        ({"filters": "comm=curl"}, "Filters are an object"),
        ({"filters": {"pid": 2**22 + 1}}, "No process has the pid 4194305"),
        ({"filters": {"pid": 0}}, "number from 1"),
        ({"filters": {"pid": "many"}}, "'many'"),
        ({"filters": {"comm": ""}}, "process name"),
        ({"filters": {"comm": "*"}}, "process name"),
        ({"filters": {"uid": -1}}, "number from 0"),
        ({"filters": {"uid": "²"}}, "number from 0"),
        ({"filters": {"uid": 10**30}}, "number from 0"),
        ({"filters": {"children": True}}, "children goes with pid"),
        ({"filters": {"pid": 1, "children": "some"}}, "children is true or false"),
        ({"filters": {"cgroup": ""}}, "cgroup is a path"),
        ({"filters": {"cgroup": True}}, "cgroup is a path"),
        ({"filters": {"cgroup": ["/"]}}, "cgroup is a path"),
        ({"filters": {"unit": "../nginx"}}, "name of a systemd unit"),
        ({"filters": {"unit": 5}}, "name of a systemd unit"),
        ({"filters": {"container": "web"}}, "A name is known only to the container engine"),
        ({"filters": {"container": "0123456789a"}}, "at least its first 12 hex digits"),
        ({"filters": {"container": 123456789012}}, "hex digits"),
        ({"filters": {"min_duration_us": "slow"}}, "microseconds above 0"),
        ({"filters": {"min_duration_us": "nan"}}, "microseconds above 0"),
        ({"filters": {"min_duration_us": 10**400}}, "at most 300000000"),
        ({"filters": {"min_duration_us": 0}}, "microseconds above 0"),
        ({"filters": {"min_duration_us": True}}, "microseconds above 0"),
    ],
)
def test_a_bad_request_is_refused_with_what_was_wrong(change: dict[str, Any], part: str) -> None:
    with pytest.raises(RequestError, match=part.replace("(", r"\(")):
        parse_request({**GOOD, **change})


@pytest.mark.parametrize(
    ("change", "kind", "target"),
    [
        ({"type": None, "target": "tracepoint:sched:sched_switch"}, "tracepoint", "sched/sched_switch"),
        ({"type": None, "target": "kprobe:tcp_connect"}, "kprobe", "tcp_connect"),
        ({"target": "sched:sched_switch"}, "tracepoint", "sched/sched_switch"),
        ({"target": " sched/sched_switch "}, "tracepoint", "sched/sched_switch"),
    ],
)
def test_a_target_is_understood_in_the_spellings_of_other_tools(change: dict[str, Any], kind: str, target: str) -> None:
    request = parse_request({**GOOD, **change})
    assert (request.type, request.target) == (kind, target)


def test_a_number_of_microseconds_may_be_written_as_a_text() -> None:
    assert parse_request({**GOOD, "filters": {"min_duration_us": " 1500 "}}).filters.min_duration_us == 1500


def test_a_long_comm_is_cut_to_what_the_kernel_keeps_also_within_a_character() -> None:
    """Of such a character the kernel keeps a part, which is no text: what is before it is compared."""
    assert parse_request({**GOOD, "filters": {"comm": "überwachung-dää"}}).filters.comm == "überwachung-d*"
    assert parse_request({**GOOD, "filters": {"comm": "überwachungs-d"}}).filters.comm == "überwachungs-d"


def test_a_long_comm_is_cut_to_what_the_kernel_keeps() -> None:
    assert parse_request({**GOOD, "filters": {"comm": "a-very-long-process-name"}}).filters.comm == "a-very-long-pro"


@pytest.mark.parametrize(
    ("filters", "understood"),
    [
        ({"pid": os.getpid(), "children": "True"}, {"pid": os.getpid(), "children": True}),
        ({"pid": os.getpid(), "children": False}, {"pid": os.getpid()}),
        ({"cgroup": "1234"}, {"cgroup": 1234}),
        ({"cgroup": " /system.slice "}, {"cgroup": "/system.slice"}),
        ({"container": "containerd://0123456789ABCDEF"}, {"container": "0123456789abcdef"}),
        ({"unit": "getty@tty1.service"}, {"unit": "getty@tty1.service"}),
    ],
)
def test_filters_are_understood_in_several_spellings(filters: dict[str, Any], understood: dict[str, Any]) -> None:
    assert parse_request({**GOOD, "filters": filters}).filters.to_json() == understood


def test_filters_that_are_not_set_are_none() -> None:
    request = parse_request({**GOOD, "filters": {"pid": None, "comm": "curl", "uid": None}})
    assert request.filters.to_json() == {"comm": "curl"}


def test_a_filter_on_a_thread_names_its_process() -> None:
    import threading

    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with pytest.raises(RequestError, match=f"is a thread of the process {os.getpid()}"):
            parse_request({**GOOD, "filters": {"pid": thread.native_id}})
    finally:
        done.set()
        thread.join()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.one_of(
        JSON,
        st.fixed_dictionaries(
            {},
            optional={
                "name": JSON,
                "type": st.sampled_from(["tracepoint", "kprobe", "kretprobe"]) | JSON,
                "target": st.text() | JSON,
                "duration": JSON,
                "filters": st.dictionaries(st.sampled_from(FILTERS), JSON) | JSON,
            },
        ),
    )
)
def test_an_arbitrary_request_is_a_request_or_a_sentence(data: Any) -> None:
    try:
        request = parse_request(data)
    except RequestError as error:
        sentence = str(error)
    else:
        sentence = f"Traces for {request.duration} s."
        assert 1 <= request.duration <= 300
    assert sentence.endswith(".")
