# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the offline diagnostician concludes from evidence; situations are data in cases/offline/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.offline.diagnostician import OfflineModel
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.protocol import Resolution, parse_reply

CASES = Path(__file__).parent / "cases" / "offline"
SITUATIONS = yaml.safe_load((CASES / "situations.yml").read_text("utf-8"))


def command_result(name: str, told: Any) -> dict[str, Any]:
    result = told if isinstance(told, dict) else {"output": told, "exit_code": 0}
    return {"id": name, "command": name, **result}


def trace_result(index: int, told: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    common = {"program_name": f"trace_{index}", "events": [], "summary": "", "duration_s": 10.0, "exact": True}
    return f"trace_{index}_1", {**common, **told}


def resolve(issue: str, evidence: dict[str, Any], system: dict[str, Any] | None = None) -> dict[str, Any]:
    """The resolution after one round with this evidence, held to the protocol."""
    opening = {"system_information": system or {}, "ebpf_capabilities": {}, "limits": {}, "issue": issue}
    turn = {**evidence, "remaining": {"rounds": 0, "seconds": 100}, "last_turn": "resolve now"}
    messages = [
        {"role": "user", "content": json.dumps(opening)},
        {"role": "assistant", "content": "{}"},
        {"role": "user", "content": json.dumps(turn)},
    ]
    content = OfflineModel().ask(messages, 10).content
    assert isinstance(parse_reply(content).reply, Resolution)
    resolution: dict[str, Any] = json.loads(content)
    return resolution


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in SITUATIONS])
def test_a_situation_is_concluded_as_far_as_it_was_seen(case: dict[str, Any]) -> None:
    evidence = {
        "command_results": [command_result(name, told) for name, told in case.get("commands", {}).items()],
        "ebpf_results": dict(trace_result(index, told) for index, told in enumerate(case.get("traces", []))),
    }
    resolution = resolve(case["issue"], evidence, case.get("system"))
    for part in case.get("says", []):
        assert part in resolution["root_cause"]
    for part in case.get("says_not", []):
        assert part not in resolution["root_cause"]
    for part in case.get("evidence", []):
        assert part in resolution["ebpf_evidence"]
    for part in case.get("plan", []):
        assert part in resolution["resolution_plan"]
    assert resolution["confidence"] == case["confidence"]
    assert resolution["resolution_plan"].startswith("1. ")


def recorded(name: str) -> dict[str, Any]:
    evidence: dict[str, Any] = json.loads((CASES / name).read_text("utf-8"))
    return evidence


def test_the_same_issue_has_another_cause_on_an_ill_host_than_on_a_healthy_one() -> None:
    issue = "Application randomly fails to connect to database"
    ill = resolve(issue, recorded("recorded_ill.json"))
    healthy = resolve(issue, recorded("recorded_healthy.json"))
    assert "python3 (pid 6153) cannot connect to 127.0.0.1:5999" in ill["root_cause"]
    assert "`python3 /tmp/orders`" in ill["root_cause"]
    assert ill["confidence"] == "High"
    assert "connects_1795364481: 50 of the 50 connect calls of python3 (pid 6153)" in ill["ebpf_evidence"]
    assert healthy["confidence"] == "Low"
    assert healthy["root_cause"].startswith("No cause was found")
    assert "5999" not in healthy["root_cause"] + healthy["ebpf_evidence"]


def test_a_share_of_memory_is_rounded_as_the_check_of_claims_reads_it() -> None:
    evidence = recorded("recorded_healthy.json")
    told = "MemTotal: 10000000 kB\nMemAvailable: 9499900 kB\n"
    evidence["command_results"].append(command_result("meminfo", told))
    found = resolve("memory grows until processes are killed", evidence)
    assert "memory is available (95 %)" in found["root_cause"]


def every_number_in(text: str) -> set[str]:
    return {word.strip(".,;:()") for word in text.split() if any(character.isdigit() for character in word)}


def test_the_kernel_evidence_names_only_keys_and_numbers_that_are_in_the_results() -> None:
    evidence = recorded("recorded_ill.json")
    resolution = resolve("cannot connect", evidence)
    known = json.dumps(evidence)
    # 10 is the duration, rounded.
    for told in every_number_in(resolution["ebpf_evidence"]) - {"10"}:
        assert told in known


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
_KEYS = st.sampled_from(
    ["target", "error", "event_count", "duration_s", "events", "failures", "by_process", "by_syscall", "in_flight",
     "process_id", "process_name", "count", "data", "key", "syscall", "output", "exit_code", "id", "timestamp"]
)  # fmt: skip
_TARGETS = st.sampled_from(
    ["syscalls/sys_enter_connect", "syscalls/sys_enter_*", "sched/sched_process_exit", "sock/inet_sock_set_state",
     "syscalls/sys_enter_openat", "syscalls/sys_enter_execve", "oom/mark_victim", "kmem/mm_page_alloc"]
)  # fmt: skip
_RESULT = st.dictionaries(_KEYS, _JSON | st.lists(st.dictionaries(_KEYS, _JSON, max_size=5), max_size=3), max_size=8)


@given(
    st.text(max_size=40),
    st.lists(st.tuples(_TARGETS, _RESULT), max_size=3),
    st.lists(_RESULT | _JSON, max_size=3),
    _JSON,
)
@settings(max_examples=120, deadline=None)
def test_whatever_comes_back_the_answer_is_a_resolution(
    issue: str, traces: list[tuple[str, dict[str, Any]]], commands: list[Any], system: Any
) -> None:
    results = {f"k{index}": {**result, "target": target} for index, (target, result) in enumerate(traces)}
    resolve(issue, {"command_results": commands, "ebpf_results": results}, system)
