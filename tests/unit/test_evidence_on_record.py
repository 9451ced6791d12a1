# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A round of evidence and the log of actions: nothing is run or attached that could not be put on record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.launch import Unsandboxed
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.runner import Limits
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.evidence.collector import Collector
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.actions import ActionLog
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.log_file import LogFile

COMMANDS = [{"id": "uptime", "command": "cat /proc/uptime"}, {"id": "remove", "command": "rm -rf /nothing"}]
PROGRAMS = [{"name": "opens", "type": "tracepoint", "target": "a/b", "duration": 1}]


class Tracer:
    """Traces nothing, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def run(
        self, programs: list[Any], progress: Optional[Callable[[dict[str, Any]], None]] = None
    ) -> dict[str, dict[str, Any]]:
        self.asked += programs
        return {
            f"{each['name']}_1": {"program_name": each["name"], "event_count": 3, "events": []} for each in programs
        }


def collected(path: Path) -> tuple[dict[str, Any], Tracer]:
    tracer = Tracer()
    actions = ActionLog("20260131T020304Z-1f2e3d4c", file=LogFile(path), socket=path.parent / "none")
    fence = Unsandboxed("for a test")
    collector = Collector(tracer, Policy.default(), Limits(10, 1000), fence=fence, actions=actions)  # type: ignore[arg-type]
    return collector.collect(COMMANDS, PROGRAMS), tracer


def test_what_is_on_record_is_done(tmp_path: Path) -> None:
    path = tmp_path / "log" / "diagnostics.jsonl"
    found, tracer = collected(path)
    assert tracer.asked == PROGRAMS
    lines = {line["action"]: line for line in map(json.loads, path.read_text().splitlines())}
    assert set(lines) == {"command_started", "command_ended", "command_refused", "program_started", "program_ended"}
    ran, refused = found["command_results"]
    assert ran["exit_code"] == lines["command_ended"]["exit_code"] == 0
    assert lines["command_ended"]["output_bytes"] == len(ran["output"])
    assert lines["command_started"]["sandbox"] == "none"
    assert lines["command_started"]["judged"] == [{"program": "cat", "reads": ["/proc/uptime"]}]
    assert (lines["command_refused"]["reason"], lines["command_refused"]["by"]) == (refused["reason"], "policy")
    assert lines["program_ended"]["key"] == "opens_1"


def test_what_is_not_on_record_is_not_done_and_the_result_says_why(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "diagnostics.jsonl").symlink_to("/dev/null")
    found, tracer = collected(tmp_path / "log" / "diagnostics.jsonl")
    assert tracer.asked == []
    first, second = found["command_results"]
    assert first["refused"]
    assert first["output"] == ""
    assert "It could not be put on record" in first["reason"]
    assert "put on record" not in second["reason"]
    (traced,) = found["ebpf_results"].values()
    assert (traced["program_name"], traced["event_count"], traced["events"]) == ("opens", 0, [])
    assert "It could not be put on record" in traced["error"]
    assert traced["summary"]


def test_who_refused_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "log" / "diagnostics.jsonl"

    class Breaking(LogFile):
        def append(self, line: bytes) -> None:
            if b"command_started" not in line:
                super().append(line)
            else:
                LogFile(Path("/dev/null/nowhere")).append(line)

    actions = ActionLog("20260131T020304Z-1f2e3d4c", file=Breaking(path), socket=path.parent / "none")
    collector = Collector(
        Tracer(),  # type: ignore[arg-type]
        Policy.default(),
        Limits(10, 1000),
        fence=Unsandboxed("for a test"),
        actions=actions,
    )
    collector.collect(COMMANDS, [])
    by = {line["id"]: line["by"] for line in map(json.loads, path.read_text().splitlines())}
    assert by == {"uptime": "record", "remove": "policy"}
