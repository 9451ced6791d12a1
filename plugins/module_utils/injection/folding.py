# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: text as a model may read it, whatever characters it is written in.

Small letters, look-alikes as what they look like, escapes as what they stand for, nothing invisible. Only for looking
something up: where that is in the text itself is kept, and the text stays as it is.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache

# Letters of other scripts that look like those of the protocol's words (Unicode's confusables.txt has them all).
_LIKE = {
    "a": "\u0430\u03b1\u0251\u1d00",
    "b": "\u0432\u03b2\u0299",
    "c": "\u0441\u03f2\u1d04",
    "d": "\u0501\u1d05",
    "e": "\u0435\u03b5\u1d07",
    "f": "\u0493\ua730",
    "g": "\u0581\u0261\u0262",
    "h": "\u04bb\u029c",
    "i": "\u0456\u03b9\u0131\u0269\u026a",
    "j": "\u0458",
    "k": "\u043a\u03ba",
    "l": "\u04cf\u029f",
    "m": "\u043c\u1d0d",
    "n": "\u043f\u03b7\u0274",
    "o": "\u043e\u03bf\u1d0f",
    "p": "\u0440\u03c1\u1d18",
    "q": "\u051b",
    "r": "\u0433\u0280",
    "s": "\u0455\ua731",
    "t": "\u0442\u03c4\u1d1b",
    "u": "\u0446\u03c5\u1d1c",
    "v": "\u0475\u03bd",
    "w": "\u051d",
    "x": "\u0445\u03c7",
    "y": "\u0443\u03b3\u028f",
    "'": "\u2018\u2019\u201a\u201b\u2032\u02bc",
    '"': "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb",
}
_LOOK_ALIKES = {ord(each): letter for letter, like in _LIKE.items() for each in like}
# Invisible characters that spell ASCII, one each.
_TAGS = range(0xE0020, 0xE007F)
_ENTITIES = {"quot": '"', "apos": "'", "lt": "<", "gt": ">", "amp": "&", "lcub": "{", "rcub": "}", "colon": ":"}
_SPECIAL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # a terminal's sequence
    r"|\\+u(?P<u>[0-9a-fA-F]{4})|\\+u\{(?P<b>[0-9a-fA-F]{1,6})\}|\\+x(?P<x>[0-9a-fA-F]{2})|\\+(?P<o>[0-7]{3})"
    r"|\\+(?P<c>[nrt])"
    r"|%(?P<p>[0-9a-fA-F]{2})|&\#(?P<d>[0-9]{1,7});|&\#[xX](?P<h>[0-9a-fA-F]{1,6});|&(?P<e>[a-z]{2,6});"
    r"|[\x00-\x08\x0b-\x1f\x7f]|[^\x00-\x7f]"
)
_ENCODED = re.compile(r"(?<![\w+/-])(?:[A-Za-z0-9+/_-]{40,}={0,2}|(?:[0-9a-fA-F]{2}[ :]?){40,})")
_NOT_WORDS = re.compile(r"[\W_]+")


class Folded:
    """A text folded: `text`, and where in the original its characters stand."""

    def __init__(self, original: str) -> None:
        parts: list[str] = []
        self._starts, self._origins = [0], [0]
        length = done = 0
        for special in _SPECIAL.finditer(original):
            before = original[done : special.start()].lower()
            shown = _meant(special)
            parts += [before, shown]
            length += len(before)
            # What an escape stands for is where it begins; what follows it goes on from its end.
            self._starts += [length, length + len(shown)]
            self._origins += [special.start(), special.end()]
            length += len(shown)
            done = special.end()
        parts.append(original[done:].lower())
        self.text = "".join(parts)

    def origin(self, position: int) -> int:
        """Where in the original the character at `position` of the folded text begins."""
        last = bisect_right(self._starts, position) - 1
        within = position - self._starts[last]
        if last % 2:  # in what one escape or one character stands for
            return self._origins[last]
        return self._origins[last] + within


def words(text: str) -> str:
    """The letters and digits of a text, folded: the same however it is quoted, escaped, spaced and punctuated."""
    return letters(Folded(text).text)


def letters(folded: str) -> str:
    """The letters and digits of a folded text."""
    return _NOT_WORDS.sub("", folded)


def encoded_parts(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and content of what is text in base64 or in hexadecimal digits; most that looks like it is not."""
    for match in _ENCODED.finditer(text):
        for decoded in _decoded(match[0]):
            yield match.start(), match.end(), decoded


def _meant(special: re.Match[str]) -> str:
    """What an escape or an unusual character stands for; "" where it cannot be seen."""
    kind = special.lastgroup
    if kind is None:
        return "" if len(special[0]) > 1 else _folded_character(special[0])
    digits = special[kind]
    if kind == "c":
        return "\n"
    if kind == "e":
        return _ENTITIES.get(digits, special[0])
    number = int(digits, 8 if kind == "o" else 10 if kind == "d" else 16)
    return _folded_character(chr(number)) if number <= 0x10FFFF else ""


@lru_cache(maxsize=4096)
def _folded_character(character: str) -> str:
    if ord(character) in _TAGS:
        character = chr(ord(character) - 0xE0000)
    if "\x20" <= character <= "\x7e" or character in "\n\t":
        return character.lower()
    plain = unicodedata.normalize("NFKD", character).casefold()
    visible = (each for each in plain if unicodedata.category(each)[0] not in "CM" and each not in "\u115f\u1160\u3164")
    return "".join(visible).translate(_LOOK_ALIKES)


def _decoded(run: str) -> Iterator[str]:
    digits = re.sub("[ :]", "", run)
    if re.fullmatch("(?:[0-9a-fA-F]{2})+", digits):
        yield from _text_of(bytes.fromhex(digits))
    compact = run.rstrip("=").replace("-", "+").replace("_", "/")
    if " " not in run and ":" not in run:
        # A last letter alone stands for no byte; a run that was cut is read as far as it goes.
        compact = compact[:-1] if len(compact) % 4 == 1 else compact
        try:
            yield from _text_of(base64.b64decode(compact + "=" * (-len(compact) % 4)))
        except (binascii.Error, ValueError):
            return


def _text_of(content: bytes) -> Iterator[str]:
    """The bytes as text where they are text."""
    text = content.decode("utf-8", "replace")
    if sum(character.isprintable() or character in "\n\t" for character in text) > 0.9 * len(text):
        yield text
