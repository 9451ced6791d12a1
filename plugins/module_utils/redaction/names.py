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
    ENVIRONMENT_WORDS,
    LIKELY_WORDS,
    NOT_SECRET,
    PUBLIC_WORDS,
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
_LONGEST_BLOCK = 100
_LONGEST_LINE = 1000
# A name that is written in several words; and what follows a value that is one of several.
_WORDS = re.compile(r"[_.-]+|(?<=[a-z0-9])(?=[A-Z])")
_NEXT = re.compile(r"[&;,](?=[A-Za-z_][\w. -]{0,40}[=:])|[\"'](?=[,}\]:; )])|\\+[\"'nrt]")
_CLOSES = "\"',;)}]"
# A number of something, and what follows a number of tests that pass; a block of YAML, whose value is in the lines
# below; a public key, and a call in a program's text.
_A_NUMBER = re.compile(r"\d{1,3}|\d{1,6}[ \t]+[a-z]{2,}")
_TESTS = re.compile(r"[ ,;]{1,2}(?:fail|skip|warn|err)")
_YAML_BLOCK = re.compile(r"[|>][0-9+-]{0,2}")
_NO_CREDENTIAL = re.compile(r"ssh-|[A-Za-z_][\w.]{0,64}\(")
_A_DIGIT = re.compile(r"\d")
_BLANK = re.compile(r"\s")
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
        directive = alone and name.lower() in DIRECTIVES and not after["value"].startswith("--")
        if not after["between"].strip() and not (prefix.startswith("-") or directive):
            continue
        start, end, quoted = _value(text, after, alone)
        spans = [(start, end)]
        colon = after["between"].strip(" \t\\\"'") == ":"
        if colon and _YAML_BLOCK.fullmatch(after["value"]):
            spans = _below(text, stem.start() - len(prefix), end)
        elif name.lower() == "pass" and _TESTS.match(text, end):
            continue
        elif not quoted and _WORDS.split(name)[-1].lower() in LIKELY_WORDS:
            # A token has no blanks, so that what follows is not its setting's value any more.
            spans = [(start, start + len(text[start:end].partition(" ")[0]))]
        for start, end in spans:
            if (
                start < end
                and not is_redacted(text[start:end])
                and is_secret(name, text[start:end], quoted, "" if not colon else "line" if alone else "prose")
            ):
                end = _end_of_word(text, end) if end - start >= _LONGEST_LINE and not quoted else end
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
    digits = _A_DIGIT.search(value) is not None
    if not quoted and len(words) == 1 and words[0] in SECRET_WORDS and _A_NUMBER.fullmatch(value):
        return False
    if SECRET_NAME.search(joined) or words[-1].rstrip("0123456789") in SECRET_WORDS:
        plain = not digits and value.islower() and all(c.isalpha() or c in "-_ " for c in value)
        return quoted or not plain or not (colon == "prose" or (colon and joined == "passwd"))
    if words[-1] in LIKELY_WORDS and len(value) >= 8 and digits:
        return True
    return name.strip("_.-").isupper() and colon != "prose" and _of_the_environment(words, value, digits)


def _of_the_environment(words: list[str], value: str, digits: bool) -> bool:
    """Whether a value is secret whose name's words, in capitals, are these."""
    if words[-1] not in ENVIRONMENT_WORDS or PUBLIC_WORDS.intersection(words) or _NO_CREDENTIAL.match(value):
        return False
    return len(value) >= 8 and " " not in value and (digits or ":" in value or len(words) > 1)


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
        line_end = text.find("\n", start, start + _LONGEST_LINE)
        line = text[start : line_end if line_end >= 0 else start + _LONGEST_LINE]
        # A setting's value is the rest of its line, unless other settings follow there.
        if not any(mark in line[len(value) :] for mark in ("=", " #", " -", "\t")) and len(line.split()) <= 6:
            return start, start + len(line.rstrip()), False
    following = _NEXT.search(value)
    if following and following.start():
        value = value[: following.start()]
    return start, start + len(value.rstrip(_CLOSES)), False


def _end_of_word(text: str, at: int) -> int:
    blank = _BLANK.search(text, at)
    return blank.start() if blank else len(text)


def _below(text: str, name: int, at: int) -> list[Span]:
    """The lines of a block of YAML: those below that are indented further than its name, up to a hundred."""
    indent = name - (text.rfind("\n", 0, name) + 1)
    spans: list[Span] = []
    start = text.find("\n", at) + 1
    while 0 < start < len(text) and len(spans) < _LONGEST_BLOCK:
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end]
        stripped = line.strip()
        if stripped:
            if len(line) - len(line.lstrip()) <= indent:
                break
            begins = end - len(line.lstrip())
            spans.append((begins, begins + len(stripped)))
        start = end + 1
    return spans


def _is_path(value: str) -> bool:
    return bool(A_PATH.match(value) and (len(value) < 2 or _PATHS.fullmatch(value) or value[1:].isalpha()))
