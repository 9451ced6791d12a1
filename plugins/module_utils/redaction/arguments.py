# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: a command's arguments where something else than a blank stands between them.

/proc/PID/cmdline has NUL there, which is U+FFFD in what is shown, or a newline where that was translated; lists have
quotes and commas, audit records a name for each. What tells of a secret by the argument before it expects a blank.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Optional

_BLANKS = {0: "\t", 0xFFFD: "\t"}
# Not before a name of an object's next member.
_BETWEEN = (
    r"\^@|\\x00|\\u0000|\\0(?![0-9])"
    r"|\"[ \t]{0,4},\s{0,80}\"(?![^\"\n]{0,200}\"\s{0,4}:)|'[ \t]{0,4},\s{0,80}'(?![^'\n]{0,200}'\s{0,4}:)"
)
_ONE_OF_SEVERAL = re.compile(_BETWEEN)
_AUDITED = re.compile(rf"{_BETWEEN}|\"? a[0-9]{{1,3}}=\"?")
_OPTION = re.compile(r"--?[A-Za-z][^\s]{0,400}")


def with_blanks(text: str) -> str:
    """The text with a tab for each NUL, no longer or shorter than it was."""
    return text.translate(_BLANKS) if "\0" in text or "\ufffd" in text else text


class Joined:
    """A text with one tab for whatever stands between arguments in it, and where in the text as it was a place is."""

    def __init__(self, text: str, between: list[tuple[int, int]]) -> None:
        parts, done, length = [], 0, 0
        self._starts, self._shifts = [0], [0]
        for start, end in between:
            parts += [text[done:start], "\t"]
            length += start - done + 1
            done = end
            self._starts.append(length)
            self._shifts.append(end - length)
        self.text = "".join([*parts, text[done:]])

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Start and end in the text as it was, of what is not longer than one argument."""
        at = bisect_right(self._starts, start) - 1
        if at + 1 < len(self._starts):
            end = min(end, self._starts[at + 1] - 1)
        return start + self._shifts[at], end + self._shifts[at]


def joined(text: str) -> Optional[Joined]:
    """The text with tabs between arguments, where it has some that are divided otherwise."""
    expression = _AUDITED if " a0=" in text else _ONE_OF_SEVERAL
    between = [match.span() for match in expression.finditer(text)]
    if "\n-" in text:
        between += [(at, at + 1) for at in _newlines(text)]
        between = _apart(sorted(between))
    return Joined(text, between) if between else None


def _newlines(text: str) -> Iterator[int]:
    """Newlines between lines that are an argument each: of one word, or after an option; one at least is an option."""
    run: list[int] = []
    options, after_option, start = 0, False, 0
    for line in text.split("\n"):
        end = start + len(line)
        option = bool(_OPTION.fullmatch(line))
        if line and (after_option or not (" " in line or "\t" in line)):
            run.append(start)
            options += option
        else:
            if options:
                yield from (at - 1 for at in run[1:])
            run, options = [], 0
        after_option = option
        start = end + 1
    if options:
        yield from (at - 1 for at in run[1:])


def _apart(between: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Places in order without those that overlap one before them."""
    kept: list[tuple[int, int]] = []
    for place in between:
        if not kept or place[0] >= kept[-1][1]:
            kept.append(place)
    return kept
