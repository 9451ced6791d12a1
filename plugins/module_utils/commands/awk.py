# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: whether an awk program only reads what it is given and prints.

The program is cut into tokens as POSIX's grammar and gawk's, mawk's and busybox's additions have them. Where a `/`
could be a division as well as the beginning of an expression, the program is refused: what is not certain is not run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .delimited import end_of
from .errors import Refused

_REFUSED_WORDS = {
    "system": "`system` runs a program",
    "getline": "`getline` reads another file or a program",
    "ARGV": "it may read other files than those that were judged",
    "ARGC": "it may read other files than those that were judged",
    "SYMTAB": "it reaches every variable by its name",
    "FUNCTAB": "it reaches every function by its name",
    "PROCINFO": "it changes how awk works",
    "while": "a loop of this kind may never end",
    "do": "a loop of this kind may never end",
    "extension": "it loads code",
    "load": "it loads code",
    "switch": "it is not known to every awk",
}
_TOKEN = re.compile(
    r"(?P<blank>[ \t\r\f\v]+|\\\r?\n|\#[^\n]*)"
    r"|(?P<newline>\n)"
    r"|(?P<number>0[xX][0-9a-fA-F]+|(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z_0-9]*)"
    r'|(?P<string>"(?:[^"\\\n]|\\(?:.|\n))*")'
    r"|(?P<operator>>>|\|\||\|&|\*\*=|\*\*|&&|\+\+|--|[-+*%^!=<>]=|!~|[-+*%^!<>=~?:,;{}()\[\]$|@&])"
)
# After a complete value a `/` divides; after these it could be either.
_UNSURE = ("++", "--", "length", "/…/", "condition)")
_KEYWORDS = (
    *("if", "else", "for", "in", "print", "printf", "return", "delete", "exit", "next", "nextfile"),
    *("BEGIN", "END", "function", "func"),
)


@dataclass
class _State:
    """What came before, and whether a `>` here would be a redirection."""

    last: str = ""
    complete: bool = False
    depth: int = 0
    printing_at: list[int] = field(default_factory=list)
    # What stood before each parenthesis that is open.
    openers: list[str] = field(default_factory=list)


def judge_program(program: str) -> None:
    """Raises `Refused` unless the program can do nothing but compute and print; with a sentence for the model."""
    state, at = _State(), 0
    while at < len(program):
        if program[at] == "/":
            at = _slash(program, at, state)
            continue
        found = _TOKEN.match(program, at)
        if not found:
            raise Refused(f"the awk program is not understood from `{program[at : at + 20]}` on.")
        at = found.end()
        if found.group().startswith("\\") and program[found.start() - 1 : found.start()].isalnum():
            raise Refused("a line of the awk program is continued within a word; write the word in one piece.")
        if found.lastgroup != "blank":
            _take(found.lastgroup or "", found.group(), state)
    if state.depth:
        raise Refused("the awk program has parentheses or braces that do not match.")


def _slash(program: str, at: int, state: _State) -> int:
    """Past a division or a regular expression that begins at `at`."""
    if state.last in _UNSURE:
        raise Refused(f"after `{state.last}` a `/` could be two things to awk; write it with parentheses.")
    if state.complete:
        state.last, state.complete = "/", False
        return at + 1
    end = end_of(program, at + 1, "/")
    state.last, state.complete = "/…/", True
    return end


def _take(kind: str, text: str, state: _State) -> None:
    if kind == "word":
        _word(text, state)
    elif kind in ("operator", "newline"):
        _operator(text, state)
    closed = state.openers.pop() if text in (")", "]", "}") and state.openers else ""
    if text in ("(", "[", "{"):
        state.openers.append(state.last)
    # Behind a condition a statement begins, which may be an expression between slashes.
    state.last = "condition)" if text == ")" and closed in ("if", "for") else text
    state.complete = kind in ("number", "string") or (kind == "word" and text not in _KEYWORDS) or text in (")", "]")


def _word(text: str, state: _State) -> None:
    if text in _REFUSED_WORDS:
        raise Refused(f"`{text}` in an awk program is not accepted: {_REFUSED_WORDS[text]}.")
    if text in ("print", "printf"):
        state.printing_at.append(state.depth)


def _operator(text: str, state: _State) -> None:
    # Behind a comma or an operator a newline does not end what is printed.
    if text in (";", "}") or (text == "\n" and state.complete):
        state.printing_at = [depth for depth in state.printing_at if depth < state.depth]
    if text in ("(", "[", "{"):
        state.depth += 1
    elif text in (")", "]", "}"):
        state.depth -= 1
    if text in ("|", "|&"):
        raise Refused("a pipe in an awk program runs another program; put the pipe behind awk, as in `awk … | sort`.")
    prints = state.last == "\n" or (state.printing_at and state.depth <= state.printing_at[-1])
    if text == ">>" or (text == ">" and prints):
        raise Refused(
            "`>` after print writes a file in awk; what it prints comes back as it is. A comparison there goes into"
            " parentheses."
        )
    if text == "@":
        raise Refused("`@` in an awk program loads code or calls a function by its name.")
    if text == ";" and state.last == ";":
        raise Refused("`for (;;)` in awk never ends.")
