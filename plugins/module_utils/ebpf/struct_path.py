# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a member of a kernel struct is, by a path such as `f_path.dentry->d_name.name`. Private to the collection."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Optional, Union

from . import btf_records as kinds
from .btf import Btf, Member
from .btf_records import Type
from .errors import HostError, RequestError

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_INDEX = r"\[[0-9]{1,9}\]"
_PATH = re.compile(rf"{_NAME}(?:(?:\.|->){_NAME}|{_INDEX})*")
_STEP = re.compile(rf"(?P<reach>\.|->)?(?P<member>{_NAME})|(?P<index>{_INDEX})")
_UNIT_BYTES = (1, 2, 4, 8)  # what can be read at once


@dataclass(frozen=True)
class Location:
    """Where a value is, seen from the beginning of the struct, and what it is.

    `hops` are byte offsets: one without a pointer in the path; with n pointers, n+1. The pointer is read at the first,
    the second counts from where it points, and so on; the value is at the last. For a bitfield, `size` bytes are read
    there as one number, shifted right by `bit_offset` and cut to `bit_size` bits.
    """

    hops: tuple[int, ...]
    size: int  # bytes; 0 for what has no size, such as a flexible array
    signed: bool
    type_id: int
    bit_offset: Optional[int] = None
    bit_size: Optional[int] = None

    @property
    def offset(self) -> int:
        """Bytes from the beginning of the struct, or from where the last pointer of the path points."""
        return self.hops[-1]


def locate(btf: Btf, root: Union[str, int], path: str) -> Location:
    """Where `path` leads in a struct or union.

    `root`: its name (`sock`, `struct sock`, a typedef), or the type id of it or of a pointer to it, such as a
    function's parameter; the id is exact where several structs share a name. `path`: members with `.`, `->` through
    pointers and `[n]`, those of anonymous structs and unions as in C. Raises RequestError for what is not there.
    """
    way = steps(path)
    if isinstance(root, int):
        return _Walk(btf, btf.pointee(root) or btf.peel(root)).follow(way)
    starts = {found.type_id: found for found in map(btf.peel, btf.find(root)) if found.is_compound}
    if not starts:
        raise RequestError(f"This kernel's type information has no struct or union {_bare(root)}.")
    located: list[Location] = []
    failures: list[RequestError] = []
    for start in starts.values():
        try:
            located.append(_Walk(btf, start).follow(way))
        except RequestError as error:
            failures.append(error)
    if not located:
        raise failures[0]
    if any(_place(other) != _place(located[0]) for other in located):
        raise RequestError(
            f"This kernel has {len(located)} different structs {_bare(root)}, with {path} at other places."
        )
    return located[0]


def _bare(root: str) -> str:
    return root.partition(" ")[2] or root


def _place(location: Location) -> tuple[object, ...]:
    return (location.hops, location.size, location.signed, location.bit_offset, location.bit_size)


def steps(path: str) -> list[re.Match[str]]:
    """The steps of a path: `reach` (`.`, `->` or None) and `member`, or `index`. Raises RequestError for none."""
    if not _PATH.fullmatch(path):
        raise RequestError(f"'{path}' is not a path to a member: write it as in a.b->c or a.b[0].")
    return list(_STEP.finditer(path))


class _Walk:
    """The way from a struct to one of its members, step by step."""

    def __init__(self, btf: Btf, start: Type) -> None:
        self._btf = btf
        self._type = start
        self._type_id = start.type_id
        self._hops: list[int] = []
        self._bits = 0  # from the struct, or from where the last pointer points
        self._bit_size = 0
        self._passed = ""

    def follow(self, way: list[re.Match[str]]) -> Location:
        for step in way:
            if step["index"]:
                self._element(int(step["index"][1:-1]))
            else:
                if step["reach"] == "->":
                    self._hop()
                self._into(step["member"])
            self._passed += step.group()
        return self._located()

    def _hop(self) -> None:
        target = self._btf.pointee(self._type_id)
        if target is None:
            raise RequestError(f"{self._passed} is no pointer but {self._described()}: write '.' behind it.")
        self._hops.append(self._bits // 8)
        self._bits = 0
        self._enter(target.type_id)

    def _into(self, name: str) -> None:
        if self._type.kind == kinds.PTR:
            raise RequestError(f"{self._passed} is a pointer ({self._described()}): write '->' behind it.")
        if self._type.kind == kinds.FWD:
            raise RequestError(f"This kernel's type information names {self._described()} without its members.")
        if not self._type.is_compound:
            raise RequestError(f"{self._passed or 'This'} is {self._described()}, which has no members such as {name}.")
        found = self._member(name)
        if found is None:
            place = f" ({self._passed})" if self._passed else ""
            raise RequestError(f"{self._described()}{place} has no member {name}.")
        member, bits = found
        self._bits += bits
        self._enter(member.type_id)
        self._bit_size = member.bit_size

    def _member(self, name: str) -> Optional[tuple[Member, int]]:
        """A member of a struct or of the anonymous ones in it, and its offset in bits."""
        waiting, seen = deque([(self._type.type_id, 0)]), {self._type.type_id}
        while waiting:
            type_id, bits = waiting.popleft()
            for member in self._btf.members(type_id):
                if member.name == name:
                    return member, bits + member.bit_offset
                inner = self._btf.peel(member.type_id)
                if not member.name and inner.is_compound and inner.type_id not in seen:
                    seen.add(inner.type_id)
                    waiting.append((inner.type_id, bits + member.bit_offset))
        return None

    def _element(self, index: int) -> None:
        if self._type.kind != kinds.ARRAY:
            raise RequestError(f"{self._passed} is no array but {self._described()}, without an element {index}.")
        if self._type.count and index >= self._type.count:
            raise RequestError(f"{self._passed} has {self._type.count} elements, and element {index} is none of them.")
        self._bits += 8 * index * self._btf.size(self._type.target)
        self._enter(self._type.target)

    def _enter(self, type_id: int) -> None:
        self._type_id = type_id
        self._type = self._btf.peel(type_id)
        self._bit_size = 0

    def _described(self) -> str:
        return self._btf.describe(self._type_id)

    def _located(self) -> Location:
        size = self._btf.size(self._type_id)
        if self._bit_size:
            return self._bitfield(size)
        if self._bits % 8:
            raise HostError(f"The kernel's type information is damaged: {self._passed} begins in the middle of a byte.")
        return Location((*self._hops, self._bits // 8), size, self._type.signed, self._type_id)

    def _bitfield(self, size: int) -> Location:
        """The smallest aligned unit, of the declared type at least, that holds all the bits."""
        for unit in _UNIT_BYTES:
            offset = self._bits // 8 // unit * unit
            shift = self._bits - 8 * offset
            if unit >= size and shift + self._bit_size <= 8 * unit:
                if self._btf.big_endian:
                    shift = 8 * unit - shift - self._bit_size  # such machines count from the highest bit
                return Location((*self._hops, offset), unit, self._type.signed, self._type_id, shift, self._bit_size)
        raise RequestError(f"{self._passed} is a bitfield of {self._bit_size} bits that no single read can give.")
