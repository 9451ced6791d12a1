# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: `… | xargs COMMAND`, done here instead of by xargs, so that each command is judged."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import Refused
from .words import Word

MOST_RUNS = 200
MOST_WORDS = 2000
_MADE = re.compile(r"[\w./@%+,=^~: -]*")


@dataclass(frozen=True)
class Xargs:
    """The command, how many words each run of it takes, what separates them, and what stands for a line."""

    command: list[str]
    null: bool
    per_run: int
    replace: str | None

    def runs(self, printed: str) -> list[list[Word]]:
        """The commands to be run for what was printed; raises `Refused`."""
        separator = "\0" if self.null else "\n" if self.replace else None
        words = printed.split(separator)
        words = [checked(word) for word in words if word.strip()]
        if len(words) > MOST_WORDS:
            raise Refused(f"xargs got more than {MOST_WORDS} words; choose fewer of them first, with head.")
        if self.replace:
            lines = [[self._with(value, word) for word in self.command] for value in words]
        else:
            per_run = self.per_run or MOST_WORDS
            chunks = [words[start : start + per_run] for start in range(0, len(words), per_run)]
            written = [Word(word) for word in self.command]
            lines = [[*written, *(Word(value, printed=True) for value in chunk)] for chunk in chunks]
        if len(lines) > MOST_RUNS:
            raise Refused(f"xargs would run more than {MOST_RUNS} commands; choose fewer words first, with head.")
        return lines

    def _with(self, value: str, word: str) -> Word:
        """A word of the command with what was printed put in, where it has a place for that."""
        replace = self.replace or ""
        return Word(word.replace(replace, value), printed=replace in word, pieced=word != replace)


def read_exec(words: list[Word]) -> tuple[list[Word], Xargs] | None:
    """`find … -exec COMMAND {} ;` as what finds and what is run with each name; None where it is something else.

    Only as the last thing that find does, and for all that it finds, which is where the two are one and the same.
    """
    texts = [word.text for word in words]
    if texts[0] != "find" or texts.count("-exec") != 1 or texts[-1] not in (";", "+"):
        return None
    at = texts.index("-exec")
    command = texts[at + 1 : -1]
    acts = ("-o", "-or", "-print", "-print0", "-printf", "-ls", "-quit", ",", "-prune", "!", "-not", "(", "\\(")
    if not command or any(text in acts for text in texts[:at]) or any(word.pattern for word in words[at + 1 : -1]):
        return None
    found = [*words[:at], Word("-print0")]
    if texts[-1] == "+":
        return (found, Xargs(command[:-1], True, 0, None)) if command[-1] == "{}" else None
    return (found, Xargs(command, True, 0, "{}")) if any("{}" in text for text in command) else None


def checked(word: str) -> str:
    """A word that a command printed, if it can stand among the arguments of another one; raises `Refused`."""
    if word.startswith("-") or not _MADE.fullmatch(word):
        raise Refused(
            f"`{word[:80]}`, which a command printed, is not used as an argument: it is no plain word or path."
        )
    return word


def read_xargs(words: list[str]) -> Xargs:
    """What follows `xargs` on a command line; raises `Refused` for options that are not understood."""
    rest, null, per_run, replace = list(words), False, 0, None
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in ("-0", "--null"):
            null = True
        elif option in ("-n", "-L", "-I") and rest:
            value = rest.pop(0)
            per_run, replace = _counted(option, value, per_run, replace)
        elif re.fullmatch(r"-[nLI].+", option):
            per_run, replace = _counted(option[:2], option[2:], per_run, replace)
        elif option not in ("-r", "--no-run-if-empty"):
            raise Refused(f"`xargs {option}` is not accepted; accepted are -0, -r, -n NUMBER and -I WORD.")
    return Xargs(rest or ["echo"], null, per_run, replace)


def _counted(option: str, value: str, per_run: int, replace: str | None) -> tuple[int, str | None]:
    if option == "-I":
        return per_run, value
    if not re.fullmatch(r"[1-9]\d{0,3}", value):
        raise Refused(f"`xargs {option} {value}` is not accepted; a number from 1 is wanted.")
    return int(value), replace
