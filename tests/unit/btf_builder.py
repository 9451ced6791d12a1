# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes BTF as a compiler would, for what a real kernel cannot be made to hold."""

from __future__ import annotations

import struct
from typing import Optional

MAGIC = 0xEB9F


class Builder:
    """Collects records and names; a type's id is what `add` returns."""

    def __init__(self, base: Optional[Builder] = None) -> None:
        self.first = base.first + len(base.records) if base else 1
        self.text_start = base.text_start + len(base.text) if base else 0
        self.text = bytearray() if base else bytearray(b"\0")
        self.records: list[tuple[int, ...]] = []

    def name(self, name: str) -> int:
        """Where a name is; the empty one is at 0."""
        if not name:
            return 0
        self.text += name.encode() + b"\0"
        return self.text_start + len(self.text) - len(name.encode()) - 1

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
