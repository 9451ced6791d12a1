# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The header of a BTF file and the sections it points at. Private to the collection.

Format: include/uapi/linux/btf.h. All offsets count from the header's end.
"""

from __future__ import annotations

import struct
import sys
from array import array
from dataclasses import dataclass
from typing import Callable

from .errors import HostError

_MAGIC = {b"\x9f\xeb": "little", b"\xeb\x9f": "big"}
_VERSION = 1
_HEADER_BYTES = 24
_HEADER_WITH_LAYOUT_BYTES = 32  # newer kernels say how long the records of each kind are


@dataclass(frozen=True)
class Sections:
    """What a file holds."""

    big_endian: bool
    words: array[int]  # the types, in this machine's order
    text: bytes  # the names, each ended by NUL
    layout: bytes  # four bytes for each kind: bytes once, bytes for each element, flags; empty from older kernels


def read_sections(data: bytes, damaged: Callable[[str], HostError]) -> Sections:
    """The sections of a file. Raises what `damaged` makes of what is wrong."""
    order = _MAGIC.get(data[:2])
    if order is None:
        raise damaged(f"it begins with {data[:4].hex() or 'nothing'} and not with 9feb or eb9f, as BTF does")
    if len(data) < _HEADER_BYTES:
        raise damaged(f"it has {len(data)} bytes, and its header alone should have {_HEADER_BYTES}")
    sign = "<" if order == "little" else ">"
    version, _flags, length, types_at, types, text_at, text = struct.unpack_from(f"{sign}2xBBIIIII", data)
    if version != _VERSION:
        raise damaged(f"it is of version {version}, and what is known is version {_VERSION}")
    if not _HEADER_BYTES <= length <= len(data):
        raise damaged(f"its header should have {length} bytes, and it has {len(data)} altogether")
    for section, end in (("types", length + types_at + types), ("names", length + text_at + text)):
        if end > len(data):
            raise damaged(f"its {section} should end at byte {end}, and it has {len(data)} bytes")
    if types % 4:
        raise damaged(f"its types have {types} bytes, which is no number of whole words")
    view = memoryview(data)[length:]
    words = array("I")
    words.frombytes(view[types_at : types_at + types])
    if order != sys.byteorder:
        words.byteswap()
    names = bytes(view[text_at : text_at + text])
    if not names.endswith(b"\0"):
        raise damaged("the last of its names does not end")
    layout = b""
    if length >= _HEADER_WITH_LAYOUT_BYTES:
        start, size = struct.unpack_from(f"{sign}II", data, _HEADER_BYTES)
        layout = bytes(view[start : start + size])
    return Sections(order == "big", words, names, layout)
