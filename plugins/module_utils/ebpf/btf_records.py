# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of the kernel's type information, found by number and by name. Private to the collection.

A kernel has more than a hundred thousand of them: one pass notes where each begins, and a record is decoded when it is
asked for. Format: Documentation/bpf/btf.rst and include/uapi/linux/btf.h; every word of the type section has 32 bits.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import compress
from typing import Optional

from .btf_sections import read_sections
from .errors import HostError

(
    VOID,
    INT,
    PTR,
    ARRAY,
    STRUCT,
    UNION,
    ENUM,
    FWD,
    TYPEDEF,
    VOLATILE,
    CONST,
    RESTRICT,
    FUNC,
    FUNC_PROTO,
    VAR,
    DATASEC,
    FLOAT,
    DECL_TAG,
    TYPE_TAG,
    ENUM64,
) = range(20)

COMPOUNDS = frozenset((STRUCT, UNION))
ENUMS = frozenset((ENUM, ENUM64))
# What stands between a name or a qualifier and the type itself.
WRAPPERS = frozenset((TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG, DECL_TAG))
_REFERENCES = WRAPPERS | {PTR, FUNC, FUNC_PROTO, VAR}
_SIZED = COMPOUNDS | ENUMS | {INT, DATASEC, FLOAT}
_SIGNED, _CHAR, _BOOL = 1, 2, 4  # encodings of an INT

_HEAD_WORDS = 3
_MAX_KINDS = 128
_RARE = 8  # one of so many records at most
# Words after a record's head: once, and for each of its elements.
_ONCE = {INT: 1, ARRAY: 3, VAR: 1, DECL_TAG: 1}
_UNKNOWN = 1 << 40  # longer than any file
_EACH = {STRUCT: 3, UNION: 3, ENUM: 2, FUNC_PROTO: 2, DATASEC: 3, ENUM64: 3}


@dataclass(frozen=True)
class Type:
    """A record decoded; sizes in bytes."""

    type_id: int
    kind: int
    name: str  # empty where it has none
    size: int  # 0 for kinds that have none of their own: `Btf.size` knows all
    target: int  # what it points at, names, qualifies, holds (array) or returns (prototype); 0 is void
    count: int  # elements of an array; otherwise members, parameters or enumerators; linkage of a function
    flag: bool  # the record's kind_flag: bitfields in a struct, negative values in an enum, a union for FWD
    signed: bool = False
    bits: int = 0  # of an INT
    bit_offset: int = 0  # of an INT
    is_char: bool = False
    is_bool: bool = False

    @property
    def is_compound(self) -> bool:
        """A struct or a union, with its members."""
        return self.kind in COMPOUNDS

    @property
    def is_enum(self) -> bool:
        """An enumeration of values of up to 64 bits."""
        return self.kind in ENUMS


class Records:
    """The records of one BTF file. Numbers are the kernel's type ids; those of a module continue its base's."""

    def __init__(self, data: bytes, origin: str, base: Optional[Records] = None) -> None:
        """`origin`: how errors call the data. Raises HostError where it is not whole."""
        self.origin = origin
        self.base = base
        self.first = base.end if base is not None else 1
        self._text_start = base._text_end if base is not None else 0
        sections = read_sections(data, self.damaged)
        self.words = sections.words
        self.big_endian = sections.big_endian
        self._text = sections.text
        if base is None and not self._text.startswith(b"\0"):
            raise self.damaged(
                "its names do not begin with the empty one; a module's file needs the kernel's as its base"
            )
        self._text_end: int = self._text_start + len(self._text)
        self._starts = array("I")
        self._kinds = bytearray()
        self._index(*_lengths(sections.layout))
        self.end: int = self.first + len(self._starts)
        self._named: dict[int, tuple[array[int], array[int]]] = {}
        self._by_name: dict[int, dict[int, list[int]]] = {}

    def damaged(self, what: str) -> HostError:
        """The error that says what is wrong with the data."""
        return HostError(
            f"The type information in {self.origin} is damaged or not whole: {what}. Probes at kernel functions need"
            " it; tracepoints do not."
        )

    def _index(self, once: list[int], each: list[int]) -> None:
        """Notes where each record begins. The one loop over all of them: it is kept bare."""
        words, starts, kinds = self.words, self._starts, self._kinds
        at, end = 0, len(words)
        try:
            while at < end:
                info = words[at + 1]
                kind = info >> 24 & 0x7F
                starts.append(at)
                kinds.append(kind)
                at += once[kind] + each[kind] * (info & 0xFFFFFF)
        except IndexError:
            at = end + 1  # the head of a record is cut
        if kinds and once[kinds[-1]] == _UNKNOWN:
            raise self.damaged(f"type {self.first + len(starts) - 1} is of the unknown kind {kinds[-1]}")
        if at != end:
            raise self.damaged("the last of its types is cut")

    def owner(self, type_id: int) -> tuple[Records, int]:
        """The file that has a type, and at which of its words. Raises HostError where none has it."""
        owner: Optional[Records] = self
        while owner is not None and type_id < owner.first:
            owner = owner.base
        if owner is None or type_id >= owner.end:
            raise self.damaged(f"it refers to type {type_id} and ends at type {self.end - 1}")
        return owner, owner._starts[type_id - owner.first]

    def name(self, offset: int) -> str:
        """The string at an offset. Raises HostError."""
        owner: Optional[Records] = self
        while owner is not None and offset < owner._text_start:
            owner = owner.base
        if owner is None or offset >= owner._text_end:
            raise self.damaged(f"a name is at byte {offset} and the names end at byte {self._text_end}")
        start = offset - owner._text_start
        return owner._text[start : owner._text.index(b"\0", start)].decode("utf-8", "replace")

    def decode(self, type_id: int) -> Type:
        """The record of a type. Raises HostError where there is none."""
        if type_id == 0:
            return Type(0, VOID, "void", 0, 0, 0, False)
        owner, at = self.owner(type_id)
        name_offset, info, third = owner.words[at : at + _HEAD_WORDS]
        kind, count, flag = info >> 24 & 0x7F, info & 0xFFFFFF, bool(info >> 31)
        name = owner.name(name_offset)
        size = third if kind in _SIZED else 0
        target = third if kind in _REFERENCES else 0
        if kind == INT:
            return _integer(type_id, name, size, owner.words[at + _HEAD_WORDS])
        if kind == ARRAY:
            target, _index_type, count = owner.words[at + _HEAD_WORDS : at + _HEAD_WORDS + 3]
        return Type(type_id, kind, name, size, target, count, flag, signed=flag and kind in ENUMS)

    def elements(self, type_id: int) -> list[tuple[int, ...]]:
        """The words of a record's members, parameters or values, one tuple for each; a kind without has none."""
        if type_id == 0:
            return []
        owner, at = self.owner(type_id)
        info = owner.words[at + 1]
        step = _EACH.get(info >> 24 & 0x7F, 0)
        start = at + _HEAD_WORDS
        return [tuple(owner.words[at : at + step]) for at in range(start, start + step * (info & 0xFFFFFF), step or 1)]

    def named(self, kind: int) -> tuple[array[int], array[int]]:
        """All of a kind in this file itself: their ids, and where their names are."""
        if kind not in self._named:
            if self._kinds.count(kind) > len(self._kinds) // _RARE:
                chosen = self._kinds.translate(bytes(int(other == kind) for other in range(256)))
                at = array("I", compress(range(len(self._kinds)), chosen))
            else:
                at = array("I", self._each(kind))
            ids = array("I", (self.first + index for index in at))
            names = array("I", (self.words[self._starts[index]] for index in at))
            self._named[kind] = ids, names
        return self._named[kind]

    def _each(self, kind: int) -> Iterator[int]:
        """Which of the records are of a kind; quick where it is rare."""
        at = self._kinds.find(kind)
        while at >= 0:
            yield at
            at = self._kinds.find(kind, at + 1)

    def find(self, kinds: Iterable[int], name: str) -> list[int]:
        """The ids of all types of a name in this file itself, in the order of the kinds."""
        offsets = self._offsets(name.encode("utf-8", "replace"))
        if not offsets:
            return []
        return [type_id for kind in kinds for type_id in self._at(kind, offsets)]

    def _at(self, kind: int, offsets: set[int]) -> list[int]:
        """The ids of a kind whose names are at some offsets, in order."""
        if kind == FUNC:  # the most, and each asked for once
            return [type_id for type_id, at in zip(*self.named(kind)) if at in offsets]
        if kind not in self._by_name:
            by_name: dict[int, list[int]] = {}
            for type_id, at in zip(*self.named(kind)):
                by_name.setdefault(at, []).append(type_id)
            self._by_name[kind] = by_name
        by_name = self._by_name[kind]
        return sorted(type_id for at in offsets for type_id in by_name.get(at, ()))

    def _offsets(self, name: bytes) -> set[int]:
        """Wherever a string of these bytes is, also as the end of a longer one."""
        found = self.base._offsets(name) if self.base is not None else set()
        if not name or b"\0" in name:
            return found
        at = self._text.find(name + b"\0")
        while at >= 0:
            found.add(self._text_start + at)
            at = self._text.find(name + b"\0", at + 1)
        return found


def _lengths(layout: bytes) -> tuple[list[int], list[int]]:
    """Words of a record by its kind, once and for each element; of kinds unknown here by what the file says."""
    once = [_UNKNOWN] * _MAX_KINDS
    each = [0] * _MAX_KINDS
    for kind in range(1, min(len(layout) // 4, _MAX_KINDS)):
        if layout[4 * kind] % 4 == layout[4 * kind + 1] % 4 == 0:
            once[kind] = _HEAD_WORDS + layout[4 * kind] // 4
            each[kind] = layout[4 * kind + 1] // 4
    for kind in range(INT, ENUM64 + 1):
        once[kind] = _HEAD_WORDS + _ONCE.get(kind, 0)
        each[kind] = _EACH.get(kind, 0)
    return once, each


def _integer(type_id: int, name: str, size: int, word: int) -> Type:
    encoding = word >> 24 & 0xF
    return Type(
        type_id,
        INT,
        name,
        size,
        target=0,
        count=0,
        flag=False,
        signed=bool(encoding & _SIGNED),
        bits=word & 0xFF,
        bit_offset=word >> 16 & 0xFF,
        # Compilers rarely say that an integer is text: its name does.
        is_char=size == 1 and (bool(encoding & _CHAR) or name == "char"),
        is_bool=bool(encoding & _BOOL),
    )
