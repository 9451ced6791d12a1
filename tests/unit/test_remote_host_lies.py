# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that lies to its controller: what it answers is taken as evidence, or the diagnosis ends with a sentence."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_loop import LOOK, SOLVED, Clock
from test_loop_resume import ByTurn

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.diagnosis import SiteError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.loop import LoopLimits, diagnose
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.remote_host import RemoteHost

LONG = "x" * 3000
PROGRAM = {
    "program_name": "connects",
    "event_count": 42,
    "events": [
        {"timestamp": 1, "process_id": 7, "process_name": "curl", "event_type": "connect", "data": {"error": "EPERM"}}
    ]
    * 50,
    "summary": "42 connects, 40 failed. " + LONG,
    "by_result": {"ok": 2, "ECONNREFUSED": 40},
    "events_not_carried": 3,
}
ROUND = {
    "command_results": [{"id": "net", "command": "ss -tn", "output": LONG, "exit_code": 0, "duration_s": 0.1}],
    "ebpf_results": {"connects_1": PROGRAM},
    "redacted": {"jwt": 1},
    "action_log": {"file": "/var/log/nannyapi/d", "journal": True, "lines": 3, "unrecorded": 0, "problem": None},
}
BEGUN = {
    "issue": "slow",
    "system_information": {"hostname": "db1", "pressure": {"io": {"some_avg10": 1.5}}, "memory_mib": {"total": 9}},
    "capabilities": {"probe_types": {}},
    "redacted": {},
    "action_log": ROUND["action_log"],
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@st.composite
def lies(draw: st.DrawFn, truth: dict[str, Any]) -> dict[str, Any]:
    """An answer of which a part, anywhere in it, is missing or anything at all."""
    root = json.loads(json.dumps(truth))
    parent, key = root, draw(st.sampled_from(sorted(root)))
    while isinstance(parent[key], (dict, list)) and parent[key] and draw(st.integers(0, 3)):
        parent = parent[key]
        key = draw(st.sampled_from(sorted(parent) if isinstance(parent, dict) else range(len(parent))))
    if draw(st.integers(0, 3)):
        parent[key] = draw(ANYTHING)
    else:
        del parent[key]
    return root


def led(begun: dict[str, Any], collected: dict[str, Any]) -> dict[str, Any]:
    """How a diagnosis of such a host ends."""
    host = RemoteHost(
        lambda arguments: begun if arguments["part"] == "begin" else collected,
        "20260131T020304Z-1f2e3d4c",
        {"lock_timeout": 900},
        "",
    )
    told = host.survey("slow")
    clock = Clock()
    return diagnose(
        issue=told["issue"],
        system_information=told["system_information"],
        capabilities=told["capabilities"],
        model=ByTurn([LOOK, SOLVED], clock),
        collect=host.collect,
        limits=LoopLimits(output_chars=2500),
        progress=lambda event: None,
        clock=clock,
    )


def test_a_host_that_tells_the_truth_is_diagnosed() -> None:
    assert led(BEGUN, ROUND)["ended"] == "resolution"


@settings(max_examples=600, deadline=None)
@given(lies(BEGUN), lies(ROUND))
def test_whatever_a_host_answers_is_evidence_or_a_sentence(begun: dict[str, Any], collected: dict[str, Any]) -> None:
    for first, then in ((begun, ROUND), (BEGUN, collected)):
        with contextlib.suppress(SiteError):
            assert json.dumps(led(first, then))


@pytest.mark.parametrize(
    "wrong",
    [
        {"command_results": None},
        {"command_results": ["ok"]},
        {"command_results": [{"command": "ss"}]},
        {"ebpf_results": []},
        {"ebpf_results": {"connects_1": "none"}},
        {"redacted": "none"},
        {"action_log": [1]},
    ],
)
def test_what_is_no_evidence_is_said(wrong: dict[str, Any]) -> None:
    with pytest.raises(SiteError, match=next(iter(wrong))):
        led(BEGUN, {**ROUND, **wrong})


@pytest.mark.parametrize("wrong", [{"system_information": {}}, {"boot": 3}, {"privileges": "root"}])
def test_what_is_no_host_is_said(wrong: dict[str, Any]) -> None:
    with pytest.raises(SiteError, match=next(iter(wrong))):
        led({**BEGUN, **wrong}, ROUND)
