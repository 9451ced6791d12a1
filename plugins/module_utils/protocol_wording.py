# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: says to a model which value of its reply breaks the contract.

Each sentence names the place, the value found there and what would be accepted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

_MOST_SENTENCES = 5
_EXCERPT = 80

_ACCEPTED = {
    "commands": 'a list of objects such as {"id": "net_status", "command": "ss -tulpn", "description": "..."}',
    "commands[]": 'an object such as {"id": "net_status", "command": "ss -tulpn", "description": "..."}, or a string',
    "id": "a string of 1 to 100 characters",
    "command": "one command line, a string of 1 to 2000 characters",
    "description": "a string",
    "ebpf_programs": 'a list of objects such as {"name": "connects", "type": "tracepoint", '
    '"target": "syscalls/sys_enter_connect", "duration": 15}',
    "ebpf_programs[]": 'an object such as {"name": "connects", "type": "tracepoint", '
    '"target": "syscalls/sys_enter_connect", "duration": 15}',
    "name": "a string of 1 to 100 characters",
    "type": '"tracepoint", "kprobe" or "kretprobe"',
    "target": "a kernel function, or category/event for a tracepoint",
    "duration": "a number of seconds above 0; 10 to 30 is usual",
    "filters": 'an object such as {"comm": "curl", "pid": 1234}',
    "comm": "the name of a process, a string",
    "pid": "the id of a process, a whole number from 1 to 4194304",
    "reasoning": "a string of at most 20000 characters",
    "root_cause": "a string of 1 to 20000 characters",
    "resolution_plan": "a string of 1 to 20000 characters, its steps separated by line breaks",
    "confidence": '"High", "Medium" or "Low"',
    "ebpf_evidence": "a string of at most 20000 characters; it may be empty where there is no eBPF evidence",
}


def shown(value: Any) -> str:
    """*value* as JSON, cut to a length that fits a sentence."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}… ({len(text)} characters)"


def sentences(errors: Sequence[Any]) -> str:
    """The errors of a pydantic ValidationError as sentences, at most five and the number of those left out."""
    lines = list(dict.fromkeys(_sentence(each) for each in errors))
    left_out = len(lines) - _MOST_SENTENCES
    if left_out > 0:
        lines[_MOST_SENTENCES:] = [f"There are {left_out} more errors of this kind."]
    return " ".join(lines)


def _sentence(error: Any) -> str:
    path = _path(error["loc"])
    if error["type"] == "value_error":
        cause = str(error["ctx"]["error"])
        return f"{path}: {cause}." if path else f"{cause[0].upper()}{cause[1:]}."
    accepted = _accepted(error["loc"])
    if error["type"] == "missing":
        return f"{path} is missing; it must be {accepted}."
    return f"{path} is {shown(error['input'])}; it must be {accepted}."


def _path(location: Sequence[Any]) -> str:
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    return path


def _accepted(location: Sequence[Any]) -> str:
    key = str(next((step for step in reversed(location) if isinstance(step, str)), ""))
    return _ACCEPTED.get(f"{key}[]" if isinstance(location[-1], int) else key, "of another type")
