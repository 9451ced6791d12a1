# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: the port through which the loop asks a model.

Messages are ``{"role": "user" | "assistant", "content": "…"}``, oldest first. The content of every user message is
one JSON object (the kinds are in ``protocol.py``: Opening, Evidence, Repair, LastTurn, Preflight); that of an assistant
message is what the model answered. A system message is the model's own affair: whoever implements the port adds it
where it needs one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Protocol


@dataclass(frozen=True)
class Answer:
    """What a model said, with what it cost; token counts are None where the server does not tell."""

    content: str
    prompt_tokens: Optional[int] = None
    completion_tokens: Optional[int] = None
    episode_id: Optional[str] = None
    model: Optional[str] = None
    finish_reason: Optional[str] = None
    """As the server says it; ``length`` means that the answer was cut off at the token limit."""


class ModelError(Exception):
    """No answer could be had; the message is a sentence for the operator and never holds the key.

    kind: ``timeout``, ``unreachable``, ``refused`` (4xx), ``failed`` (5xx, 429 to the end), ``not_the_protocol``
    (redirect, HTML, no choices …), ``not_admitted`` (not even asked: others of the run were, all the time),
    ``unrecorded`` (not asked, as that could not be put on record).
    """

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind


class Model(Protocol):
    """Whoever answers: a server, the offline diagnostician, a script in a test."""

    name: str
    overhead: int  # characters of each request beside the messages, such as those of the prompt

    def ask(self, messages: list[dict[str, str]], timeout: float) -> Answer:
        """Answer the last message within *timeout* seconds, or raise ModelError."""
