# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: one word of a command line, as the shell would read it.

Quotes, backslashes and file name patterns are read; a loop's variable and what a command printed are put in where the
caller knows them (`Values`). Whatever else a shell would replace by something (other variables, arithmetic, `~`) is
refused, so that what is judged is what is run.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass, field

from .errors import Refused
from .file_names import FileNames

MOST_BRACES = 100

_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})")
_OTHER_VARIABLE = re.compile(r"\$[A-Za-z_0-9@*#?!$-]|\$\{")
_BRACES = re.compile(r"\{[^{}]*(,|\.\.)[^{}]*\}")
_ONE_BRACE = re.compile(r"([^{}'\"\\$`]*)\{([^{}'\"\\$`]+)\}([^{}'\"\\$`]*)")
_RANGE = re.compile(r"(\d{1,6})\.\.(\d{1,6})")
# What may stand outside quotation marks without a shell splitting or expanding it.
_PLAIN = re.compile(r"[\w./:@%+,=^-]*")


@dataclass(frozen=True)
class Word:
    """A word with its quotes taken off: its text, and the file name pattern that it is, if it is one."""

    text: str
    pattern: str | None = None
    # Whether a variable or a command gave part of it; whether a command printed that; and whether it has other parts.
    made: bool = False
    printed: bool = False
    pieced: bool = False
    names: FileNames = field(default_factory=FileNames, compare=False, repr=False)

    def expand(self) -> list[str]:
        """The file names that the pattern stands for, sorted, or the text itself where there are none."""
        if self.pattern is None:
            return [self.text]
        return self.names.matching(self.pattern, self.text) or [self.text]


@dataclass(frozen=True)
class Values:
    """What may be put into a word: variables by name; and commands' output by where they stand, as (end, text)."""

    variables: dict[str, str] = field(default_factory=dict)
    printed: dict[int, tuple[int, str]] = field(default_factory=dict)
    # Variables whose value a command printed.
    tainted: frozenset[str] = frozenset()
    # What patterns stand for, counted for the whole line.
    names: FileNames = field(default_factory=FileNames)


def spread_braces(raw: str) -> list[str]:
    """The words that a shell makes of `/proc/{1,2}/stat` or `{1..3}`; `[raw]` where there is nothing to spread."""
    if not _BRACES.search(raw):
        return [raw]
    found = _ONE_BRACE.fullmatch(raw)
    if not found:
        return [raw]
    before, inside, after = found.groups()
    span = _RANGE.fullmatch(inside)
    if span:
        low, high = int(span.group(1)), int(span.group(2))
        if abs(high - low) >= MOST_BRACES:
            raise Refused(f"`{raw}` stands for more than {MOST_BRACES} words; name fewer.")
        numbers = range(low, high + 1) if low <= high else range(low, high - 1, -1)
        if len(span.group(1)) > 1 and span.group(1)[0] == "0":
            raise Refused(f"Braces as in `{raw}` are not expanded here; write each word out.")
        return [f"{before}{number}{after}" for number in numbers]
    if "," not in inside:
        return [raw]
    return [f"{before}{one}{after}" for one in inside.split(",") if before or one or after]


def read_word(raw: str, at: int = 0, values: Values | None = None) -> Word:
    """The word that `raw` (with its quotes) stands for; raises `Refused` for what a shell would replace otherwise.

    `at` is where the word stands in the line; `values.printed` goes by that.
    """
    return _Reader(raw, at, values or Values()).read()


class _Reader:
    def __init__(self, raw: str, start: int, values: Values) -> None:
        self.raw = raw
        self.start = start
        self.values = values
        self.at = 0
        self.text: list[str] = []
        self.pattern: list[str] = []
        self.bare: list[str] = []
        self.is_pattern = False
        self.made = False
        self.printed = False
        self.pieces = 0

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
        pattern = "".join(self.pattern) if self.is_pattern else None
        return Word("".join(self.text), pattern, self.made, self.printed, self.pieces > 1, self.values.names)

    def _take(self, quoted: str) -> None:
        """Text that was quoted: it stands for itself, also where it looks like a pattern."""
        self.text.append(quoted)
        self.pieces += bool(quoted)
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
            elif not self._put_in(quoted=True):
                self._take(character)
                self.at += 1
        if self.at >= len(self.raw):
            raise Refused("A quotation mark is never closed.")
        # An empty pair of quotation marks is a word too.
        self._take("")
        self.at += 1

    def _unquoted(self, character: str) -> None:
        if self.raw.startswith(("$'", '$"'), self.at):
            raise Refused("`$'…'` and `$\"…\"` are not read here; use plain quotation marks.")
        if self._put_in(quoted=False):
            return
        if character in "*?[":
            self.is_pattern = True
        self.text.append(character)
        self.pieces += 1
        self.pattern.append(character)
        self.bare.append(character)
        self.at += 1

    def _put_in(self, quoted: bool) -> bool:
        """Takes the value of a variable or command that stands here, if one does."""
        printed = self.values.printed.get(self.start + self.at)
        variable = _VARIABLE.match(self.raw, self.at)
        if printed is not None:
            end, value = printed[0] - self.start, printed[1]
            self.printed = True
        elif variable and (variable.group(1) or variable.group(2)) in self.values.variables:
            name = variable.group(1) or variable.group(2)
            end, value = variable.end(), self.values.variables[name]
            self.printed |= name in self.values.tainted
        else:
            self._refuse_expansion()
            return False
        if not quoted and not _PLAIN.fullmatch(value):
            raise Refused(f"`{value[:80]}` would be split or expanded by a shell; put `{self.raw}` into double quotes.")
        self._take(value)
        self.at = end
        self.made = True
        return True

    def _refuse_expansion(self) -> None:
        if self.raw.startswith(("`", "$("), self.at):
            raise Refused(
                "This substitution or arithmetic is not done here; run the inner command by itself and use what it"
                " printed in the next round."
            )
        variable = _OTHER_VARIABLE.match(self.raw, self.at)
        if variable:
            raise Refused(
                f"Variables other than a loop's are not expanded here (`{variable.group()}…`); write the value itself."
            )
