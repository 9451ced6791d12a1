# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits what is worth reading of a call into the room that a plan has. Private to the collection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from .capture_plan import (
    DENTRY,
    PATH,
    BlobRead,
    FieldRead,
    Limits,
    Reading,
    ShownValue,
)
from .type_reader import Part, Wanted

_PATHS = (PATH, DENTRY)


class PlanBuilder:
    """Reads, each once however many values need it; what does not fit is left out and said."""

    def __init__(self, limits: Limits) -> None:
        self.fields: list[FieldRead] = []
        self.blobs: list[BlobRead] = []
        self.key: list[int] = []
        self.key_blob: Optional[int] = None
        self.keys: list[ShownValue] = []
        self._limits = limits
        self._left_out: list[str] = []

    def take_key(self, name: str, wanted: Wanted) -> bool:
        """Makes a value (a part of) the key; roles that are not required go first where there is no room."""
        while not self._fits_key(wanted):
            optional = [part.role for part in wanted.parts if part.role not in wanted.show.required and part.fields]
            if not optional:
                return False
            wanted = wanted.without(optional[-1])
        readings = []
        for part in wanted.parts:
            reading = self._reading(part, as_key=True)
            if reading.blob is not None:
                self.key_blob = reading.blob
            self.key += [index for index in reading.fields if index not in self.key]
            readings.append(reading)
        self.keys.append(ShownValue(name, wanted.show, tuple(readings)))
        return True

    def _fits_key(self, wanted: Wanted) -> bool:
        fields = {read for part in wanted.parts for read in _fields(part)}
        blobs = [part.blob for part in wanted.parts if part.blob is not None]
        held = {self.fields[index] for index in self.key}
        named = [self.blobs[self.key_blob]] if self.key_blob is not None else []
        if len({*named, *blobs}) > 1:
            return False
        # Of what is no path, the bytes are a part of the key; a path only names what numbers tell apart.
        parts = len(held | fields) + any(blob.how not in _PATHS for blob in (*named, *blobs))
        if not 0 < parts <= self._limits.key_parts:
            return False
        return self._fits(fields, blobs)

    def take(self, name: str, shown_as: str, wanted: Wanted) -> Optional[ShownValue]:
        """A value as an event shows it, or None where there is no room for it; `shown_as` is how notes call it."""
        while not self._fits(
            {read for part in wanted.parts for read in part.fields},
            [part.blob for part in wanted.parts if part.blob is not None],
        ):
            optional = [part.role for part in wanted.parts if part.role not in wanted.show.required]
            if len(wanted.parts) < 2 or not optional:
                self._left_out.append(shown_as)
                return None
            wanted = wanted.without(optional[-1])
        return ShownValue(name, wanted.show, tuple(self._reading(part) for part in wanted.parts))

    def notes(self) -> list[str]:
        """What was left out, as a sentence."""
        left = list(dict.fromkeys(self._left_out))
        return [f"More is known of this call than fits; left out: {', '.join(left)}."] if left else []

    def _fits(self, fields: Iterable[FieldRead], blobs: Iterable[BlobRead]) -> bool:
        all_fields, all_blobs = {*self.fields, *fields}, {*self.blobs, *blobs}
        ways = [*(field.hops for field in all_fields), *(blob.hops for blob in all_blobs)]
        return (
            len(all_fields) <= self._limits.fields
            and len(all_blobs) <= self._limits.blobs
            and sum(max(1, len(way)) for way in ways) <= self._limits.steps
        )

    def _reading(self, part: Part, as_key: bool = False) -> Reading:
        """How a part comes back; its reads are added where they are not there yet."""
        fields = _fields(part) if as_key else part.fields
        return Reading(
            part.role,
            start=part.place.start if not fields and part.blob is None else None,
            fields=tuple(_index(self.fields, read) for read in fields),
            blob=None if part.blob is None else _index(self.blobs, part.blob),
            behind_pointer=part.blob is not None and len(part.blob.hops) > 1,
            size=part.size,
            signed=part.signed,
            bit_offset=part.bit_offset,
            bit_size=part.bit_size,
        )


def _fields(part: Part) -> tuple[FieldRead, ...]:
    """The reads of a part where it is to be a key: the start itself is read as well."""
    if part.fields or part.blob is not None:
        return part.fields
    return (FieldRead(part.place.start, part.place.when, (), part.size),)


def _index(reads: list, read: object) -> int:  # type: ignore[type-arg]
    if read not in reads:
        reads.append(read)
    return reads.index(read)
