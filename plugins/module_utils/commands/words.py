# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: one word of a command line, as the shell would read it.

Only what stands for itself is read: quotes, backslashes and file name patterns. Whatever a shell would replace by
something else (variables, commands, arithmetic, `~`, braces) is refused, so that what is judged is what is run.
"""

from __future__ import annotations

import glob
import itertools
import re
from dataclasses import dataclass

from .errors import Refused

MOST_NAMES = 2000

_VARIABLE = re.compile(r"\$[A-Za-z_0-9@*#?!$-]|\$\{")
_BRACES = re.compile(r"\{[^{}]*(,|\.\.)[^{}]*\}")


@dataclass(frozen=True)
class Word:
    """A word with its quotes taken off: its text, and the file name pattern that it is, if it is one."""

    text: str
    pattern: str | None = None

    def expand(self) -> list[str]:
        """The file names that the pattern stands for, sorted, or the text itself where there are none."""
        if self.pattern is None:
            return [self.text]
        # As in a shell, `**` is nothing special here.
        names = list(itertools.islice(glob.iglob(re.sub(r"\*\*+", "*", self.pattern)), MOST_NAMES + 1))
        if len(names) > MOST_NAMES:
            raise Refused(f"`{self.text}` stands for more than {MOST_NAMES} files; name fewer of them.")
        return sorted(names) or [self.text]


def read_word(raw: str) -> Word:
    """The word that `raw` (with its quotes) stands for; raises `Refused` for what a shell would replace."""
    return _Reader(raw).read()


class _Reader:
    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.at = 0
        self.text: list[str] = []
        self.pattern: list[str] = []
        self.bare: list[str] = []
        self.is_pattern = False

    def read(self) -> Word:
        if self.raw.startswith("~"):
            raise Refused("`~` is not expanded here; write the directory's whole path.")
        while self.at < len(self.raw):
            character = self.raw[self.at]
            if character == "'":
                self._take(self._until_single_quote())
            elif character == '"':
                self._double_quoted()
            elif character == "\\":
                self._take(self.raw[self.at + 1 : self.at + 2].replace("\n", ""))
                self.at += 2
            else:
                self._unquoted(character)
        if _BRACES.search("".join(self.bare)):
            raise Refused(f"Braces as in `{self.raw}` are not expanded here; write each word out.")
        return Word("".join(self.text), "".join(self.pattern) if self.is_pattern else None)

    def _take(self, quoted: str) -> None:
        """Text that was quoted: it stands for itself, also where it looks like a pattern."""
        self.text.append(quoted)
        self.pattern.append(glob.escape(quoted))
        self.bare.append("\0")

    def _until_single_quote(self) -> str:
        end = self.raw.find("'", self.at + 1)
        if end < 0:
            raise Refused("A quotation mark is never closed.")
        quoted = self.raw[self.at + 1 : end]
        self.at = end + 1
        return quoted

    def _double_quoted(self) -> None:
        self.at += 1
        while self.at < len(self.raw) and self.raw[self.at] != '"':
            character = self.raw[self.at]
            following = self.raw[self.at + 1 : self.at + 2]
            if character == "\\" and following in ("$", "`", '"', "\\", "\n"):
                self._take(following.replace("\n", ""))
                self.at += 2
            else:
                self._refuse_expansion()
                self._take(character)
                self.at += 1
        if self.at >= len(self.raw):
            raise Refused("A quotation mark is never closed.")
        # An empty pair of quotation marks is a word too.
        self._take("")
        self.at += 1

    def _unquoted(self, character: str) -> None:
        self._refuse_expansion()
        if self.raw.startswith(("$'", '$"'), self.at):
            raise Refused("`$'…'` and `$\"…\"` are not read here; use plain quotation marks.")
        if character in "*?[":
            self.is_pattern = True
        self.text.append(character)
        self.pattern.append(character)
        self.bare.append(character)
        self.at += 1

    def _refuse_expansion(self) -> None:
        if self.raw.startswith(("`", "$("), self.at):
            raise Refused(
                "Command substitution and arithmetic are not done here; run the inner command by itself and use what"
                " it printed in the next round."
            )
        variable = _VARIABLE.match(self.raw, self.at)
        if variable:
            raise Refused(f"Variables are not expanded here (`{variable.group()}…`); write the value itself.")
