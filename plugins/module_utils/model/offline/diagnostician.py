# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: the offline diagnostician, an expert system behind the port of the models.

It needs no key, no gateway and no network: it reads the messages of the protocol and answers with the protocol's JSON.
First it asks for what the issue's categories need; then, where that adds something, for more about whom it found; then
it concludes.
"""

from __future__ import annotations

import json
from typing import Any

from ..port import Answer
from .categories import PROCESS, classify
from .closer import second_programs, second_request
from .conclusion import conclude, ranked
from .conversation import Conversation, read_conversation
from .evidence import number
from .requests import DURATION, first_request

NAME = "offline"
_SECONDS_FOR_A_CLOSER_LOOK = 5


class OfflineModel:
    """Answers like a model, from rules."""

    name = NAME
    overhead = 0

    def ask(self, messages: list[dict[str, str]], timeout: float) -> Answer:
        """Answers the last message at once; `timeout` is never needed. Raises nothing."""
        conversation = read_conversation(messages)
        reply = json.dumps(_reply(conversation), ensure_ascii=False)
        return Answer(content=reply, prompt_tokens=0, completion_tokens=0, episode_id=None, model=NAME)


def _reply(conversation: Conversation) -> dict[str, Any]:
    categories = classify(conversation.issue)
    if conversation.rounds == 0 and not conversation.must_resolve:
        return _first_round(conversation, categories)
    if conversation.rounds == 1 and not conversation.must_resolve and _time_for_more(conversation):
        found = ranked(conversation.evidence, conversation.issue, categories)
        commands = second_request([each.finding for each in found])
        programs = _suspects(conversation, categories)
        if commands or programs:
            causes = "; ".join(each.finding.cause for each in found[:2]) or "nothing certain"
            return _diagnostic(f"Found so far: {causes}. A closer look at who and where that is.", commands, programs)
    return conclude(conversation.evidence, conversation.issue, categories)


def _first_round(conversation: Conversation, categories: list[str]) -> dict[str, Any]:
    request = first_request(conversation.issue, categories, conversation.capabilities, conversation.limits)
    spoken = ", ".join(categories)
    reasoning = (
        f"The issue speaks of {spoken}: its usual suspects are looked at together, commands against kernel events."
        if spoken
        else "The issue names no known kind of trouble: a look at everything, commands against kernel events."
    )
    return _diagnostic(reasoning, request["commands"], request["ebpf_programs"])


def _suspects(conversation: Conversation, categories: list[str]) -> list[dict[str, Any]]:
    """Programs for a second round; only where the issue is about processes and a trace still fits into the time."""
    if PROCESS not in categories or number(conversation.remaining.get("seconds", 0)) < 2 * DURATION:
        return []
    return second_programs(conversation.evidence, conversation.issue, conversation.limits)


def _diagnostic(reasoning: str, commands: list[dict[str, str]], programs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "response_type": "diagnostic",
        "reasoning": reasoning,
        "commands": commands,
        "ebpf_programs": programs,
    }


def _time_for_more(conversation: Conversation) -> bool:
    remaining = conversation.remaining
    rounds, seconds = remaining.get("rounds", 1), remaining.get("seconds", _SECONDS_FOR_A_CLOSER_LOOK)
    return number(rounds) >= 1 and number(seconds) >= _SECONDS_FOR_A_CLOSER_LOOK
