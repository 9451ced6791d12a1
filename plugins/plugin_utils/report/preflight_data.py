# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks of a preflight registered, as one entry a host. Private to the collection.

What a host sent is read like any input: what is no verdict is a failure of that host, and nobody else's.
"""

from __future__ import annotations

from typing import Any, Optional

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.preflight.verdicts import (
    CATEGORIES,
    CHECKS,
    FAILED,
    LIMITED,
    MODEL_CHECKS,
    NOT_TRIED,
    OK,
    Check,
)

READY, UNREACHABLE = "ready", "unreachable"
_VERDICTS = (OK, LIMITED, FAILED, NOT_TRIED)
_LONGEST = 1000


def entries(registered: dict[str, list[Any]]) -> dict[str, dict[str, Any]]:
    """By host, its ``status`` (ready, limited, failed, unreachable), ``checks``, and ``error`` where it has none.

    registered: by host, what each of its tasks registered. A model's checks hold for all hosts that ask it the same
    way: those that did not ask get the verdicts of the host that did, whose name is in ``asked_from``.
    """
    read = {host: _read(results) for host, results in registered.items()}
    asked: dict[str, tuple[str, dict[str, Any]]] = {}
    for host, entry in read.items():
        own = {name: check for name, check in entry["checks"].items() if name in (*MODEL_CHECKS, *CATEGORIES)}
        if entry["asks"] and own:
            _first, checks = asked.setdefault(entry["asks"], (host, {}))
            for name, check in own.items():
                checks.setdefault(name, check)
    for host, entry in read.items():
        host_that_asked, checks = asked.get(entry["asks"] or "", (host, {}))
        if entry["checks"] and host_that_asked != host:
            taken = {name: check for name, check in checks.items() if name not in entry["checks"]}
            entry["checks"].update(taken)
            entry["asked_from"] = host_that_asked if taken else None
        entry["checks"] = {name: entry["checks"][name] for name in CHECKS if name in entry["checks"]}
        entry["status"] = _status(entry)
    return read


def overview(found: dict[str, dict[str, Any]], now: str) -> dict[str, Any]:
    """The run at a glance: ``time``, ``counts`` by status, ``hosts``."""
    counts = dict.fromkeys((READY, LIMITED, FAILED, UNREACHABLE), 0)
    for entry in found.values():
        counts[entry["status"]] += 1
    return {"time": now, "counts": counts, "hosts": found}


def _read(results: list[Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "status": "",
        "checks": {},
        "asks": None,
        "asked_from": None,
        "error": None,
        "unreachable": False,
    }
    for result in results:
        for part in _parts(result):
            _take(part, entry)
    if not entry["checks"] and not entry["error"]:
        entry["error"] = "Nothing was looked at on this host: it failed or was left out before."
    return entry


def _parts(result: Any) -> list[Any]:
    """A registered result, or those of its loop."""
    of_loop = result.get("results") if isinstance(result, dict) else None
    return of_loop if isinstance(of_loop, list) else [result]


def _take(result: Any, entry: dict[str, Any]) -> None:
    if not isinstance(result, dict) or result.get("skipped") or not result:
        return
    if result.get("unreachable") or result.get("failed"):
        entry["unreachable"] = entry["unreachable"] or bool(result.get("unreachable"))
        entry["error"] = entry["error"] or _text(result.get("msg") or result.get("module_stderr"))
    entry["asks"] = entry["asks"] or _asks(result.get("asks"))
    checks = result.get("checks")
    for name, check in checks.items() if isinstance(checks, dict) else []:
        if name in CHECKS:
            entry["checks"][name] = _check(check)


def _check(check: Any) -> dict[str, Any]:
    if not isinstance(check, dict) or check.get("verdict") not in _VERDICTS:
        return Check(FAILED, "What the host said of this cannot be read.").as_data()
    remedy = check.get("remedy")
    return Check(check["verdict"], _text(check.get("found")), _text(remedy) if remedy else None).as_data()


def _status(entry: dict[str, Any]) -> str:
    if entry.pop("unreachable"):
        return UNREACHABLE
    verdicts = {check["verdict"] for check in entry["checks"].values()}
    if entry["error"] or FAILED in verdicts:
        return FAILED
    return LIMITED if LIMITED in verdicts else READY


def _text(value: Any) -> str:
    return str(value if value is not None else "")[:_LONGEST]


def _asks(value: Any) -> Optional[str]:
    return value[:_LONGEST] if isinstance(value, str) else None
