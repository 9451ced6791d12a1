# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel reads of a call, and how what it read is shown. Private to the collection."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Optional, Union

from . import decode
from .shown_values import Raw, Show, Unreadable

RESULT = 6  # a start: what is returned; below it the number of an argument
AT_ENTRY, AT_RETURN = 0, 1
KERNEL_STRING, USER_STRING, KERNEL_BYTES, USER_BYTES, PATH, DENTRY = range(1, 7)
# What a result is, with the same meaning in the kernel.
NOTHING, ERRNO, ADDRESS, VALUE, TRUTH, ALLOCATION = range(6)


@dataclass(frozen=True)
class Limits:
    """How much fits a plan; bytes of a blob include the end of its string."""

    fields: int = 24
    blobs: int = 2
    steps: int = 64  # a field takes one, and one more for each pointer on the way
    key_parts: int = 8
    hops: int = 3
    blob_bytes: int = 384
    negative_offsets: bool = True  # from a member to the struct that it is in


@dataclass(frozen=True)
class FieldRead:
    """A number. `hops` are offsets: the pointer at each but the last is followed, the value is at the last.

    Without any it is the start itself, of which the lowest `size` bytes count.
    """

    start: int
    when: int
    hops: tuple[int, ...]
    size: int


@dataclass(frozen=True)
class BlobRead:
    """Bytes, a string or the names of a path; the last of `hops` leads to where they begin."""

    start: int
    when: int
    hops: tuple[int, ...]
    how: int
    length: int = 0  # of KERNEL_BYTES and USER_BYTES


@dataclass(frozen=True)
class Reading:
    """One of the things that a value is made of: the start itself, or some fields side by side, or a blob."""

    role: str
    start: Optional[int] = None
    fields: tuple[int, ...] = ()
    blob: Optional[int] = None
    behind_pointer: bool = False  # of the kernel, which may lead nowhere
    size: int = 8
    signed: bool = False
    bit_offset: int = 0
    bit_size: int = 0

    def of(self, call: Call) -> Raw:
        """The number, the bytes where it has more than eight, or None where it could not be read."""
        if self.blob is not None:
            found = call.blobs[self.blob]
            if isinstance(found, int):
                return None if self.behind_pointer else Unreadable(-found)
            return found or None
        if self.start is not None:
            return None if self.start >= len(call.starts) else self._cut(call.starts[self.start])
        words = [call.values[index] for index in self.fields]
        if len(words) == 1:
            return self._cut(words[0])
        return self._joined(words, call)

    def _joined(self, words: Sequence[Optional[int]], call: Call) -> Optional[bytes]:
        """Bytes, as they are in memory."""
        joined = b""
        for index, word in zip(self.fields, words):
            if word is None:
                return None
            size = call.sizes[index]
            joined += (word & ((1 << 8 * size) - 1)).to_bytes(size, sys.byteorder)
        return joined

    def _cut(self, value: Optional[int]) -> Optional[int]:
        if value is None:
            return None
        bits = self.bit_size or 8 * self.size
        value = value >> self.bit_offset & ((1 << bits) - 1)
        return value - (1 << bits) if self.signed and value >> (bits - 1) else value


@dataclass(frozen=True)
class Call:
    """What came back of one call."""

    starts: Sequence[Optional[int]]  # six arguments and the result; shorter where they are not known
    values: Sequence[Optional[int]]
    blobs: Sequence[Union[bytes, int]]
    sizes: Sequence[int]


@dataclass(frozen=True)
class ShownValue:
    """An entry of an event's data."""

    name: str
    show: Show
    readings: tuple[Reading, ...]

    def of(self, call: Call) -> Any:
        """What is shown, or None where there is nothing to show."""
        return self.show({reading.role: reading.of(call) for reading in self.readings})


@dataclass(frozen=True)
class Returned:
    """What a function returns; size in bytes.

    One of NOTHING, ERRNO, ADDRESS, VALUE, TRUTH, and ALLOCATION: an address, of which having none is a failure.
    """

    kind: int
    size: int = 0
    signed: bool = False
    show: Optional[Show] = field(default=None, compare=False)


@dataclass(frozen=True)
class Capture:
    """The plan for one function.

    `key` are indexes into `fields`, whose values are what the call is about; `key_blob` is the blob that names it, and
    is a part of it unless it is a path. Different keys may be shown alike: add their counts.
    """

    function: str
    arguments: tuple[str, ...]  # the shown names of those that are certain
    fields: tuple[FieldRead, ...]
    blobs: tuple[BlobRead, ...]
    key: tuple[int, ...]
    key_blob: Optional[int]
    key_name: str  # what the key is: `destination`, `path`; empty without one
    returns: Returned
    notes: tuple[str, ...]
    shown: tuple[ShownValue, ...] = field(repr=False)
    shown_keys: tuple[ShownValue, ...] = field(repr=False)

    def render(
        self,
        arguments: Sequence[int],
        values: Sequence[Optional[int]],
        blobs: Sequence[Union[bytes, int]],
        result: Optional[int] = None,
    ) -> dict[str, Any]:
        """An event's data: arguments by name, what is known of what they point at, `error` or `result`.

        `arguments`: six registers, or none where the entry was not seen; `values`: as many as `fields`, None where
        unreadable; `blobs`: as many as `blobs`, a negative errno where unreadable, `b""` where not read.
        """
        starts = [*arguments, *[None] * (RESULT - len(arguments)), result]
        call = Call(starts, values, blobs, [read.size for read in self.fields])
        data: dict[str, Any] = {}
        for shown in self.shown:
            if data.get(shown.name) is not None:
                continue
            value = shown.of(call)
            if value is not None or (shown.name in self.arguments and arguments):
                data[shown.name] = value
        if result is not None:
            data.update(self._result(result))
        return data

    def _result(self, result: int) -> dict[str, Any]:
        if self.returns.kind == NOTHING:
            return {}
        value = Reading("", start=0, size=self.returns.size, signed=self.returns.signed)._cut(result) or 0
        if self.returns.kind == TRUTH:
            return {"result": bool(value & 1)}
        if self.returns.kind == ALLOCATION and not value:
            return {"error": decode.NO_POINTER}
        if self.returns.kind in (ERRNO, ADDRESS, ALLOCATION):
            # An address is an error where it is one as a signed number.
            signed = value - 2**64 if value >= 2**63 else value
            shown = decode.result(signed, self.returns.kind != ERRNO)
            if "error" in shown:
                return shown
        if self.returns.kind in (ADDRESS, ALLOCATION):
            return {"result": hex(value) if value else None}
        return {"result": self.returns.show({"value": value}) if self.returns.show else value}

    def render_key(self, parts: Sequence[int], label: Optional[bytes] = None) -> str:
        """What a call was about, in a word; `parts` are the values of `key`, `label` is what `key_blob` gave."""
        values: list[Optional[int]] = [None] * len(self.fields)
        for index, part in zip(self.key, parts):
            values[index] = part
        blobs: list[Union[bytes, int]] = [b""] * len(self.blobs)
        if self.key_blob is not None and label:
            blobs[self.key_blob] = label
        call = Call([], values, blobs, [read.size for read in self.fields])
        for shown in self.shown_keys:
            value = shown.of(call)
            if value not in (None, ""):
                return str(value)
        return "(none)"
