# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as a person reads it: 80 columns in a terminal, Markdown in a file. Private to the collection."""

from __future__ import annotations

import re
import textwrap
from typing import Any, Optional

_WIDTH = 79  # so that nothing wraps in 80 columns
_LABEL = 12
_DEEPEST_INDENT = 16
# C0 and C1 control characters, which a terminal obeys; what ends a line or turns the direction of writing, by which a
# text shows as another than it is; and halves of characters, which cannot be written at all.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_RULE = "─" * _WIDTH
_COMMANDS_LISTED = 12
_CLAIMS_LISTED = 8


def clean(text: Any) -> str:
    """Text that comes from a model or a host, without what a terminal would obey."""
    return _CONTROL.sub("�", str(text))


def one_line(text: Any) -> str:
    """The same in one line, so that nobody can make up a line of somebody else's."""
    return " ".join(clean(text).split())


def _block(label: str, text: Any) -> list[str]:
    """A label and its text beside it, each line of the text wrapped by itself."""
    lines: list[str] = []
    for paragraph in clean(text).splitlines() or [""]:
        indent = min(len(paragraph) - len(paragraph.lstrip()), _DEEPEST_INDENT)
        hanging = indent + (3 if re.match(r"\s*(\d+\.|[-*•])\s", paragraph) else 0)
        lines += textwrap.wrap(
            paragraph.strip(),
            _WIDTH - _LABEL,
            initial_indent=" " * indent,
            subsequent_indent=" " * hanging,
            break_on_hyphens=False,
        ) or [""]
    return [f"{label if index == 0 else '':<{_LABEL}}{line}".rstrip() for index, line in enumerate(lines)]


def _plural(number: int, word: str) -> str:
    return f"{number:,} {word}" + ("" if number == 1 else "s")


def host_text(report: dict[str, Any]) -> str:
    """One host's report for a terminal."""
    seconds = report["duration_s"]
    right = "  ".join(
        part for part in (one_line(report["model"] or ""), f"{seconds:.0f} s" if seconds is not None else "") if part
    )
    host = one_line(report["host"])[: _WIDTH - 20]
    lines = [_RULE, f"{host}{right[: _WIDTH - len(host) - 2]:>{_WIDTH - len(host)}}".rstrip(), _RULE]
    lines += _block("Issue", report["issue"])
    if report["status"] != "diagnosed":
        lines += _block(report["status"].capitalize(), report["error"])
    lines += _looked_at(report)
    lines += _fenced(report)
    resolution = report["resolution"]
    if resolution:
        if report["ended"] not in (None, "resolution"):
            lines += _block("Note", f"Concluded at the end of what it may cost ({report['ended']}).")
        lines += ["", *_block("Root cause", resolution["root_cause"])]
        lines += ["", *_block("Evidence", resolution["ebpf_evidence"])]
        lines += ["", *_block("Plan", resolution["resolution_plan"])]
        lines += ["", *_block("Confidence", resolution["confidence"])]
        lines += _grounding(report["grounding"])
    lines += [line for warning in report["warnings"] for line in _block("Warning", warning)]
    return "\n".join(lines)


def _grounding(grounding: Optional[dict[str, Any]]) -> list[str]:
    """How much of the resolution the evidence carries, and what it does not."""
    if not grounding:
        return []
    found, missing = (len(grounding[kind]) + grounding["left_out"][kind] for kind in ("supported", "unsupported"))
    if not found + missing:
        return []
    lines = _block("Checked", f"{found:,} of {_plural(found + missing, 'claim')} found in the evidence")
    for each in grounding["unsupported"][:_CLAIMS_LISTED]:
        lines += _block("", f"• not found: {one_line(each['claim'])} ({one_line(each['reason'])})")
    more = missing - len(grounding["unsupported"][:_CLAIMS_LISTED])
    return lines + (_block("", f"• and {more:,} more, in the report") if more else [])


def _looked_at(report: dict[str, Any]) -> list[str]:
    commands, programs = report["command_results"], report["ebpf_results"]
    if not commands and not programs:
        return []
    refused = sum(bool(result.get("refused")) for result in commands)
    counts = [
        _plural(len(report["rounds"]), "round"),
        _plural(len(commands), "command"),
        _plural(len(programs), "trace"),
    ]
    lines = _block("Looked at", ", ".join(counts) + (f" ({refused} refused)" if refused else ""))
    for result in programs.values():
        target = one_line(result.get("target") or result["program_name"])
        if result.get("error"):
            lines += _block("", f"• {target}: not traced. {result['error']}")
        else:
            exact = "" if result.get("exact", True) else ", at least"
            lines += _block("", f"• {target}: {_plural(result['event_count'], 'event')}{exact}")
    names = [one_line(result["command"]) for result in commands if not result.get("refused")]
    if names:
        more = f" and {len(names) - _COMMANDS_LISTED} more" if len(names) > _COMMANDS_LISTED else ""
        lines += _block("", "• " + "; ".join(names[:_COMMANDS_LISTED]) + more)
    return lines


def _fenced(report: dict[str, Any]) -> list[str]:
    """What commands ran in, and how many secrets did not leave the host."""
    sandbox, redacted = report["sandbox"], report["redacted"]
    said = []
    if sandbox and report["command_results"]:
        within = f"commands {one_line(sandbox['commands'])}"
        why = f" ({one_line(sandbox['reason'])})" if sandbox.get("reason") else ""
        said.append(within + (f" by {one_line(sandbox['name'])}" if sandbox["name"] != "none" else why))
    if redacted:
        kinds = ", ".join(f"{number:,} {one_line(kind)}" for kind, number in sorted(redacted.items()))
        said.append(f"redacted: {kinds}")
    return _block("Fences", "; ".join(said)) if said else []


def summary_text(overview: dict[str, Any]) -> str:
    """The run at a glance, for a terminal: a line or two a host."""
    counts = ", ".join(f"{number} {status}" for status, number in overview["counts"].items() if number)
    lines = [_RULE, f"{_plural(len(overview['hosts']), 'host')}: {counts}", _RULE]
    for host, found in overview["hosts"].items():
        said = found["root_cause"] or found["error"] or ""
        about = found["confidence"] or found["status"]
        missing = found.get("claims", {}).get("unsupported", 0)
        if found["confidence"] and missing:
            about += f", {_plural(missing, 'claim')} not found in the evidence"
        first = textwrap.shorten(one_line(said), 2 * (_WIDTH - 4), placeholder=" …", break_on_hyphens=False)
        lines.append(f"{one_line(host)}  [{about}]"[:_WIDTH])
        lines += textwrap.wrap(first, _WIDTH - 4, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def summary_markdown(overview: dict[str, Any]) -> str:
    """The run at a glance as Markdown, with a table of hosts."""

    def cell(text: Any) -> str:
        shown = one_line(text if text is not None else "")
        return shown.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")

    counts = ", ".join(f"{number} {status}" for status, number in overview["counts"].items() if number)
    lines = [
        "# Diagnosis",
        "",
        f"- Issue: {cell(overview['issue'])}",
        f"- Started: {cell(overview['started'])}",
        f"- {_plural(len(overview['hosts']), 'host')}: {counts}",
        "",
        "| Host | Status | Confidence | Root cause, or why there is none | Events | Seconds | Model |",
        "| --- | --- | --- | --- | ---: | ---: | --- |",
    ]
    for host, found in overview["hosts"].items():
        said = found["root_cause"] or found["error"]
        cells = [host, found["status"], found["confidence"], said, found["events"], found["duration_s"], found["model"]]
        lines.append("| " + " | ".join(cell(text) for text in cells) + " |")
    return "\n".join(lines) + "\n"
