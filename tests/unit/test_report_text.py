# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts and models say cannot steer the terminal, nor pass for what others said."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.report import data, text
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.tracing_action import progress_line

HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\x9b31m\u202eback\u2028next\nok: [db2] all is well"
OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.mark.parametrize("stage", ["round_started", "command_done", "trace_running", "model_asked"])
def test_progress_is_one_line_under_the_name_of_its_host(stage: str) -> None:
    line = progress_line("db1\n\x1b[1m", {"stage": stage, "text": HOSTILE})
    assert line is not None
    assert line.startswith("  db1 �[1m: �[2J")
    assert "\n" not in line
    assert not OBEYED.search(line)


@given(st.text(), st.dictionaries(st.sampled_from(["stage", "text"]), st.text() | st.integers() | st.lists(st.text())))
def test_any_event_is_one_line_or_nothing(host: str, event: dict[str, Any]) -> None:
    line = progress_line(host, {"stage": "repair", **event})
    assert line is None or (len(line) <= 160 and not OBEYED.search(line) and "\n" not in line)


def test_reports_hold_nothing_that_a_terminal_obeys() -> None:
    result = {
        "resolution": {
            "response_type": "resolution",
            "root_cause": HOSTILE,
            "resolution_plan": HOSTILE,
            "confidence": "Low",
            "ebpf_evidence": HOSTILE,
        },
        "issue": HOSTILE,
        "model": HOSTILE,
        "notes": [HOSTILE],
        "ebpf_results": {
            "a": {"program_name": HOSTILE, "event_count": 1, "events": [], "summary": "", "target": HOSTILE},
            "b": {"program_name": "b", "event_count": 0, "events": [], "summary": "", "error": HOSTILE},
        },
        "command_results": [{"id": "a", "command": HOSTILE, "output": "", "exit_code": 0}],
    }
    report = data.host_report(f"db1{HOSTILE}", result, "")
    overview = data.overview({HOSTILE: data.entry(report)}, HOSTILE, "now")
    for shown in (text.host_text(report), text.summary_text(overview), text.summary_markdown(overview)):
        assert "owned" in shown
        assert not OBEYED.search(shown)
        assert "\nok: [db2]" not in shown


def test_a_cell_of_the_summary_does_not_become_two() -> None:
    overview = data.overview(
        {"a|b": data.entry(data.host_report("a|b", {"failed": True, "msg": "x\\|y <b>"}, ""))}, "", "now"
    )
    row = text.summary_markdown(overview).splitlines()[-1]
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 8
    assert "<b>" not in row
