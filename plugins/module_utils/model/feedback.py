# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: tells a TensorZero gateway what became of an episode.

The requests are made, repeated and explained as those to a model (client.py); what is sent and read differs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..json_text import without_surrogates
from . import explanations
from .answers import NotAnAnswer
from .client import ChatClient
from .port import Answer, ModelError
from .settings import SettingsError, without_userinfo

METRIC = "diagnosis_correct"
COMMENT = "comment"
"""A kind of feedback that every gateway has, without configuration."""

_CHAT = "/openai/v1/chat/completions"
_REMEDIES = (
    (
        "observability",
        "The gateway keeps nothing, and so takes no feedback. Give it a database (gateway.observability in its"
        " configuration) and start it again; feedback is possible for diagnoses from then on.",
    ),
    (
        "unknown metric",
        "Install the function with its metrics at the gateway (the role nannyapi.diagnostics.gateway_function), and"
        " start it again.",
    ),
    (
        "route not found",
        "What answers there takes no feedback. Check that the endpoint is that of a TensorZero gateway.",
    ),
    (
        "uuid",
        "Only an id that the gateway gave names an episode. Give the episode_id of a diagnosis, as it returned it.",
    ),
    (
        "not found",
        "The gateway does not know the episode: it was begun at another one, or while this one kept nothing.",
    ),
)


def feedback_url(url: str) -> str:
    """Where a gateway takes feedback whose chat completions are at *url*; raises SettingsError for another server."""
    parts = urlsplit(url)
    if not parts.path.endswith(_CHAT):
        raise SettingsError(
            f"The endpoint {without_userinfo(explanations.shown_url(url))} is not that of a TensorZero gateway, which"
            " alone takes feedback. Its path ends in /openai/v1, such as http://gateway:3000/openai/v1."
        )
    return urlunsplit((parts.scheme, parts.netloc, f"{parts.path[: -len(_CHAT)]}/feedback", parts.query, ""))


class FeedbackClient(ChatClient):
    """A gateway at *url*, the address that feedback is posted to. Raises as ChatClient does."""

    _feedback: dict[str, Any]

    def give(self, feedback: dict[str, Any], timeout: float) -> str:
        """Post one piece of feedback within *timeout* seconds; its id at the gateway. Raises ModelError."""
        self._feedback = feedback
        self._with_schema = False
        return self.ask([], timeout).content

    def _body(self, messages: list[dict[str, str]]) -> bytes:
        return without_surrogates(json.dumps(self._feedback, ensure_ascii=False)).encode()

    def _read_success(self, content: bytes, content_type: str) -> Answer:
        try:
            given = json.loads(content).get("feedback_id")
        except (ValueError, RecursionError, AttributeError):
            given = None
        if not isinstance(given, str):
            raise NotAnAnswer("it named no feedback_id")
        return Answer(given)

    def _refusal(self, status: int, headers: Mapping[str, str], content: bytes) -> str:
        said = explanations.words(content)
        remedy = next((remedy for word, remedy in _REMEDIES if status < 500 and word in said.lower()), None)
        if remedy is None:
            return super()._refusal(status, headers, content).replace(f" for the model {self.name}", "", 1)
        where = explanations.shown_url(self._url)
        return f"The gateway at {where} answered with status {status} and said: {said}. {remedy}"

    def _error(self, message: str, kind: str) -> ModelError:
        return super()._error(message.replace("The model at ", "The gateway at ", 1), kind)
