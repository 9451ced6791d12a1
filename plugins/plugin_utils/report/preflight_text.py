# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A preflight as a person reads it: one table of all hosts, then what is to be mended. Private to the collection."""

from __future__ import annotations

import textwrap
from typing import Any

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.preflight.verdicts import (
    CHECKS,
    FAILED,
    LIMITED,
    NOT_TRIED,
    OK,
)
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.report.text import clean, one_line

_WIDTH = 79
_LONGEST_HOST = 28
_HOSTS_NAMED = 12
_CELLS = {OK: "ok", LIMITED: "lim.", FAILED: "FAIL", NOT_TRIED: "-"}
_HEADS = {
    "setup": "setup",
    "privileges": "priv.",
    "probes": "probes",
    "sandbox": "fence",
    "policy": "rules",
    "records": "log",
    "model": "model",
    "prompt": "prompt",
    "network": "net",
    "process": "proc",
    "file_io": "file",
    "performance": "perf",
    "memory": "mem",
}


def as_text(overview: dict[str, Any]) -> str:
    """For a terminal: the table, and below it each thing that is not well, with its hosts and its mend."""
    hosts = overview["hosts"]
    names = [name for name in CHECKS if any(name in entry["checks"] for entry in hosts.values())]
    counts = ", ".join(f"{number} {status}" for status, number in overview["counts"].items() if number)
    host_width = max(4, *(min(len(one_line(host)), _LONGEST_HOST) for host in hosts)) if hosts else 4
    widths = {name: max(len(_HEADS[name]), 4) for name in names}
    head = "host".ljust(host_width) + "".join(f" {_HEADS[name]:>{widths[name]}}" for name in names)
    rule = "─" * max(len(head), _WIDTH)
    lines = [rule, f"Preflight of {len(hosts):,} {'host' if len(hosts) == 1 else 'hosts'}: {counts}", rule, head]
    for host, entry in hosts.items():
        cells = "".join(f" {_cell(entry, name):>{widths[name]}}" for name in names)
        status = f" {entry['status']}" if not entry["checks"] else ""
        lines.append(f"{_short(host, host_width):<{host_width}}{cells}{status}".rstrip())
    for title, found in (("To be mended", FAILED), ("Goes, with less", LIMITED)):
        lines += _grouped(hosts, title, found)
    return "\n".join(lines)


def as_markdown(overview: dict[str, Any]) -> str:
    """The same as Markdown, with all hosts named."""

    def cell(text: Any) -> str:
        return one_line(text if text is not None else "").replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")

    hosts = overview["hosts"]
    names = [name for name in CHECKS if any(name in entry["checks"] for entry in hosts.values())]
    counts = ", ".join(f"{number} {status}" for status, number in overview["counts"].items() if number)
    lines = ["# Preflight", "", f"- Time: {cell(overview['time'])}", f"- Hosts: {counts}", ""]
    lines += ["| Host | Status | " + " | ".join(names) + " |", "| --- | --- |" + " --- |" * len(names)]
    for host, entry in hosts.items():
        verdicts = [entry["checks"].get(name, {}).get("verdict", "") for name in names]
        lines.append("| " + " | ".join(cell(text) for text in (host, entry["status"], *verdicts)) + " |")
    lines += ["", "| Host | Check | Verdict | Found | What mends it |", "| --- | --- | --- | --- | --- |"]
    for host, entry in hosts.items():
        if entry["error"]:
            lines.append(
                "| " + " | ".join(cell(text) for text in (host, "", entry["status"], entry["error"], "")) + " |"
            )
        for name, check in entry["checks"].items():
            if check["verdict"] != OK:
                row = (host, name, check["verdict"], check["found"], check["remedy"])
                lines.append("| " + " | ".join(cell(text) for text in row) + " |")
    return "\n".join(lines) + "\n"


def _cell(entry: dict[str, Any], name: str) -> str:
    check = entry["checks"].get(name)
    return _CELLS[check["verdict"]] if check else ""


def _short(host: str, width: int) -> str:
    shown = one_line(host)
    return shown if len(shown) <= width else f"{shown[: width - 1]}…"


def _grouped(hosts: dict[str, dict[str, Any]], title: str, verdict: str) -> list[str]:
    """What is not well, once for all hosts of which the same was found."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for host, entry in hosts.items():
        if verdict == FAILED and entry["error"]:
            groups.setdefault((entry["status"], entry["error"], ""), []).append(host)
        for name, check in entry["checks"].items():
            if check["verdict"] == verdict:
                groups.setdefault((name, check["found"], check["remedy"] or ""), []).append(host)
    lines = ["", f"{title}:"] if groups else []
    for (name, found, remedy), named in groups.items():
        more = f" and {len(named) - _HOSTS_NAMED:,} more" if len(named) > _HOSTS_NAMED else ""
        lines += _wrapped(f"• {name}, {', '.join(one_line(host) for host in named[:_HOSTS_NAMED])}{more}", "")
        lines += _wrapped(clean(found), "  ")
        if remedy:
            lines += _wrapped(f"→ {clean(remedy)}", "  ")
    return lines


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        one_line(text), _WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False
    )
