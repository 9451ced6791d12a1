# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: the messages so far, kept to the tokens that they may cost.

Every request repeats the whole conversation. Where it grows too large, what old rounds brought is condensed, the oldest
first; only then what the newest brought is cut. Each cut is marked with how much is missing, reckoned from the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from . import turns
from .fitting import as_json
from .loop_state import RoundSent, Talk
from .model.port import Answer

CHARACTERS_A_TOKEN = 3.0
"""What JSON of this kind comes to with common tokenizers, on the safe side; corrected by what servers count."""

ANSWER_TOKENS = 2_000
"""Kept free for an answer."""

_CONDENSED = (12_000, 3_000)
"""Characters of evidence that an old round keeps, tried in turn."""

_OLD_REPLY = 2_000
"""Characters that an old reply of the model keeps, where room has to be made."""

_FEWEST = 3_000
_CUTS = 4
_A_MESSAGE = 8
"""Tokens that a message costs beside its content."""


class OutOfTokens(Exception):
    """Not even the last turn can be asked for; the message is a sentence for the operator."""


@dataclass
class _Round:
    """The evidence of a round as it was collected, and the message that carries it."""

    collected: dict[str, Any]
    notes: list[str]
    remaining: dict[str, Any]
    budget: int
    position: Optional[int] = None
    shown_bytes: int = 0

    def turn(self, budget: int, why: str = "") -> dict[str, Any]:
        """Its turn, with at most so many characters of evidence."""
        return turns.evidence(self.collected, [*self.notes, *([why] if why else [])], self.remaining, budget)

    def sent(self) -> RoundSent:
        """The same without the evidence itself."""
        return RoundSent.model_construct(
            commands=len(self.collected["command_results"]),
            programs=list(self.collected["ebpf_results"]),
            notes=self.notes,
            remaining=self.remaining,
            budget=self.budget,
            position=self.position,
            shown_bytes=self.shown_bytes,
        )


def _bytes(turn: dict[str, Any]) -> int:
    return len(as_json({name: turn[name] for name in ("command_results", "ebpf_results")}).encode("utf-8", "replace"))


class Conversation:
    """Messages and their cost.

    `tokens`: what all requests and answers may come to, None for no limit; `request_tokens`: what one request may.
    `overhead`: characters that each request has beside the messages, such as the prompt's.
    """

    def __init__(self, tokens: Optional[int], request_tokens: int, overhead: int = 0) -> None:
        self._tokens = tokens
        self._request_tokens = request_tokens
        self._overhead = overhead
        self._messages: list[dict[str, str]] = []
        self._rounds: list[_Round] = []
        self._characters_a_token = CHARACTERS_A_TOKEN
        self._spent = 0

    def restore(self, talk: Talk, collected: list[dict[str, Any]]) -> None:
        """Takes over what `talk` of another conversation gave, with the evidence of each of its rounds."""
        self._messages = talk.messages
        self._characters_a_token = talk.characters_a_token
        self._spent = talk.spent
        self._rounds = [
            _Round(evidence, sent.notes, sent.remaining, sent.budget, sent.position, sent.shown_bytes)
            for sent, evidence in zip(talk.rounds, collected)
        ]

    def talk(self) -> Talk:
        """The conversation as plain data, for another to take over."""
        return Talk.model_construct(
            messages=self._messages,
            rounds=[each.sent() for each in self._rounds],
            characters_a_token=self._characters_a_token,
            spent=self._spent,
        )

    @property
    def spent(self) -> int:
        """Tokens so far: as counted by the server, else as estimated."""
        return self._spent

    @property
    def shown_bytes(self) -> int:
        """Bytes of evidence that the model was shown, of each round as it was first."""
        return sum(each.shown_bytes for each in self._rounds)

    def evidence(
        self,
        collected: dict[str, Any],
        notes: list[str],
        remaining: dict[str, Any],
        budget: int,
        most_bytes: Optional[int] = None,
    ) -> dict[str, Any]:
        """The turn that carries the evidence of a round, of at most `budget` characters and so many bytes."""
        newest = _Round(collected, notes, remaining, budget if most_bytes is None else min(budget, most_bytes))
        turn = newest.turn(newest.budget)
        newest.shown_bytes = _bytes(turn)
        for _time in range(_CUTS):
            if most_bytes is None or newest.shown_bytes <= most_bytes:
                break
            # Characters of other scripts have several bytes each.
            newest.budget = newest.budget * most_bytes // newest.shown_bytes
            turn = newest.turn(newest.budget)
            newest.shown_bytes = _bytes(turn)
        self._rounds.append(newest)
        return turn

    def now_left(self, remaining: dict[str, Any]) -> None:
        """Corrects what is left of the limits in evidence that was not sent yet."""
        for each in self._rounds:
            if each.position is None:
                each.remaining = remaining

    def fits(self, turn: dict[str, Any], last: bool) -> Optional[list[dict[str, str]]]:
        """The messages of a request with this turn, condensed as far as is needed; None where they cost too much.

        Of a turn that is not the last one, as much again has to be left for one that is.
        """
        room = self._room(last)
        messages = [*self._messages, turns.as_message(turn)]
        if self.estimate(messages) <= room:
            return messages
        for budget in _CONDENSED:
            for each in self._rounds:
                if self._condense(each, budget):
                    messages = [*self._messages, turns.as_message(turn)]
                    if self.estimate(messages) <= room:
                        return messages
        if self._shorten_echoes():
            messages = [*self._messages, turns.as_message(turn)]
            if self.estimate(messages) <= room:
                return messages
        if not last and room < self._request_tokens:
            # Better one turn with this evidence whole than two with less.
            return None
        newest = self._newest(turn)
        while newest is not None and newest.budget > _FEWEST:
            newest.budget = max(_FEWEST, newest.budget // 2)
            why = (
                f"The evidence of this round was cut to {newest.budget} characters, for no more tokens are left for it."
            )
            messages = [*self._messages, turns.as_message({**turn, **newest.turn(newest.budget, why)})]
            if self.estimate(messages) <= room:
                return messages
        return None

    def answered(self, messages: list[dict[str, str]], answer: Answer) -> None:
        """Takes what was sent and the answer to it, and what both cost."""
        for each in self._rounds:
            if each.position is None:
                each.position = len(messages) - 1
        characters = self._characters(messages)
        counted, estimated = answer.prompt_tokens, self.estimate(messages)
        if counted:
            self._characters_a_token = min(8.0, max(1.0, characters / counted))
        self._spent += estimated if counted is None else counted
        written = answer.completion_tokens
        self._spent += int(len(answer.content) / self._characters_a_token) if written is None else written
        self._messages = [*messages, turns.as_echo(answer.content)]

    def estimate(self, messages: list[dict[str, str]]) -> int:
        """Tokens of a request, from its characters and what servers counted before."""
        return int(self._characters(messages) / self._characters_a_token) + _A_MESSAGE * len(messages)

    def _characters(self, messages: list[dict[str, str]]) -> int:
        return self._overhead + sum(len(message["content"]) for message in messages)

    def _room(self, last: bool) -> float:
        if self._tokens is None:
            return self._request_tokens
        left = self._tokens - self._spent
        return min(self._request_tokens, left - ANSWER_TOKENS if last else (left - 2 * ANSWER_TOKENS) / 2)

    def _newest(self, turn: dict[str, Any]) -> Optional[_Round]:
        return (
            self._rounds[-1] if self._rounds and self._rounds[-1].position is None and "ebpf_results" in turn else None
        )

    def _shorten_echoes(self) -> bool:
        """Cuts the middle out of the model's own long replies, but for the last; whether there was one."""
        replies = [index for index, message in enumerate(self._messages) if message["role"] == "assistant"][:-1]
        long = [index for index in replies if len(self._messages[index]["content"]) > 2 * _OLD_REPLY]
        for index in long:
            self._messages[index] = turns.as_echo(self._messages[index]["content"], _OLD_REPLY)
        return bool(long)

    def _condense(self, old: _Round, budget: int) -> bool:
        """Makes the message of an old round shorter; whether it was longer than that."""
        if old.position is None or old.budget <= budget:
            return False
        old.budget = budget
        condensed = turns.as_message(old.turn(budget, "This round was condensed to make room; each cut is marked."))
        if len(condensed["content"]) >= len(self._messages[old.position]["content"]):
            return False
        self._messages[old.position] = condensed
        return True
