# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: reads the body of a chat completion."""

from __future__ import annotations

import json
from typing import Any, Optional

from ..json_text import without_surrogates
from .port import Answer

_MOST_TOKENS = 10**9
"""More than this no answer costs, and sums of it are numbers that can be reckoned with and written."""

_MOST_DIGITS = 40


class NotAnAnswer(ValueError):
    """A body that is no chat completion; the message says what it is. may_pass: another attempt may bring one."""

    def __init__(self, message: str, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


def read_answer(content: bytes, content_type: str) -> Answer:
    """The first choice of a chat completion; raises NotAnAnswer.

    A choice without content is an answer with empty content: that is for the model to mend, not for the operator.
    """
    if not content.strip():
        raise NotAnAnswer("the response was empty", may_pass=True)
    try:
        body = json.loads(content.decode("utf-8", "replace"), parse_int=_whole)
    except (ValueError, RecursionError):
        start = content.lstrip()[:200].decode("utf-8", "replace")
        if "html" in content_type.lower() or start.startswith("<"):
            raise NotAnAnswer(f"the response was a web page, not JSON; it begins with {start[:80]!r}") from None
        raise NotAnAnswer(f"the response was not valid JSON; it begins with {start[:80]!r}", may_pass=True) from None
    if isinstance(body, dict) and body.get("error") and not body.get("choices"):
        raise NotAnAnswer(f"the response reported an error: {error_text(body)}")
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise NotAnAnswer('the JSON in the response has no "choices"')
    message = choices[0].get("message")
    usage = body.get("usage")
    return Answer(
        content=without_surrogates(_content(message if isinstance(message, dict) else {})),
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        episode_id=_text(body.get("episode_id")),
        model=_text(body.get("model")),
        finish_reason=_text(choices[0].get("finish_reason")),
    )


def error_text(body: Any) -> str:
    """What an error's JSON says, whatever its shape, as one line of at most 500 characters."""
    text = body.get("error", body.get("detail", body.get("message", body))) if isinstance(body, dict) else body
    if isinstance(text, dict) and isinstance(text.get("message"), str):
        text = text["message"]
    if not isinstance(text, str):
        text = json.dumps(text)
    line = " ".join(text.split())
    return line if len(line) <= 500 else f"{line[:500]}…"


def _whole(literal: str) -> float:
    """A whole number; one of megabytes would take hours to read, and means nothing."""
    return int(literal) if len(literal) <= _MOST_DIGITS else float("inf")


def _content(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    if not content and isinstance(message.get("refusal"), str):
        content = message["refusal"]
    return content if isinstance(content, str) else ""


def _count(usage: Any, key: str) -> Optional[int]:
    value = usage.get(key) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS else None


def _text(value: Any) -> Optional[str]:
    return without_surrogates(value) if isinstance(value, str) and value else None
