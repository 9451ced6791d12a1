# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: whether a sed script only prints, deletes and replaces.

Accepted are the addresses of GNU sed and the commands `p P d D q Q = n N h H g G x l s y { }`. What reads or writes
files, runs programs (`e`, `s///e`), jumps back (`b`, `t`, `:`) or takes text up to the end of a line is not.
"""

from __future__ import annotations

import re

from .delimited import end_of
from .errors import Refused

_SIMPLE = "pPdDqQ=nNhHgGxlz"
_WHY = {
    "w": "it writes a file",
    "W": "it writes a file",
    "r": "it reads another file",
    "R": "it reads another file",
    "e": "it runs a program",
    "F": "it is not needed here",
    "b": "a jump may never end",
    "t": "a jump may never end",
    "T": "a jump may never end",
    ":": "a jump may never end",
}
_BLANK = " \t;\n"


def judge_script(script: str) -> None:
    """Raises `Refused` unless the script can only print and change what passes through; a sentence for the model."""
    _Script(script).read()


class _Script:
    def __init__(self, script: str) -> None:
        self.script = script
        self.at = 0
        self.depth = 0

    def read(self) -> None:
        while self._skip(_BLANK + "}"):
            self._addresses()
            self._command()
        if self.depth != 0:
            raise Refused("the sed script has braces that do not match.")

    def _skip(self, characters: str) -> bool:
        """Past the characters; whether anything is left. A closing brace ends a block."""
        while self.at < len(self.script) and self.script[self.at] in characters:
            if self.script[self.at] == "}":
                self.depth -= 1
                if self.depth < 0:
                    raise Refused("the sed script has braces that do not match.")
            self.at += 1
        return self.at < len(self.script)

    def _next(self) -> str:
        return self.script[self.at : self.at + 1]

    def _addresses(self) -> None:
        self._address()
        self._skip(" \t")
        if self._next() == ",":
            self.at += 1
            self._skip(" \t")
            if self._next() in ("+", "~"):
                self.at += 1
            self._address()
            self._skip(" \t")
        while self._next() in ("!", " "):
            self.at += 1

    def _address(self) -> None:
        number = re.compile(r"\d+(~\d+)?|\$").match(self.script, self.at)
        if number:
            self.at = number.end()
        elif self._next() == "/":
            self.at += 1
            self._until("/")
            self._flags("IM")
        elif self._next() == "\\":
            raise Refused("a sed address with a delimiter of its own is not understood here; write /expression/.")

    def _command(self) -> None:
        name = self._next()
        self.at += 1
        if name == "{":
            self.depth += 1
        elif name == "s":
            self._replace("gpiIm0123456789")
        elif name == "y":
            self._replace("")
        elif name and name in _SIMPLE:
            self._flags("0123456789" if name in "qQl" else "")
            self._end()
        else:
            why = _WHY.get(name, "only p, d, q, s, y, n, =, h, g, x and blocks of them are understood")
            raise Refused(f"`{name or 'nothing'}` in a sed script is not accepted: {why}.")

    def _replace(self, flags: str) -> None:
        delimiter = self._next()
        if not delimiter or delimiter.isalnum() or delimiter in "\\\n ;[]{}":
            raise Refused("the delimiter of a sed `s` or `y` is not understood; use `/`, `|`, `#` or `,`.")
        self.at += 1
        self._until(delimiter)
        self._until(delimiter)
        self._flags(flags)
        self._end()

    def _until(self, delimiter: str) -> None:
        self.at = end_of(self.script, self.at, delimiter)

    def _flags(self, known: str) -> None:
        while self._next() and self._next() in known:
            self.at += 1

    def _end(self) -> None:
        """A command ends here, else what follows belongs to it: a flag that is not known."""
        self._skip(" \t")
        if self._next() and self._next() not in ";}\n":
            flag = self._next()
            raise Refused(f"`{flag}` after a sed command is not accepted: {_WHY.get(flag, 'it is not known here')}.")
