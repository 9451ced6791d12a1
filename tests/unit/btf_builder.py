# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes BTF as a compiler would, for what a real kernel cannot be made to hold."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import btf_records as kinds
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.btf import Btf

MAGIC = 0xEB9F
EXCERPTS = Path(__file__).parent / "cases" / "btf"
KERNELS = ("debian-5.10", "debian-6.1", "debian-6.12")


def read_excerpt(kernel: str) -> Btf:
    """An excerpt by its file's name, such as `debian-6.1`."""
    text = (EXCERPTS / f"{kernel}.txt").read_text(encoding="ascii")
    return Btf(zlib.decompress(base64.b64decode(text)), f"the excerpt of {kernel}")


class Builder:
    """Collects records and names; a type's id is what `add` returns."""

    def __init__(self, base: Optional[Builder] = None) -> None:
        self.first: int = base.first + len(base.records) if base else 1
        self.text_start: int = base.text_start + len(base.text) if base else 0
        self.text: bytearray = bytearray() if base else bytearray(b"\0")
        self.records: list[tuple[int, ...]] = []
        self._names: dict[str, int] = {"": 0}

    def name(self, name: str) -> int:
        """Where a name is; the empty one is at 0."""
        if name not in self._names:
            self._names[name] = self.text_start + len(self.text)
            self.text += name.encode() + b"\0"
        return self._names[name]

    def add(self, kind: int, name: str, third: int, *words: int, count: int = 0, flag: bool = False) -> int:
        """A record: its size or target is the `third` of its words."""
        self.records.append((self.name(name), int(flag) << 31 | kind << 24 | count, third, *words))
        return self.first + len(self.records) - 1

    def integer(self, name: str, size: int, encoding: int = 0, bits: int = 0, offset: int = 0) -> int:
        return self.add(1, name, size, encoding << 24 | offset << 16 | (bits or 8 * size))

    def compound(
        self, kind: int, name: str, size: int, members: list[tuple[str, int, int]], bitfields: bool = False
    ) -> int:
        """A struct (4) or union (5); members are name, type and bit offset, with their bits on top for bitfields."""
        words = [word for member, type_id, offset in members for word in (self.name(member), type_id, offset)]
        return self.add(kind, name, size, *words, count=len(members), flag=bitfields)

    def function(self, name: str, returns: int, parameters: list[tuple[str, int]]) -> int:
        words = [word for parameter, type_id in parameters for word in (self.name(parameter), type_id)]
        prototype = self.add(13, "", returns, *words, count=len(parameters))
        return self.add(12, name, prototype, count=1)

    def blob(self, order: str = "<", header: int = 24, gap: int = 0, layout: bytes = b"") -> bytes:
        """The file, in a byte order, with a header of any length and bytes between the sections."""
        words = [word for record in self.records for word in record]
        types = struct.pack(f"{order}{len(words)}I", *words)
        head = struct.pack(
            f"{order}HBBIIIII", MAGIC, 1, 0, header, gap, len(types), gap + len(types) + gap, len(self.text)
        )
        if layout:
            head += struct.pack(f"{order}II", 3 * gap + len(types) + len(self.text), len(layout))
        between = b"\xa5" * gap
        return head.ljust(header, b"\0") + between + types + between + bytes(self.text) + between + layout


class Excerpt(Builder):
    """Some functions and types of a kernel, as far as it has them.

    Structs are whole with what they hold; others that they point at are declared only. The excerpts in cases/btf are
    those of Debian's cloud kernels for amd64, written by record_btf.py.
    """

    def __init__(self, btf: Btf, functions: Iterable[str], structs: Iterable[str], enums: Iterable[str] = ()) -> None:
        super().__init__()
        self._btf = btf
        self._ids = {0: 0}
        self._whole: set[int] = set()
        found = [type_id for name in structs for type_id in btf.find(f"struct {name}")]
        for type_id in found:
            self._keep_whole(type_id)
        found += [type_id for name in enums for type_id in btf.find(f"enum {name}")[:1]]
        for type_id in found:
            self._copy(type_id)
        for name in functions:
            for prototype in btf.prototypes(name):
                self._copy(prototype.type_id)

    def as_text(self) -> str:
        """The file, compressed and as lines of text."""
        return base64.encodebytes(zlib.compress(self.blob(), 9)).decode("ascii")

    def _keep_whole(self, type_id: int) -> None:
        kind = self._btf.peel(type_id)
        while kind.kind == kinds.ARRAY:
            kind = self._btf.peel(kind.target)
        if kind.is_compound and kind.type_id not in self._whole:
            self._whole.add(kind.type_id)
            for member in self._btf.members(kind.type_id):
                self._keep_whole(member.type_id)

    def _copy(self, type_id: int) -> int:
        if type_id not in self._ids:
            self._ids[type_id] = self.first + len(self.records)
            self.records.append(())
            self.records[self._ids[type_id] - self.first] = self._record(type_id)
        return self._ids[type_id]

    def _record(self, type_id: int) -> tuple[int, ...]:
        owner, at = self._btf._records.owner(type_id)
        kind = self._btf.type(type_id)
        name = self.name(kind.name)
        if kind.is_compound and type_id not in self._whole:
            return (name, int(kind.kind == kinds.UNION) << 31 | kinds.FWD << 24, 0)
        info, third = owner.words[at + 1 : at + 3]
        elements = self._btf._records.elements(type_id)
        if kind.kind == kinds.INT:
            return (name, info, third, owner.words[at + 3])
        if kind.kind == kinds.ARRAY:
            return (name, info, 0, self._copy(kind.target), self._copy(owner.words[at + 4]), kind.count)
        if kind.is_compound or kind.kind == kinds.FUNC_PROTO:
            copied = [(self.name(owner.name(first)), self._copy(second), *rest) for first, second, *rest in elements]
        else:
            copied = [(self.name(owner.name(first)), *rest) for first, *rest in elements]
        third = self._copy(third) if kind.target else third
        return (name, info, third, *(word for element in copied for word in element))
