# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: secrets that are known by the name before them, such as `DB_PASSWORD=…`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .formats import (
    A_PATH,
    AFTER_STEM,
    DIRECTIVES,
    LIKELY_WORDS,
    NOT_SECRET,
    REDACTED,
    SECRET_NAME,
    SECRET_WORDS,
    STANDS_FOR,
    STEM,
)

_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
_LONGEST_NAME = 64
_PLACEHOLDER = "[redacted:"
_INDENT = 80
# A name that is written in several words; and what follows a value that is one of several.
_WORDS = re.compile(r"[_.-]+|(?<=[a-z0-9])(?=[A-Z])")
_NEXT = re.compile(r"[&;,](?=[A-Za-z_][\w. -]{0,40}[=:])|[\"'](?=[,}\]:; )])|\\+[\"'nrt]")
_CLOSES = "\"',;)}]"
_PATHS = re.compile(r"(?:~|\.{1,2})?/(?:[\w.-]+/){1,}[\w.-]*")
Span = tuple[int, int]


def named_secrets(text: str) -> Iterator[Span]:
    """Where in `text` values stand whose names say that they are secret."""
    at = 0
    while stem := STEM.search(text, at):
        at = stem.end()
        after = AFTER_STEM.match(text, stem.end())
        if after is None:
            continue
        before = text[max(0, stem.start() - _LONGEST_NAME) : stem.start()]
        prefix = before[len(before.rstrip(_NAME)) :]
        if REDACTED.match(text, max(0, stem.start() - len(prefix) - len(_PLACEHOLDER))):
            continue
        name = prefix + stem[0] + after["rest"]
        begins = _begins(text, stem.start() - len(prefix))
        alone = begins == "line" or (begins == "message" and ":" not in after["between"])
        if not after["between"].strip() and not (prefix.startswith("-") or (alone and name.lower() in DIRECTIVES)):
            continue
        start, end, quoted = _value(text, after, alone)
        colon = after["between"].strip(" \t\\\"'") == ":"
        if (
            start < end
            and not is_redacted(text[start:end])
            and is_secret(name, text[start:end], quoted, "" if not colon else "line" if alone else "prose")
        ):
            yield start, end
            at = end


def is_redacted(value: str) -> bool:
    """Whether nothing but placeholders is left of a value; of the last one, what closes it may have been left off."""
    return "[redacted:" in value and not REDACTED.sub("", f"{value}]").strip(_CLOSES + " ")


def is_secret(name: str, value: str, quoted: bool = True, colon: str = "") -> bool:
    """Whether a value of that name is secret. `colon`: `line` or `prose` (where words follow) if one stands between."""
    words = [word.lower() for word in _WORDS.split(name.strip("_.-")) if word]
    if not words or value.lower() in NOT_SECRET or STANDS_FOR.fullmatch(value) or _is_path(value):
        return False
    joined = "".join(words)
    digits = any(character.isdigit() for character in value)
    if SECRET_NAME.search(joined) or words[-1] in SECRET_WORDS:
        plain = not digits and value.islower() and all(c.isalpha() or c in "-_ " for c in value)
        return quoted or not plain or not (colon == "prose" or (colon and joined == "passwd"))
    if words[-1] in LIKELY_WORDS:
        return len(value) >= 8 and digits
    return False


def _begins(text: str, at: int) -> str:
    """`line` where a setting's line begins there, `message` after a log's or grep's heading, else nothing."""
    before = text[max(0, at - _INDENT) : at]
    before = before[before.rfind("\n") + 1 :].strip(" \t\"'#;-{")
    return "message" if before.endswith(":") else "" if before else "line"


def _value(text: str, after: re.Match[str], alone: bool) -> tuple[int, int, bool]:
    """Start and end of the value itself, and whether it is quoted."""
    start, end = after.span("value")
    value = after["value"]
    unescaped = value.lstrip("\\")
    if unescaped[:1] in ("'", '"'):
        return start + len(value) - len(unescaped) + 1, end, True
    if alone and after["between"].strip() and not after["between"].lstrip("\\").startswith(('"', "'")):
        line_end = text.find("\n", start)
        line = text[start : line_end if line_end >= 0 else len(text)]
        # A setting's value is the rest of its line, unless other settings follow there.
        if not any(mark in line[len(value) :] for mark in ("=", " #", " -", "\t")) and len(line.split()) <= 6:
            return start, start + len(line.rstrip()), False
    following = _NEXT.search(value)
    if following and following.start():
        value = value[: following.start()]
    return start, start + len(value.rstrip(_CLOSES)), False


def _is_path(value: str) -> bool:
    return bool(A_PATH.match(value) and (len(value) < 2 or _PATHS.fullmatch(value) or value[1:].isalpha()))
