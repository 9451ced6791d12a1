# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: all that a diagnosis has come to, as plain JSON and back.

What the loop knows between two steps is here and nowhere else, so that another run can go on where one was ended.
"""

from __future__ import annotations

from typing import Any, Literal, Optional

from . import deps

try:
    import pydantic
except ImportError as error:
    pydantic = deps.absent("pydantic", error)

RESULT = (
    "resolution",
    "grounding",
    "ended",
    "error",
    "rounds",
    "command_results",
    "ebpf_results",
    "usage",
    "episode_id",
    "model",
)


MEMBERS = (
    "issue",
    "system_information",
    "capabilities",
    *RESULT,
    "spent_s",
    "talk",
    "pending",
)
"""Of a state, as JSON."""


Limit = Literal["round_limit", "time_limit", "token_limit", "evidence_limit"]
"""What makes a turn the last one."""

Ended = Literal["resolution", Limit, "model_error", "unusable_replies"]
"""How a diagnosis ends."""


class StateError(ValueError):
    """A state that no loop can have left; the message is a sentence for the operator."""


class _Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)


class Reply(_Part):
    """What the model said and has not been acted on."""

    content: str
    finish_reason: Optional[str] = None


class Pending(_Part):
    """What comes next: `answer` is to be acted on where there is one, else `turn` is to be sent."""

    turn: dict[str, Any] = pydantic.Field(default_factory=dict)
    answer: Optional[Reply] = None
    last_turn: Optional[Limit] = None
    correcting: bool = False
    repairs: int = 0
    model_seconds: float = 0.0
    notes: list[str] = pydantic.Field(default_factory=list)
    """What the model is to be told with the evidence of the next round."""


class RoundSent(_Part):
    """How the evidence of a round was sent; `commands` results of commands, and the `programs` of these keys."""

    commands: int
    programs: list[str]
    notes: list[str]
    remaining: dict[str, Any]
    budget: int
    position: Optional[int] = None
    shown_bytes: int = 0
    """Of the evidence, as the model was first shown it."""


class Talk(_Part):
    """The conversation: its messages, and what is needed to condense and to reckon them."""

    messages: list[dict[str, str]] = pydantic.Field(default_factory=list)
    rounds: list[RoundSent] = pydantic.Field(default_factory=list)
    characters_a_token: float = 3.0
    spent: int = 0


class State(_Part):
    """A diagnosis between two steps; times in seconds. The members of a result have its names."""

    issue: str
    system_information: dict[str, Any]
    capabilities: dict[str, Any]
    model: str
    episode_id: Optional[str] = None
    resolution: Optional[dict[str, Any]] = None
    grounding: Optional[dict[str, Any]] = None
    ended: Optional[Ended] = None
    error: Optional[str] = None
    rounds: list[dict[str, Any]] = pydantic.Field(default_factory=list)
    command_results: list[dict[str, Any]] = pydantic.Field(default_factory=list)
    ebpf_results: dict[str, dict[str, Any]] = pydantic.Field(default_factory=dict)
    usage: dict[str, int] = pydantic.Field(
        default_factory=lambda: dict.fromkeys(
            ("calls", "prompt_tokens", "completion_tokens", "calls_without_token_counts"), 0
        )
    )
    spent_s: float = 0.0
    talk: Talk = pydantic.Field(default_factory=Talk)
    pending: Pending = pydantic.Field(default_factory=Pending)

    def result(self) -> dict[str, Any]:
        """The members that a diagnosis returns."""
        return {name: getattr(self, name) for name in RESULT}

    def as_json(self) -> dict[str, Any]:
        """All of it. The evidence in it is the diagnosis's own, not a copy: it is to be written at once."""
        members = {name: getattr(self, name) for name in MEMBERS}
        return {**members, "talk": self.talk.model_dump(), "pending": self.pending.model_dump()}

    def collected(self) -> list[dict[str, Any]]:
        """The evidence of each round as it was collected. Raises StateError where it is not there."""
        start, rounds = 0, []
        for each in self.talk.rounds:
            commands = self.command_results[start : start + each.commands]
            start += each.commands
            if len(commands) != each.commands or not all(key in self.ebpf_results for key in each.programs):
                raise StateError("Evidence of a round is missing in it.")
            programs = {key: self.ebpf_results[key] for key in each.programs}
            rounds.append({"command_results": commands, "ebpf_results": programs})
        return rounds


def read_state(saved: Any) -> State:
    """The state that `as_json` gave, whatever became of it meanwhile. Raises StateError."""
    try:
        state = State.model_validate(saved)
    except (pydantic.ValidationError, RecursionError) as error:
        raise StateError(f"It does not hold a diagnosis: {first_problem(error)}.") from None
    messages = state.talk.messages
    if any(set(message) != {"role", "content"} for message in messages) or len(messages) % 2:
        raise StateError("The messages in it are no conversation.")
    for each in state.talk.rounds:
        if each.commands < 0 or (each.position is not None and not 0 <= each.position < len(messages)):
            raise StateError("The rounds in it are not those of its messages.")
    if len(state.talk.rounds) != len(state.rounds) or not 0.1 <= state.talk.characters_a_token <= 100:
        raise StateError("The rounds in it are not those of its messages.")
    state.collected()
    return state


def first_problem(error: Exception) -> str:
    """Where in data something is wrong and what, by the error of pydantic that it caused, or of reading it."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    problems: list[dict[str, Any]] = getattr(error, "errors", list)()
    place = ".".join(str(part) for part in problems[0]["loc"])
    return f"{place or 'as a whole'}, {problems[0]['msg']}"
