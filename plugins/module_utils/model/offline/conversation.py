# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: what the messages of a diagnosis hold, read by the offline diagnostician."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from .evidence import Evidence


@dataclass
class Conversation:
    """The issue and the host, the evidence of all rounds, and what is wanted now."""

    issue: str = ""
    capabilities: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    remaining: dict[str, Any] = field(default_factory=dict)
    evidence: Evidence = field(default_factory=Evidence)
    rounds: int = 0
    must_resolve: bool = False


def read_conversation(messages: list[dict[str, str]]) -> Conversation:
    """Reads the user's messages, each one JSON object; what is none counts as the issue. Never raises."""
    conversation = Conversation()
    for message in messages:
        if message.get("role") == "user":
            content = str(message.get("content", ""))
            _take(conversation, _as_object(content), content)
    return conversation


def _as_object(content: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _take(conversation: Conversation, turn: dict[str, Any], content: str) -> None:
    if "issue" in turn:
        conversation.issue = str(turn["issue"])
        conversation.evidence.system = _dict(turn.get("system_information"))
        conversation.capabilities = _dict(turn.get("ebpf_capabilities"))
        conversation.limits = _dict(turn.get("limits"))
    elif not turn and not conversation.issue:
        conversation.issue = content
    if "command_results" in turn or "ebpf_results" in turn:
        conversation.rounds += 1
        conversation.remaining = _dict(turn.get("remaining"))
        conversation.evidence.add(turn.get("command_results"), turn.get("ebpf_results"))
    # A reply of ours that could not be used would only be given again: then the conclusion is what is left to say.
    conversation.must_resolve = "last_turn" in turn or "repair" in turn


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
