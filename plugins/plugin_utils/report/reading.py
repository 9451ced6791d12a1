# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host sent, read as what a report may hold. Private to the collection, controller side.

A host's answer may be anything: other versions, cut off, made up. What is read here is as schemas/report.schema.json
says, and what cannot be read is left out and counted, so that one bad part costs neither the rest nor other hosts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Optional

Check = Callable[[Any], bool]

ENDINGS = (
    "resolution",
    "round_limit",
    "time_limit",
    "token_limit",
    "evidence_limit",
    "model_error",
    "unusable_replies",
)
CLAIMS = ("supported", "unsupported")
CORRECTIONS = ("not needed", "made", "no better", "not answered", "not asked for")
_CONFIDENCES = ("High", "Medium", "Low")
_DEEPEST = 40
_LARGEST = 2**64


def plain(value: Any, depth: int = _DEEPEST) -> Any:
    """The same as JSON can say it: texts as keys, null for what is no finite number, and no bottomless nesting."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return value if abs(value) < _LARGEST else None  # NaN compares as false
    if depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return {str(key): plain(member, depth - 1) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(member, depth - 1) for member in value]
    return str(value)


def text(value: Any) -> Optional[str]:
    """A text with something in it, else None."""
    return value if isinstance(value, str) and value else None


def texts(value: Any) -> list[str]:
    """A text, or the texts of a list."""
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str) and each]


def seconds(value: Any) -> Optional[float]:
    """A duration, else None."""
    return value if _number(value) and 0 <= value < math.inf else None


def counts(value: Any) -> dict[str, int]:
    """The whole numbers of an object."""
    return {key: number for key, number in value.items() if whole(number)} if isinstance(value, dict) else {}


def sandbox(value: Any) -> Optional[dict[str, Any]]:
    """What commands ran in, `name` and `commands`, with the `reason` where there is one; None where it is not known."""
    return _object(value, {"name": _text, "commands": _text}, {"reason": _text})


def resolution(value: Any) -> Optional[dict[str, Any]]:
    """A resolution of the protocol, else None."""
    return _object(value, RESOLUTION)


def grounding(value: Any) -> Optional[dict[str, Any]]:
    """What of a resolution was found in the evidence, and what was not; None where that is not known."""
    if not isinstance(value, dict) or not isinstance(value.get("supported"), list):
        return None
    left_out = counts(value.get("left_out"))
    supported, _unread = _objects(value["supported"], _SUPPORTED, {})
    unsupported, _unread = _objects(value.get("unsupported"), _UNSUPPORTED, {})
    correction = value.get("correction")
    return {
        "supported": supported,
        "unsupported": unsupported,
        "correction": correction if correction in CORRECTIONS else None,
        "left_out": {kind: left_out.get(kind, 0) for kind in CLAIMS},
    }


def programs(value: Any) -> tuple[dict[str, dict[str, Any]], int]:
    """Results of eBPF programs by key, and how many results and events could not be read."""
    if not isinstance(value, dict):
        return {}, int(bool(value))
    read: dict[str, dict[str, Any]] = {}
    unread = 0
    for key, member in value.items():
        program = _object(member, _PROGRAM, {"error": _text})
        if program is None:
            unread += 1
            continue
        events = [_object(event, _EVENT, {"thread_id": _integer}) for event in program["events"]]
        program["events"] = [event for event in events if event is not None]
        unread += len(events) - len(program["events"])
        read[key] = program
    return read, unread


def commands(value: Any) -> tuple[list[dict[str, Any]], int]:
    """Results of commands, and how many could not be read."""
    return _objects(value, _COMMAND, {"refused": lambda given: isinstance(given, bool), "reason": _text})


def rounds(value: Any) -> tuple[list[dict[str, Any]], int]:
    """What each round asked for, and how many rounds could not be read."""
    return _objects(value, _ROUND, {"model_s": _number, "collect_s": _number, "repairs": _integer})


def _objects(
    value: Any, required: Mapping[str, Check], optional: Mapping[str, Check]
) -> tuple[list[dict[str, Any]], int]:
    if not isinstance(value, list):
        return [], int(bool(value))
    read = [each for each in (_object(member, required, optional) for member in value) if each is not None]
    return read, len(value) - len(read)


def _object(
    value: Any, required: Mapping[str, Check], optional: Optional[Mapping[str, Check]] = None
) -> Optional[dict[str, Any]]:
    """The object without those optional members that are not as they should be; None where a required one is not."""
    if not isinstance(value, dict) or not all(key in value and right(value[key]) for key, right in required.items()):
        return None
    wanted = optional or {}
    return {key: member for key, member in value.items() if key not in wanted or wanted[key](member)}


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def whole(value: Any) -> bool:
    """Whether this is a number of things."""
    return _integer(value) and value >= 0


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


RESOLUTION: dict[str, Check] = {
    "response_type": lambda value: value == "resolution",
    "root_cause": _text,
    "resolution_plan": _text,
    "confidence": lambda value: value in _CONFIDENCES,
    "ebpf_evidence": _text,
}
_SUPPORTED: dict[str, Check] = {"claim": _text, "in": _text, "by": _texts}
_UNSUPPORTED: dict[str, Check] = {"claim": _text, "in": _text, "reason": _text}
_PROGRAM: dict[str, Check] = {
    "program_name": _text,
    "event_count": whole,
    "events": lambda value: isinstance(value, list),
    "summary": _text,
}
_EVENT: dict[str, Check] = {
    "timestamp": _integer,
    "process_id": _integer,
    "process_name": _text,
    "event_type": _text,
    "data": lambda value: isinstance(value, dict),
}
_COMMAND: dict[str, Check] = {
    "id": _text,
    "command": _text,
    "output": _text,
    "exit_code": lambda value: value is None or _integer(value),
}
_ROUND: dict[str, Check] = {
    "round": lambda value: _integer(value) and value >= 1,
    "reasoning": lambda value: value is None or _text(value),
    "commands": _texts,
    "ebpf_programs": _texts,
    "started": _text,
    "duration_s": _number,
}
