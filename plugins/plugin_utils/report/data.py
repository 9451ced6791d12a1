# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run over an inventory: what became of each host. Private to the collection, controller side.

A host's report has everything. Its entry is what is left of it in the run's memory, small enough for thousands of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from . import reading

STATUSES = ("diagnosed", "failed", "unreachable", "skipped")
ABSENT = "No diagnosis took place on this host: it failed or was left out before."
_LONGEST_ERROR = 2000
_LONGEST_IN_ENTRY = 4000


def host_report(host: str, registered: Any, issue: str) -> dict[str, Any]:
    """The report of one host, from what its diagnose task registered; every key is there, whatever happened.

    As schemas/report.schema.json says, whatever was registered. `status`: diagnosed, failed, unreachable, skipped.
    `error` is a sentence where there is no resolution, or a model's error where it concluded in spite of it.
    """
    result = reading.plain(registered) if isinstance(registered, Mapping) else {}
    resolution = reading.resolution(result.get("resolution"))
    status, error = _ending(registered, result, resolution)
    programs, unread_programs = reading.programs(result.get("ebpf_results"))
    commands, unread_commands = reading.commands(result.get("command_results"))
    rounds, unread_rounds = reading.rounds(result.get("rounds"))
    unread = unread_programs + unread_commands + unread_rounds
    return {
        "issue": reading.text(result.get("issue")) or issue,
        "host": host,
        "model": reading.text(result.get("model")),
        # Ansible takes a task's result for that of a background job that still runs where it has a key `started`.
        "started": reading.text(result.get("started_at")),
        "duration_s": reading.seconds(result.get("duration_s")),
        "resolution": resolution,
        "grounding": reading.grounding(result.get("grounding")) if resolution else None,
        "ended": result["ended"] if result.get("ended") in reading.ENDINGS else None,
        "error": error,
        "ebpf_results": programs,
        "command_results": commands,
        "rounds": rounds,
        "usage": reading.counts(result.get("usage")),
        "sandbox": reading.sandbox(result.get("sandbox")),
        "redacted": reading.counts(result.get("redacted")),
        "episode_id": reading.text(result.get("episode_id")),
        "diagnosis_id": reading.text(result.get("diagnosis_id")),
        "record": reading.text(result.get("record")),
        "warnings": [
            *reading.texts(result.get("notes")),
            *reading.texts(result.get("warnings")),
            *([f"{unread} parts of the evidence could not be read and are not in this report."] if unread else []),
        ],
        "status": status,
    }


def _ending(
    registered: Any, result: Mapping[str, Any], resolution: Optional[dict[str, Any]]
) -> tuple[str, Optional[str]]:
    """The status, and the sentence that belongs to it."""
    if registered is None or registered == {}:
        return "failed", ABSENT
    if not isinstance(registered, Mapping):
        return "failed", "What was registered for this host is not the result of a diagnosis."
    if result.get("unreachable"):
        return "unreachable", _said(result) or "The host could not be reached."
    if result.get("failed"):
        return "failed", _said(result) or "The diagnosis failed, and nothing says why."
    if resolution:
        return "diagnosed", reading.text(result.get("error"))
    if result.get("resolution"):
        return "failed", "This host's result cannot be read: its resolution is not as the protocol wants it."
    if result.get("would") or result.get("skipped"):
        return "skipped", _said(result) or "The diagnosis was skipped."
    return "failed", _said(result) or "This host's result holds no resolution, and nothing says why."


def _said(result: Mapping[str, Any]) -> str:
    said = result.get("msg") or result.get("would") or result.get("skip_reason")
    lines = (line.strip() for line in str(said or "").splitlines())
    return " ".join(line for line in lines if line)[:_LONGEST_ERROR]


def entry(report: Mapping[str, Any]) -> dict[str, Any]:
    """What a person wants to know first of a host, as a task's result. Long texts are cut, not so in the report."""
    resolution = report["resolution"] or {}
    kept = ("status", "ended", "error", "model", "duration_s", "diagnosis_id")
    return _entry(
        {
            **{key: report[key] for key in kept},
            "resolution": {key: resolution.get(key) for key in reading.RESOLUTION},
            "started_at": report["started"],
            "claims": _claims(report["grounding"]),
            "events": sum(result["event_count"] for result in report["ebpf_results"].values()),
        }
    )


def _claims(grounding: Optional[Mapping[str, Any]]) -> dict[str, int]:
    """How many claims were found in the evidence, and how many not."""
    if not grounding:
        return {}
    return {kind: len(grounding[kind]) + grounding["left_out"][kind] for kind in reading.CLAIMS}


def read_entry(registered: Any) -> Optional[dict[str, Any]]:
    """The entry in a task's result, or None where there is none."""
    if not isinstance(registered, Mapping) or registered.get("status") not in STATUSES:
        return None
    read = _entry(reading.plain(registered))
    return None if read["status"] == "diagnosed" and not read["resolution"] else read


def _entry(given: Mapping[str, Any]) -> dict[str, Any]:
    resolution = reading.resolution(given.get("resolution")) or {}
    resolution = {key: _cut(text) for key, text in resolution.items() if isinstance(text, str)}
    return {
        "status": given["status"],
        "resolution": resolution or None,
        "root_cause": resolution.get("root_cause"),
        "confidence": resolution.get("confidence"),
        "claims": {kind: n for kind, n in reading.counts(given.get("claims")).items() if kind in reading.CLAIMS},
        "ended": given["ended"] if given.get("ended") in reading.ENDINGS else None,
        "error": _cut(reading.text(given.get("error")) or "") or None,
        "model": reading.text(given.get("model")),
        "started_at": reading.text(given.get("started_at")),
        "duration_s": reading.seconds(given.get("duration_s")),
        "events": given["events"] if reading.whole(given.get("events")) else 0,
        "diagnosis_id": reading.text(given.get("diagnosis_id")),
    }


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_IN_ENTRY else text[: _LONGEST_IN_ENTRY - 4] + " […]"


def overview(entries: Mapping[str, dict[str, Any]], issue: Optional[str], now: str) -> dict[str, Any]:
    """The run at a glance: counts by status, and the entry of each host. `now`: where no host says when it began."""
    return {
        "started": min((entry["started_at"] for entry in entries.values() if entry["started_at"]), default=now),
        "issue": issue or None,
        "counts": {status: sum(entry["status"] == status for entry in entries.values()) for status in STATUSES},
        "hosts": dict(entries),
    }
