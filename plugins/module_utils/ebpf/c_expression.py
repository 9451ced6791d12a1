# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C expressions of integers that print formats of tracepoints are made of. Private to the collection.

The preprocessor has expanded what was a name before, so `GFP_KERNEL` is some lines of casts, shifts and parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable, Optional

_TOKEN = re.compile(
    r"\s*(?:REC->(?P<field>\w+)|(?P<number>0[xX][0-9a-fA-F]+|\d+)[uUlL]*\b|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign><<|>>|==|!=|<=|>=|&&|\|\||[-+*/%&|^~!?:()<>]))"
)
_TYPE = re.compile(
    r"unsigned|signed|long|int|short|char|const|void|_Bool|bool|struct|enum|\w+_t|_*[us](?:8|16|32|64)"
    r"|_*[bl]e(?:16|32|64)|\*"
)
EVERY_BIT = 2**64 - 1
_DEEPEST = 60  # parentheses within each other
_BINDING = {"|": 1, "^": 2, "&": 3, "==": 4, "!=": 4, "<": 5, ">": 5, "<=": 5, ">=": 5, "<<": 6, ">>": 6}
_BINDING.update({"+": 7, "-": 7, "*": 8, "/": 8, "%": 8})
_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "&": lambda a, b: a & b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}


class Unresolved(ValueError):
    """The text is no expression that is understood here."""


@dataclass(frozen=True)
class Operand:
    """A constant of 64 bits, or some bits of a field: `number` is its mask then."""

    number: int
    field: Optional[str] = None


def evaluate(text: str, constants: Mapping[str, int]) -> Operand:
    """A constant, or a field of the record, as it is or masked. Casts are passed over. Raises Unresolved.

    `constants`: enumerators by name, which the kernel's texts may have as they are.
    """
    return _Parser(text, constants).whole()


class _Parser:
    def __init__(self, text: str, constants: Mapping[str, int]) -> None:
        self._constants = constants
        self._tokens: list[tuple[str, str]] = []
        self._at = self._depth = 0
        start, text = 0, text.rstrip()
        while start < len(text):
            match = _TOKEN.match(text, start)
            if match is None or match.lastgroup is None:
                raise Unresolved(text)
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            start = match.end()

    def whole(self) -> Operand:
        found = self._binary(1)
        if self._at != len(self._tokens):
            raise Unresolved(self._sign())
        return found

    def _sign(self) -> str:
        """The sign that comes next, or nothing."""
        kind, text = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        return text if kind == "sign" else ""

    def _binary(self, least: int) -> Operand:
        left = self._unary()
        while _BINDING.get(self._sign(), 0) >= least:
            sign = self._sign()
            self._at += 1
            left = _combined(sign, left, self._binary(_BINDING[sign] + 1))
        return left

    def _unary(self) -> Operand:
        sign = self._sign()
        if sign in ("~", "-", "+", "!"):
            self._deeper()
            self._at += 1
            operand = self._unary()
            self._depth -= 1
            if operand.field is not None:
                raise Unresolved(sign)
            number = {"~": ~operand.number, "-": -operand.number, "+": operand.number, "!": not operand.number}[sign]
            return Operand(number & EVERY_BIT)
        if sign == "(":
            return self._parenthesis()
        if self._at == len(self._tokens):
            raise Unresolved("the end")
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "field":
            return Operand(EVERY_BIT, text)
        if kind == "number":
            return Operand(_number(text))
        if text not in self._constants:
            raise Unresolved(text)
        return Operand(self._constants[text] & EVERY_BIT)

    def _parenthesis(self) -> Operand:
        self._deeper()
        self._at += 1
        if self._is_cast():
            found = self._unary()
        else:
            found = self._binary(1)
            if self._sign() != ")":
                raise Unresolved(self._sign())
            self._at += 1
        self._depth -= 1
        return found

    def _is_cast(self) -> bool:
        """Whether a type and its closing parenthesis come next; if so, goes behind them."""
        at = self._at
        while at < len(self._tokens) and self._tokens[at][0] in ("name", "sign"):
            text = self._tokens[at][1]
            if text == ")" and at > self._at:
                self._at = at + 1
                return True
            if not _TYPE.fullmatch(text) and self._tokens[at - 1][1] not in ("struct", "enum"):
                return False
            at += 1
        return False

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Unresolved("too deep")


def _number(text: str) -> int:
    try:
        return int(text, 8 if text.startswith("0") and text.isdigit() else 0) & EVERY_BIT
    except ValueError as error:  # 08, or more digits than Python takes
        raise Unresolved(text) from error


def _combined(sign: str, left: Operand, right: Operand) -> Operand:
    if left.field is not None or right.field is not None:
        if sign != "&" or (left.field is not None and right.field is not None):
            raise Unresolved(sign)
        return Operand(left.number & right.number, left.field or right.field)
    if (sign in ("<<", ">>") and right.number > 63) or (sign in ("/", "%") and not right.number):
        raise Unresolved(sign)
    return Operand(int(_OPERATIONS[sign](left.number, right.number)) & EVERY_BIT)
