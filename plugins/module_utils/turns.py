# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: what the host says to the model in each of its turns.

Every turn is one JSON object (its contract: Opening, Evidence, Repair, LastTurn, Preflight in ``protocol.py``), so that
nothing that a host prints can pass for a part of the conversation. No turn holds the tokens that chat templates put
between turns either: JSON can spell them otherwise.
"""

from __future__ import annotations

import re
from typing import Any

from .fitting import as_json, fit_evidence, head_and_tail
from .json_text import without_surrogates

LONGEST_ECHO = 32_000
"""Characters of a reply that are sent back to the model as its own turn."""

_LAST_TURN = {
    "round_limit": "This was the last round of this diagnosis.",
    "time_limit": "The time of this diagnosis is used up.",
    "token_limit": "The tokens of this diagnosis are used up.",
    "evidence_limit": "As much evidence as this diagnosis may show you was shown.",
}

_CLAIMS_NAMED = 40

# The first character of such a token; it stands inside a string, for JSON has no other place for it. Some servers read
# tokens also where a user's message spells them.
_MARKUP = re.compile(
    r"<(?=[|\uff5c])|\[(?=/?INST\])|<(?=</?SYS>>)|<(?=/?s>)|<(?=/?(?:start_of_turn|end_of_turn|bos|eos|pad|unk)>)"
    r"|<(?=/?(?:tool_call|tool_response|think)>)"
)

_CORRECT = (
    'What "unsupported" lists was claimed in your resolution and not found in what was collected. Nothing further will '
    'be run. Answer again with response_type "resolution", whole: give what the evidence says, with the id of the '
    "command or the key of the result that it is from; leave out what no result carries; lower the confidence where "
    "that takes away what it rests on. This is asked once."
)

_RESOLVE_NOW = (
    'Nothing further will be run. Answer now with response_type "resolution": the best conclusion that the evidence '
    'so far carries, with confidence "Low" where it does not settle the matter, and what should be looked at next.'
)

NO_MORE_EVIDENCE = (
    "The reply is a diagnostic, and nothing further can be run. "
    'Answer with response_type "resolution", from what is known.'
)


def opening(
    system_information: dict[str, Any], capabilities: dict[str, Any], limits: dict[str, Any], issue: str
) -> dict[str, Any]:
    """The first turn: the host, what eBPF it can do, what the diagnosis may cost, and the issue."""
    return {
        "system_information": system_information,
        "ebpf_capabilities": capabilities,
        "limits": limits,
        "issue": issue,
    }


def evidence(collected: dict[str, Any], notes: list[str], remaining: dict[str, Any], budget: int) -> dict[str, Any]:
    """The turn after a diagnostic: what was collected, cut to *budget* characters, and what was done otherwise."""
    turn = {
        "command_results": collected["command_results"],
        "ebpf_results": collected["ebpf_results"],
    }
    fitted = fit_evidence(turn, budget)
    if fitted is not turn:
        notes = [*notes, f"The evidence of this round was cut to {budget} characters; each cut is marked."]
    return {**fitted, **({"notes": notes} if notes else {}), "remaining": remaining}


def repair(problem: str, attempts_left: int) -> dict[str, Any]:
    """The turn after a reply that cannot be used."""
    left = "This is the last attempt." if attempts_left == 1 else f"{attempts_left} attempts are left."
    return {"repair": f"Your last reply could not be used. {problem} {left}"}


def correction(unsupported: list[dict[str, Any]]) -> dict[str, Any]:
    """The turn after a resolution with claims that were not found in the evidence; at most forty are named."""
    named = [{"claim": each["claim"], "reason": each["reason"]} for each in unsupported[:_CLAIMS_NAMED]]
    return {"repair": _CORRECT, "unsupported": named}


def preflight() -> dict[str, Any]:
    """The only turn of an operator who looks whether the model can be asked, and by which prompt."""
    return {"preflight": "Say that you can be asked, and by which version of your prompt."}


def last_turn(why: str) -> str:
    """The words that ask for a resolution now; *why* is a limit, such as ``round_limit``."""
    return f"{_LAST_TURN[why]} {_RESOLVE_NOW}"


def as_message(turn: dict[str, Any]) -> dict[str, str]:
    """A turn as the user message that carries it."""
    content = _MARKUP.sub(lambda found: f"\\u{ord(found[0]):04x}", without_surrogates(as_json(turn)))
    return {"role": "user", "content": content}


def as_echo(reply: str, longest: int = LONGEST_ECHO) -> dict[str, str]:
    """The model's reply as received, as its turn in the conversation; a longer one without its middle."""
    text, _missing = head_and_tail(reply, longest)
    # Servers refuse a message without content.
    return {"role": "assistant", "content": without_surrogates(text) if text.strip() else "(empty reply)"}
