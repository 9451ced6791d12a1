# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a host sent, its report is as the schema says, and the other hosts' reports are not touched by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.report import data, files, text

SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "report.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
RESOLUTION = {
    "response_type": "resolution",
    "root_cause": "orders (4711) may open no more files.",
    "resolution_plan": "1. Raise LimitNOFILE.",
    "confidence": "High",
    "ebpf_evidence": "10 of 10 calls returned EMFILE.",
}
EVENT = {"timestamp": 1, "process_id": 1, "process_name": "a", "event_type": "b", "data": {}}
GOOD: dict[str, Any] = {
    "issue": "files cannot be opened",
    "model": "offline",
    "started_at": "2026-01-31T02:03:04.567+00:00",
    "duration_s": 21.4,
    "resolution": RESOLUTION,
    "grounding": {
        "supported": [{"claim": "10", "in": "ebpf_evidence", "by": ["p_1"]}],
        "unsupported": [{"claim": "nginx", "in": "root_cause", "reason": "nothing of this name was seen"}],
        "correction": "no better",
        "left_out": {"supported": 2, "unsupported": 0},
    },
    "ended": "resolution",
    "error": None,
    "ebpf_results": {"p_1": {"program_name": "p", "event_count": 10, "events": [EVENT], "summary": "Ten."}},
    "command_results": [{"id": "a", "command": "ss", "output": "x", "exit_code": 0}],
    "rounds": [
        {"round": 1, "reasoning": "r", "commands": ["a"], "ebpf_programs": ["p"], "started": "s", "duration_s": 1}
    ],
    "usage": {"calls": 2},
    "episode_id": None,
    "diagnosis_id": "d",
    "record": "/r",
    "warnings": ["w"],
    "notes": ["n"],
    "changed": False,
}
NAMES = [*GOOD, *RESOLUTION, *EVENT, "failed", "unreachable", "skipped", "msg", "would", "status", "started", "events"]
NAMES += ["grounding", "supported", "unsupported", "claim", "claims", "in", "by", "reason", "correction", "left_out"]
NAMES += ["program_name", "event_count", "summary", "command", "output", "exit_code", "thread_id", "target", "refused"]
TEXTS = st.text(max_size=20) | st.sampled_from(
    ["\x1b[2J\nx", "\ud800", "{{ 1 }}", "High", "resolution", " " * 99 + "x"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.sampled_from([10**400, -(2**70)])
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | TEXTS, inner, max_size=6),
    max_leaves=20,
)


@st.composite
def nearly_good(draw: st.DrawFn) -> Any:
    """A good result in which some parts, at any depth, are something else."""
    result = json.loads(json.dumps(GOOD))
    for _change in range(draw(st.integers(0, 4))):
        place = result
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], (dict, list)) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            place[key] = draw(JSON)
            break
    return result


@settings(deadline=None)
@given(registered=JSON | nearly_good(), host=TEXTS)
def test_any_result_makes_a_report_that_can_be_shown_and_written(registered: Any, host: str) -> None:
    report = data.host_report(host, registered, "an issue")
    VALIDATOR.validate(report)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    if report["status"] == "diagnosed":
        assert report["resolution"]
    else:
        assert report["error"]
    shown = text.host_text(report)
    shown.encode()
    assert max(map(len, shown.splitlines())) <= 80
    entry = data.entry(report)
    assert data.read_entry({**entry, "changed": False}) == entry
    overview = data.overview({host: entry, "good": data.entry(data.host_report("good", GOOD, ""))}, "x", "now")
    text.summary_text(overview).encode()
    text.summary_markdown(overview).encode()
    assert overview["hosts"]["good"]["confidence"] == "High" or host == "good"


@settings(deadline=None)
@given(registered=JSON)
def test_any_entry_is_read_or_refused(registered: Any) -> None:
    entry = data.read_entry(registered)
    if entry:
        overview = data.overview({"h": entry}, "x", "now")
        assert text.summary_text(overview).encode()
        assert text.summary_markdown(overview).encode()


def test_a_good_result_is_reported_whole() -> None:
    report = data.host_report("db1", GOOD, "")
    for key in (
        "issue",
        "model",
        "resolution",
        "grounding",
        "ebpf_results",
        "command_results",
        "rounds",
        "usage",
        "duration_s",
    ):
        assert report[key] == GOOD[key]
    assert report["started"] == GOOD["started_at"]
    assert report["status"] == "diagnosed"
    assert report["error"] is None
    assert report["warnings"] == ["n", "w"]
    assert "Warning     n" in text.host_text(report)


def test_what_was_not_found_is_shown_beside_the_confidence() -> None:
    report = data.host_report("db1", GOOD, "")
    shown = text.host_text(report)
    after = shown[shown.index("Confidence") :]
    assert "Checked     3 of 4 claims found in the evidence" in after
    assert "• not found: nginx (nothing of this name was seen)" in after
    entry = data.entry(report)
    assert entry["claims"] == {"supported": 3, "unsupported": 1}
    assert "1 claim not found in the evidence]" in text.summary_text(data.overview({"db1": entry}, "x", "now"))


@pytest.mark.parametrize(
    ("sandbox", "shown"),
    [
        ({"name": "bubblewrap", "commands": "sandboxed", "reason": None}, "commands sandboxed by bubblewrap"),
        ({"name": "none", "commands": "as root", "reason": "so it was said"}, "commands as root (so it was said)"),
        ({"name": 7}, ""),
        (None, ""),
    ],
)
def test_what_commands_ran_in_and_what_was_redacted_is_shown(sandbox: Any, shown: str) -> None:
    result = {**GOOD, "sandbox": sandbox, "redacted": {"jwt": 2, "password": 1, "odd": "x"}}
    report = data.host_report("db1", result, "")
    assert report["redacted"] == {"jwt": 2, "password": 1}
    printed = " ".join(text.host_text(report).split())
    assert f"{shown}; redacted: 2 jwt, 1 password".removeprefix("; ") in printed
    plain = text.host_text(data.host_report("db1", {**GOOD, "sandbox": sandbox}, ""))
    assert "redacted" not in plain
    assert ("Fences" in plain) == bool(shown)


def test_results_of_a_version_that_did_not_check_are_shown_without() -> None:
    report = data.host_report("db1", {key: value for key, value in GOOD.items() if key != "grounding"}, "")
    assert report["grounding"] is None
    assert "Checked" not in text.host_text(report)
    assert data.entry(report)["claims"] == {}


@pytest.mark.parametrize(
    ("registered", "status", "sentence"),
    [
        (None, "failed", "No diagnosis took place on this host: it failed or was left out before."),
        ({}, "failed", "No diagnosis took place on this host"),
        ("oops", "failed", "is not the result of a diagnosis"),
        ([1], "failed", "is not the result of a diagnosis"),
        ({"unreachable": True, "msg": "no\nroute "}, "unreachable", "no route"),
        ({"failed": True, "msg": {"a": 1}}, "failed", "{'a': 1}"),
        ({"failed": True}, "failed", "nothing says why"),
        ({"resolution": "none"}, "failed", "cannot be read"),
        ({"resolution": {**RESOLUTION, "confidence": "Sure"}}, "failed", "cannot be read"),
        ({"would": "Ask offline."}, "skipped", "Ask offline."),
        ({"skipped": True, "skip_reason": "Conditional result was False"}, "skipped", "Conditional result was False"),
        ({"changed": False}, "failed", "holds no resolution"),
    ],
)
def test_a_host_without_a_resolution_says_why(registered: Any, status: str, sentence: str) -> None:
    report = data.host_report("db1", registered, "")
    assert report["status"] == status
    assert sentence in report["error"]


def test_bad_parts_are_left_out_and_counted() -> None:
    bad = json.loads(json.dumps(GOOD))
    bad["ebpf_results"]["p_2"] = {"program_name": "q", "event_count": "many"}
    bad["ebpf_results"]["p_1"]["events"].append("x")
    bad["command_results"].append(7)
    report = data.host_report("db1", bad, "")
    assert report["ebpf_results"] == GOOD["ebpf_results"]
    assert report["command_results"] == GOOD["command_results"]
    assert report["status"] == "diagnosed"
    assert "3 parts of the evidence could not be read" in report["warnings"][-1]


def test_an_entry_is_small_whatever_the_report_holds() -> None:
    great = {
        key: value * 20000 if key not in ("response_type", "confidence") else value for key, value in RESOLUTION.items()
    }
    program = {"program_name": "p", "event_count": 7, "events": [EVENT] * 500, "summary": "x" * 100000}
    result = {**GOOD, "resolution": great, "ebpf_results": {"a": program, "b": program}}
    entry = data.entry(data.host_report("db1", result, ""))
    assert len(json.dumps(entry)) < 20000
    assert entry["events"] == 14
    assert entry["root_cause"].endswith(" […]")


def test_hosts_whose_names_cannot_be_file_names_do_not_meet_in_one_file() -> None:
    names = ["db1", "a/b", "a:b", "a_b", "../x", ".x", "x" * 300, "x" * 301, "", "\ud800"]
    made = [files.file_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert made[0] == "db1"
    assert all("/" not in name and not name.startswith(".") and len(name) < 200 for name in made)
