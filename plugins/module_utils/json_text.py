# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: finds JSON objects in what a model wrote.

Models put prose, Markdown fences and thoughts around their JSON. Objects are found whole or not at all: what was cut
off or is malformed is described, never completed, because a completed command is one that nobody wrote.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 32
"""Levels of nesting that are read; the protocol needs five."""

_MAX_TRIES = 1000
_MAX_DIGITS = 40
_THOUGHTS = re.compile(r"\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class FoundObject:
    """A whole JSON object of the text; flaws are sentences on what JSON does not allow in it."""

    value: dict[str, Any]
    flaws: tuple[str, ...]


@dataclass(frozen=True)
class BrokenObject:
    """Where an object of the text starts, where reading it failed, and whether the text simply ends there."""

    start: int
    position: int
    problem: str
    cut_off: bool


def without_surrogates(text: str) -> str:
    """Lone surrogates, which no UTF-8 text can hold, as U+FFFD."""
    return _SURROGATES.sub("\ufffd", text)


def find_objects(text: str) -> tuple[list[FoundObject], list[BrokenObject]]:
    """The top-level JSON objects in *text*, whole ones and broken ones, each list in order.

    Takes time proportional to the text: after a failure the search goes on where reading stopped, and it ends after
    a thousand objects and failures together.
    """
    thoughts = _THOUGHTS.match(text)
    position = thoughts.end() if thoughts else 0
    found: list[FoundObject] = []
    broken: list[BrokenObject] = []
    reader = _Reader()
    while (start := text.find("{", position)) >= 0 and len(found) + len(broken) < _MAX_TRIES:
        reader.flaws.clear()
        try:
            value, position = reader.decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            broken.append(BrokenObject(start, error.pos, error.msg, _ends_at(text, error)))
            position = max(error.pos, start + 1)
        except RecursionError:
            broken.append(BrokenObject(start, start, f"the JSON is nested deeper than {MAX_DEPTH} levels", False))
            break
        else:
            if _deeper_than(value, MAX_DEPTH):
                reader.flaws.append(f"the JSON is nested deeper than {MAX_DEPTH} levels")
                value = dict.fromkeys(value)
            found.append(FoundObject(_clean(value), tuple(dict.fromkeys(reader.flaws))))
    return found, broken


def place(text: str, position: int) -> str:
    """Where in *text* a character stands, for a sentence: line, column and the words before and after."""
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    before = text[max(0, position - 30) : position]
    after = text[position : position + 30]
    excerpt = json.dumps(f"{before}⟦here⟧{after}", ensure_ascii=False)
    return f"line {line} column {column} (character {position}), at {excerpt}"


class _Reader:
    """A JSON decoder that notes what is wrong and reads on, so that the end of the object is still found."""

    def __init__(self) -> None:
        self.flaws: list[str] = []
        # Not strict: a raw line break inside a string has only one meaning, and models write them.
        self.decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_constant=self._constant,
            parse_float=self._float,
            parse_int=self._int,
            strict=False,
        )

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for key, value in pairs:
            if key in members:
                self.flaws.append(f"the key {json.dumps(key[:80])} occurs twice in one object")
            members[key] = value
        return members

    def _constant(self, literal: str) -> None:
        self.flaws.append(f"{literal} is not a JSON value; use a number or null")

    def _float(self, literal: str) -> float:
        number = float(literal)
        if math.isinf(number):
            self.flaws.append(f"the number {literal[:_MAX_DIGITS]} is too large")
            return 0.0
        return number

    def _int(self, literal: str) -> int:
        if len(literal) > _MAX_DIGITS:
            self.flaws.append(f"the number {literal[:_MAX_DIGITS]}… has {len(literal)} digits, which is too large")
            return 0
        return int(literal)


def _ends_at(text: str, error: json.JSONDecodeError) -> bool:
    rest = text[error.pos :]
    return error.msg.startswith("Unterminated string") or (len(rest.strip()) <= 8 and not re.search(r"[}\]`]", rest))


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _attempt in range(limit + 1):
        level = [
            member
            for branch in level
            if isinstance(branch, (dict, list))
            for member in (branch.values() if isinstance(branch, dict) else branch)
        ]
        if not level:
            return False
    return True


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, list):
        return [_clean(member) for member in value]
    if isinstance(value, dict):
        return {without_surrogates(key): _clean(member) for key, member in value.items()}
    return value
