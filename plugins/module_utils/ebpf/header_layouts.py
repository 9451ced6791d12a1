# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Structs as a compiler lays them out, from its own account of it. Private to the collection.

clang's -fdump-record-layouts prints each struct whose size it needed: a line for each member, nested ones whole and
further to the right, with the offset in bytes from the beginning (`512:3-6` for bits 3 to 6 of a bitfield), and last
its size. So a kernel's headers tell where any member is, without a question for each that they may lack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from .errors import RequestError
from .struct_path import Location, steps

_BLOCK = re.compile(r"^ +0 \| (struct|union) (\w+)\n((?:.*\|   .*\n)*?) +\| \[sizeof=(\d+)", re.MULTILINE)
_LINE = re.compile(r" *(?P<bytes>\d+)(?::(?P<first>\d+|-)(?:-(?P<last>\d+))?)? \| (?P<indent> *)(?P<declared>.*)")
_NAMELESS = re.compile(r"\((?:anonymous|unnamed)[^)]*\)$")
_ARRAY = re.compile(r"^(?P<element>.*?)\[(?P<count>\d*)\](?P<rest>(?:\[\d+\])*)$")
_POINTER_BYTES = 8
_ENUM_BYTES = 4


@dataclass
class _Member:
    name: str
    type: str
    offset: int  # bytes from the beginning of the outermost struct
    bit_offset: Optional[int] = None
    bit_size: Optional[int] = None
    members: list[_Member] = field(default_factory=list)


class Layouts:
    """The structs of some headers. `scalars`: bytes and sign of the types that are no structs, by name."""

    def __init__(self, dump: str, scalars: Mapping[str, Any]) -> None:
        self._scalars = scalars
        self._blocks = {match[2]: (match[3], int(match[4])) for match in _BLOCK.finditer(dump)}
        self._read: dict[str, list[_Member]] = {}

    def structs(self) -> set[str]:
        """The names of all that is known."""
        return set(self._blocks)

    def locate(self, struct: str, path: str) -> Location:
        """Where a path leads, as `struct_path.locate` has it. Raises RequestError for what is not there."""
        members, base = self._members(struct), 0
        hops: list[int] = []
        member: Optional[_Member] = None
        kind = f"struct {struct}"
        for step in steps(path):
            if step["index"]:
                kind, size = self._element(kind)
                base += int(step["index"][1:-1]) * size
                members = self._members(_tag(kind)) if _tag(kind) else []
                base, member = base + (member.offset if member else 0), None
                continue
            if step["reach"] == "->":
                hops.append(base + (member.offset if member else 0))
                kind, base = _pointee(kind), 0
                members = self._members(_tag(kind))
            member = _find(members, step["member"])
            if member is None:
                raise RequestError(f"{kind} has no member {step['member']} in this kernel's headers.")
            kind, members = member.type, member.members
        size, signed = self._size(kind)
        at = (*hops, base + (member.offset if member else 0))
        return Location(at, size, signed, 0, *((member.bit_offset, member.bit_size) if member else (None, None)))

    def _members(self, struct: str) -> list[_Member]:
        if struct not in self._blocks:
            raise RequestError(f"This kernel's headers do not define {struct or 'it'}.")
        if struct not in self._read:
            self._read[struct] = _tree(iter(self._blocks[struct][0].splitlines()))
        return self._read[struct]

    def _element(self, kind: str) -> tuple[str, int]:
        array = _ARRAY.match(kind)
        if array is None:
            raise RequestError(f"{kind} is no array.")
        element = (array["element"] + array["rest"]).strip()
        return element, self._size(element)[0]

    def _size(self, kind: str) -> tuple[int, bool]:
        """Bytes of a type, and whether it has a sign."""
        array = _ARRAY.match(kind)
        if array is not None:
            return int(array["count"] or 0) * self._size((array["element"] + array["rest"]).strip())[0], False
        if kind.endswith("*") or "(*)" in kind:
            return _POINTER_BYTES, False
        plain = re.sub(r"\b(?:const|volatile) ?", "", kind).strip()
        if _tag(plain) in self._blocks:
            return self._blocks[_tag(plain)][1], False
        if plain.startswith("enum "):
            return _ENUM_BYTES, False
        known = self._scalars.get(plain)
        if isinstance(known, str):  # a name for a pointer
            return self._size(known)
        if known is not None:
            return int(known[0]), bool(known[1])
        raise RequestError(f"How large {kind} is is not known.")


def _tree(lines: Iterator[str]) -> list[_Member]:
    """The members of a struct, nested ones in theirs."""
    root = _Member("", "", 0)
    open_at = [(0, root)]
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            continue
        depth = len(found["indent"])
        while len(open_at) > 1 and open_at[-1][0] >= depth:
            open_at.pop()
        member = _member(found)
        open_at[-1][1].members.append(member)
        open_at.append((depth, member))
    return root.members


def _member(line: re.Match[str]) -> _Member:
    declared = line["declared"]
    if _NAMELESS.search(declared.rstrip()):
        kind, name = declared.rstrip(), ""
    else:
        kind, _space, name = declared.rpartition(" ")
    offset = int(line["bytes"])
    if line["first"] is None or line["last"] is None:
        return _Member(name, kind.strip(), offset)
    first, last = int(line["first"]), int(line["last"])
    return _Member(name, kind.strip(), offset, first, last - first + 1)


def _find(members: list[_Member], name: str) -> Optional[_Member]:
    """A member, also of the structs and unions among them that have no name."""
    for member in members:
        if member.name == name:
            return member
    for member in members:
        found = _find(member.members, name) if not member.name else None
        if found is not None:
            return found
    return None


def _pointee(kind: str) -> str:
    if not kind.endswith("*"):
        raise RequestError(f"{kind} is no pointer.")
    return kind[:-1].strip()


def _tag(kind: str) -> str:
    """The name of a struct or a union."""
    plain = re.sub(r"\b(?:const|volatile) ?", "", kind).strip()
    keyword, _space, tag = plain.partition(" ")
    return tag if keyword in ("struct", "union") and tag.isidentifier() else plain if plain.isidentifier() else ""
