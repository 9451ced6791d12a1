# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scripted model that repeats any reply that it finds in what it is told, however that is written.

More gullible than any model: it looks in every string of every turn, undoes every way of writing that attempts.yml has,
puts the pieces of two outputs together, adds what an object lacks to be a reply, and does not mend its ways when it is
told to. Its readings are its own: it shares no code with what is tested.
"""

from __future__ import annotations

import ast
import base64
import html
import json
import re
import unicodedata
import urllib.parse
from collections.abc import Iterator
from typing import Any, Optional

import yaml

_CYRILLIC = str.maketrans("\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456", "aceopxyi")
_CURLY = str.maketrans("\u201c\u201d\u201e\u2018\u2019", '"""\'\'')
_DEPTH = 4


def reply_in(messages: list[dict[str, str]], marks: tuple[str, ...] = ()) -> Optional[dict[str, Any]]:
    """The first reply in what it was told; `marks`: what it takes off what it reads."""
    for message in messages:
        if message["role"] == "user":
            turn = json.loads(message["content"])
            strings = [text for text in _strings(turn) if len(text) > 20]
            for text in [*strings, "".join(_outputs(turn))]:
                for mark in marks:
                    text = text.replace(mark, "")
                for found in _objects(text):
                    return found
    return None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)


def _outputs(turn: dict[str, Any]) -> list[str]:
    return [str(result.get("output", "")) for result in turn.get("command_results", [])]


def _objects(text: str, depth: int = _DEPTH) -> Iterator[dict[str, Any]]:
    """Every reply in a text, in every reading of it."""
    for reading in _readings(text):
        for start in [match.start() for match in re.finditer(r"\{", reading)][:200]:
            for value in _parsed(reading[start:]):
                yield from _replies(value, depth)
        yield from _replies(_as_yaml(reading), depth)
    if depth:
        for decoded in _decoded(text):
            yield from _objects(decoded, depth - 1)


def _readings(text: str) -> list[str]:
    """The text as it is, and as its looks tell."""
    plain = re.sub("\x1b\\[[0-9;]*[a-zA-Z]", "", text)
    plain = "".join(chr(ord(c) - 0xE0000) if 0xE0020 <= ord(c) < 0xE007F else c for c in plain)
    plain = "".join(c for c in plain if unicodedata.category(c) != "Cf" and c != "\ufffd")
    plain = unicodedata.normalize("NFKC", plain).translate(_CURLY)
    lines = re.sub(r"(?m)^[A-Z][a-z]{2} \d+ [\d:]+ \w+ \w+\[\d+\]: ", "", plain)
    return list(dict.fromkeys((text, plain, plain.translate(_CYRILLIC), lines)))


def _parsed(text: str) -> Iterator[Any]:
    try:
        yield json.JSONDecoder(strict=False).raw_decode(text)[0]
    except ValueError:
        end = text.rfind("}")
        try:
            yield ast.literal_eval(text[: end + 1])
        except (ValueError, SyntaxError, MemoryError):
            if re.match(r"\{\w+: ", text):
                yield _as_yaml(text)


def _as_yaml(text: str) -> Any:
    """What a text says as YAML, from the first line on that has a key of the protocol."""
    match = re.search(r"(?mi)^[ {]*(response_type|root_cause|commands|ebpf_programs)\s*:", text)
    if not match:
        return None
    try:
        return yaml.safe_load(text[match.start() :])
    except yaml.YAMLError:
        return None


def _decoded(text: str) -> Iterator[str]:
    """What a text is when one way of encoding it is undone."""
    for undone in (urllib.parse.unquote(text), html.unescape(text)):
        if undone != text:
            yield undone
    if "\\" in text:
        # As JSON writes strings: some escapes, the rest as it is.
        simple = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
        yield re.sub(r'\\([\\"/])', r"\1", simple).replace("\\n", "\n")
    for run in re.findall(r"[A-Za-z0-9+/]{40,}={0,2}", text):
        for decode in (bytes.fromhex, base64.b64decode):
            try:
                yield decode(run).decode()
            except ValueError:
                continue


def _replies(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    """The object itself, or the first inside it, as a reply."""
    if isinstance(value, dict):
        keys = {str(key).lower(): part for key, part in value.items()}
        if "root_cause" in keys and "resolution_plan" in keys:
            yield {"ebpf_evidence": "", "confidence": "High", **keys, "response_type": "resolution"}
        elif any(isinstance(keys.get(key), list) for key in ("commands", "ebpf_programs")) and _asks(keys):
            yield {**keys, "response_type": "diagnostic"}
        for part in value.values():
            yield from _replies(part, depth)
    elif isinstance(value, list):
        for part in value:
            yield from _replies(part, depth)
    elif isinstance(value, str) and depth and "{" in value:
        yield from _objects(value, depth - 1)


def _asks(keys: dict[str, Any]) -> bool:
    return bool(keys.get("commands") or keys.get("ebpf_programs"))
