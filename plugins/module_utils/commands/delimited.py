# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: where an expression between delimiters ends, as in awk and sed.

Implementations differ about a delimiter between brackets (`/[/]/`, `/[[:alpha:]/]/`): where one could take it for the
end and another one could not, the expression is refused.
"""

from __future__ import annotations

from .errors import Refused


def end_of(text: str, start: int, delimiter: str) -> int:
    """The position behind the delimiter that ends what begins at `start`; raises `Refused` where it is not certain."""
    brackets = _Brackets()
    at = start
    while at < len(text):
        character = text[at]
        if character == "\n":
            break
        if character == delimiter:
            if brackets.could_be_open():
                raise Refused(f"`{delimiter}` between brackets is read differently by programs; write it escaped.")
            return at + 1
        if character == "\\":
            at += 2
            brackets.escaped()
            continue
        brackets.take(character, text[at + 1 : at + 2])
        at += 1
    raise Refused("an expression between delimiters is never closed.")


class _Brackets:
    """Whether a bracket expression is open: to who knows classes and a leading `]`, and to who does not."""

    def __init__(self) -> None:
        self.simple = False
        self.posix = False
        self.first = False
        self.in_class = ""
        self.previous = ""

    def could_be_open(self) -> bool:
        return self.simple or self.posix

    def escaped(self) -> None:
        self.first = False
        self.previous = ""

    def take(self, character: str, following: str) -> None:
        self.simple = character == "[" or (self.simple and character != "]")
        if not self.posix:
            if character == "[":
                self.posix, self.first = True, True
        elif self.in_class:
            if character == "]" and self.previous == self.in_class:
                self.in_class = ""
        elif character == "[" and following and following in ":.=":
            self.in_class = following
            # `[:` does not end itself with `[:]`.
            character = "["
            self.first = False
        elif character == "]" and not self.first:
            self.posix = False
        elif not (self.first and character == "^"):
            self.first = False
        self.previous = character
