# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tracepoint's print format says of its fields: names of values and flags, addresses. Private to the collection.

Format: Documentation/trace/events.rst; conversions: Documentation/core-api/printk-formats.rst.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Optional, Union

from .c_expression import EVERY_BIT, Unresolved, evaluate
from .kernel_names import Names

_NAMING = re.compile(r"\b__print_(symbolic|flags)(?:_u64)?\(")
_MOST_NAMINGS = 64  # in a format; the kernel's own have fewer
_PAIR = re.compile(r'\{(.*),\s*"([^"]*)"\s*\}', re.DOTALL)
_OTHERWISE = re.compile(r'[\s)]*:\s*"([^"]*)"')  # what is printed for 0, behind the flags
_SUFFIX = re.compile(r'(.*)\?\s*"([^"]*)"\s*:\s*""\s*', re.DOTALL)  # bits that are printed as a sign
_CONVERSION = re.compile(
    r"%[-+ #0']*(?P<width>\*|\d+)?(?:\.(?P<precision>\*|\d+)?)?[hlLqjzt]*(?P<kind>[A-Za-z%])(?P<more>\w*)"
)
_STRING = re.compile(r'\s*"((?:[^"\\]|\\.)*)"')
_CLOSING = {"(": ")", "{": "}", "[": "]"}


class FieldNames(NamedTuple):
    """The names of what is in a field's bits of `mask`, and of single bits that add a sign to it."""

    names: Names
    mask: int
    signs: dict[int, str]

    def show(self, value: int) -> Union[str, int]:
        """`value` is unsigned. A name, names joined by `|` with the rest in hex, or the value where it has none."""
        shown = self.names.show(value & self.mask)
        rest = value & ~self.mask
        signs = ""
        for bits, sign in self.signs.items():
            if rest & bits == bits:
                signs += sign
                rest &= ~bits
        if isinstance(shown, int):
            return value
        return shown + signs + (f"|{rest:#x}" if rest else "")


class PrintFormat(NamedTuple):
    """By field: names of its values or flags, and how it is printed (`d`, `x`, `pS`, `pI4`)."""

    names: dict[str, FieldNames]
    conversions: dict[str, str]


def parse_print_format(text: str, bits: Mapping[str, int], constants: Mapping[str, int]) -> PrintFormat:
    """Parses what follows `print fmt:`; what is not understood is left out.

    `bits`: how many each field has; `constants`: enumerators by name.
    """
    string, arguments = _string(text)
    names: dict[str, FieldNames] = {}
    for naming in list(_namings(text, bits, constants)):
        names.setdefault(*naming)
    for argument in arguments:
        match = _SUFFIX.fullmatch(argument)
        found = _field(match[1], constants) if match else None
        if match and found and found[0] in names:
            named = names[found[0]]
            named.signs[found[1] & ~named.mask] = match[2]
    for shown in names.values():
        shown.signs.pop(0, None)
    return PrintFormat(names, _conversions(string, arguments, constants))


def _field(text: str, constants: Mapping[str, int]) -> Optional[tuple[str, int]]:
    """The field that an expression is, and its bits in it; None where it is anything else."""
    try:
        found = evaluate(text, constants)
    except Unresolved:
        return None
    return (found.field, found.number) if found.field is not None else None


def _namings(text: str, bits: Mapping[str, int], constants: Mapping[str, int]) -> Iterator[tuple[str, FieldNames]]:
    for count, match in enumerate(_NAMING.finditer(text)):
        if count == _MOST_NAMINGS:
            return
        end, parts = _split(text, match.end())
        found = _field(parts[0], constants)
        if found is None or found[0] not in bits:
            continue
        every = 2 ** bits[found[0]] - 1
        pairs = [(value & every, name) for value, name in _pairs(parts[1:], constants) if name]
        if match[1] == "symbolic":
            values: dict[int, str] = {}
            for value, name in pairs:
                values.setdefault(value, name)
            names = Names(values)
        else:
            otherwise = _OTHERWISE.match(text, end)
            values = {value: name for value, name in pairs if not value}
            if otherwise and otherwise[1]:
                values.setdefault(0, otherwise[1])
            names = Names(values, tuple((value, name) for value, name in pairs if value))
        if pairs:
            yield found[0], FieldNames(names, found[1] & every, {})


def _pairs(parts: list[str], constants: Mapping[str, int]) -> Iterator[tuple[int, str]]:
    for part in parts:
        match = _PAIR.fullmatch(part.strip())
        if match is None:
            continue
        try:
            value = evaluate(match[1], constants)
        except Unresolved:
            continue  # an enumerator that the kernel left as it is: values of it stay numbers
        if value.field is None:
            yield value.number, match[2]


def _string(text: str) -> tuple[str, list[str]]:
    """The format's string, and the texts of its arguments."""
    string, at = "", 0
    while True:
        match = _STRING.match(text, at)
        if match is None:
            break
        string, at = string + match[1], match.end()
    comma = text.find(",", at)
    return string, _split(text, comma + 1)[1] if comma >= 0 and not text[at:comma].strip() else []


def _split(text: str, start: int) -> tuple[int, list[str]]:
    """What is between commas up to the parenthesis that closes, or the end; and where that is, behind it."""
    parts: list[str] = []
    open_signs: list[str] = []
    begun = at = start
    while at < len(text):
        sign = text[at]
        if sign == '"':
            match = _STRING.match(text, at)
            at = match.end() if match else len(text)
            continue
        if sign in _CLOSING:
            open_signs.append(_CLOSING[sign])
        elif sign in _CLOSING.values():
            if not open_signs:
                break
            open_signs.pop()
        elif sign == "," and not open_signs:
            parts.append(text[begun:at])
            begun = at + 1
        at += 1
    return at + 1, [*parts, text[begun:at]]


def _conversions(string: str, arguments: list[str], constants: Mapping[str, int]) -> dict[str, str]:
    conversions: dict[str, str] = {}
    at = 0
    for match in _CONVERSION.finditer(string):
        if match["kind"] == "%":
            continue
        at += (match["width"] == "*") + (match["precision"] == "*")
        if at >= len(arguments):
            break
        found = _field(arguments[at], constants)
        if found is not None and found[1] == EVERY_BIT:
            kind = match["kind"] + (match["more"] if match["kind"] == "p" else "")
            conversions.setdefault(found[0], kind)
        at += 1
    return conversions
