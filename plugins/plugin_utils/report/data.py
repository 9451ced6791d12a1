# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run over an inventory: what became of each host. Private to the collection, controller side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

# Keys of a host's report, in the order in which a reader meets them.
_KEYS = (
    "issue",
    "host",
    "model",
    "started",
    "duration_s",
    "resolution",
    "ended",
    "error",
    "ebpf_results",
    "command_results",
    "rounds",
    "usage",
    "episode_id",
    "diagnosis_id",
    "record",
    "warnings",
)
_LISTS, _OBJECTS = ("command_results", "rounds", "warnings"), ("ebpf_results", "usage")


def host_report(host: str, registered: Any, issue: str) -> dict[str, Any]:
    """The report of one host, from what its diagnose task registered; every key is there, whatever happened.

    `error` is a sentence where there is no resolution. `status`: diagnosed, failed, unreachable, skipped.
    """
    result = registered if isinstance(registered, Mapping) else {}
    report = {key: result.get(key) for key in _KEYS}
    report.update({key: list(report[key] or []) for key in _LISTS})
    report.update({key: dict(report[key] or {}) for key in _OBJECTS})
    report["host"] = host
    # Ansible takes a task's result for that of a background job that still runs where it has a key `started`.
    report["started"] = result.get("started_at")
    report["issue"] = report["issue"] or issue
    report["status"] = _status(result)
    if report["status"] != "diagnosed":
        report["error"] = _why(result)
    return report


def _status(result: Mapping[str, Any]) -> str:
    if result.get("unreachable"):
        return "unreachable"
    if result.get("failed"):
        return "failed"
    if result.get("resolution"):
        return "diagnosed"
    return "skipped"


def _why(result: Mapping[str, Any]) -> str:
    said = result.get("msg") or result.get("would") or result.get("skip_reason")
    lines = [line for line in str(said or "").strip().splitlines() if line.strip()]
    return " ".join(lines)[:2000] if lines else "The diagnosis did not take place, and nothing says why."


def overview(reports: list[dict[str, Any]], started: Optional[str]) -> dict[str, Any]:
    """The run at a glance: counts by status, and for each host what a person wants to know first."""
    return {
        "started": started,
        "issue": reports[0]["issue"] if reports else None,
        "counts": {
            status: sum(report["status"] == status for report in reports)
            for status in ("diagnosed", "failed", "unreachable", "skipped")
        },
        "hosts": {
            report["host"]: {
                "status": report["status"],
                "resolution": report["resolution"],
                "root_cause": (report["resolution"] or {}).get("root_cause"),
                "confidence": (report["resolution"] or {}).get("confidence"),
                "ended": report["ended"],
                "error": report["error"],
                "model": report["model"],
                "duration_s": report["duration_s"],
                "events": sum(result.get("event_count", 0) for result in report["ebpf_results"].values()),
            }
            for report in reports
        },
    }
