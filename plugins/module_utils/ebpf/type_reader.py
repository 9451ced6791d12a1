# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an entry of what is known about a type to the reads that fetch it on this kernel. Private to the collection."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Optional

from . import shown_values
from .capture_plan import (
    DENTRY,
    KERNEL_BYTES,
    KERNEL_STRING,
    PATH,
    USER_BYTES,
    USER_STRING,
    BlobRead,
    FieldRead,
    Limits,
)
from .errors import RequestError
from .kernel_names import Names, from_data
from .kernel_types import Entry, KernelTypes, Nested, Read, Value
from .path_layout import PathLayout, path_layout
from .shown_values import Raw, Roles, Show
from .struct_path import Location
from .type_source import TypeSource

_HOW = {
    "string": KERNEL_STRING,
    "user_string": USER_STRING,
    "bytes": KERNEL_BYTES,
    "user_bytes": USER_BYTES,
    "path": PATH,
    "dentry": DENTRY,
}
_UNITS = (8, 4, 2, 1)
_MAX_NESTED = 4
_MAX_BYTES = 64  # of a value that is read as numbers


@dataclass(frozen=True)
class Place:
    """Where a value or a struct begins; without `hops` it is the start itself, of `size` bytes."""

    start: int
    when: int
    hops: tuple[int, ...] = ()
    struct: str = ""
    size: int = 8
    signed: bool = False
    if_free: bool = False

    def at(self, offsets: tuple[int, ...]) -> tuple[int, ...]:
        """The way to what is `offsets` away from here."""
        hops = self.hops or (0,)
        return (*hops[:-1], hops[-1] + offsets[0], *offsets[1:])


@dataclass(frozen=True)
class Part:
    """One role of a value: fields side by side, or a blob, or (with neither) the start itself."""

    role: str
    place: Place
    fields: tuple[FieldRead, ...] = ()
    blob: Optional[BlobRead] = None
    size: int = 8
    signed: bool = False
    bit_offset: int = 0
    bit_size: int = 0

    def read_at(self, when: int) -> Part:
        """The same, read at another time."""
        fields = tuple(replace(read, when=when) for read in self.fields)
        return replace(self, fields=fields, blob=self.blob and replace(self.blob, when=when))


@dataclass(frozen=True)
class Wanted:
    """A value with all that it takes on this kernel."""

    name: str
    show: Show
    parts: tuple[Part, ...]
    rank: int = 0  # 0 tells most
    if_free: bool = False  # not to be shown where something else has its name

    def without(self, role: str) -> Wanted:
        """The same with less to read."""
        return replace(self, parts=tuple(part for part in self.parts if part.role != role))


class Reader:
    """Finds what entries describe in the types of one kernel."""

    def __init__(self, source: TypeSource, types: KernelTypes, limits: Limits) -> None:
        self._source = source
        self._types = types
        self._limits = limits
        self._names: dict[str, Names] = {}
        self._paths: Optional[PathLayout] = None

    def values(self, entry: Entry, place: Place) -> list[Wanted]:
        """All that an entry shows of what this kernel has, in the order of the entry."""
        wanted = [self._wanted(value, at) for value, at in self._expanded(entry, place)]
        return [replace(each, rank=rank) for rank, each in enumerate(filter(None, wanted))]

    def keys(self, entry: Entry, place: Place, only: str = "") -> list[Wanted]:
        """What a call is about, by an entry; `only` names one of its values instead."""
        if only:
            known = [*self._other_keys(entry, place), *self._expanded(entry, place)]
            found = [self._wanted(value, at) for value, at in known if value.name == only]
        else:
            found = [self._wanted(value, at) for value, at in self._key_values(entry, place)]
        return [wanted for wanted in found if wanted is not None]

    def names(self, name: str) -> Names:
        """A set of names of the data, as this kernel has it."""
        if name not in self._names:
            self._names[name] = from_data(self._types.names[name], self._source)
        return self._names[name]

    def show(self, name: str) -> Show:
        """A way of showing, or names, as the data calls it."""
        return shown_values.named(name) or shown_values.of_names(self.names(name))

    def _expanded(self, entry: Entry, place: Place, depth: int = 0) -> Iterator[tuple[Value, Place]]:
        """The values of an entry, those of nested types in their stead."""
        for value in entry.values:
            if isinstance(value, Value):
                yield value, place
                continue
            inner = self._nested(value, place)
            known = self._types.type(value.type)
            if inner is not None and known is not None and depth < _MAX_NESTED:
                yield from self._expanded(known, inner, depth + 1)

    def _key_values(self, entry: Entry, place: Place, depth: int = 0) -> Iterator[tuple[Value, Place]]:
        for key in entry.key:
            if isinstance(key, str):
                yield from ((value, at) for value, at in self._expanded(entry, place) if value.name == key)
            elif isinstance(key, Value):
                yield key, place
            else:
                inner = self._nested(key, place)
                known = self._types.type(key.type)
                if inner is not None and known is not None and depth < _MAX_NESTED:
                    yield from self._key_values(known, inner, depth + 1)

    def _other_keys(self, entry: Entry, place: Place, depth: int = 0) -> Iterator[tuple[Value, Place]]:
        yield from ((value, place) for value in entry.other_keys)
        for nested in entry.values:
            if isinstance(nested, Nested) and depth < _MAX_NESTED:
                inner, known = self._nested(nested, place), self._types.type(nested.type)
                if inner is not None and known is not None:
                    yield from self._other_keys(known, inner, depth + 1)

    def _nested(self, nested: Nested, place: Place) -> Optional[Place]:
        """Where a struct inside of another, or behind it, begins; None where this kernel has none."""
        try:
            hops, _location = self._resolve(place, nested.at)
        except RequestError:
            return None
        return replace(place, hops=hops, struct=nested.type, if_free=place.if_free or nested.if_free)

    def _wanted(self, value: Value, place: Place) -> Optional[Wanted]:
        """A value with all that it takes, or None where this kernel lacks something that it cannot do without."""
        show = self.show(value.shown_as)
        if value.words:
            show = _worded(show, {role: self.names(name) for role, name in value.words})
        if value.only:
            show = _only(show, dict(value.only))
        parts = []
        for role, read in value.reads:
            try:
                parts.append(self._part(role, read, place))
            except RequestError:
                if role in show.required or role == value.reads[0][0]:
                    return None
        return Wanted(value.name, show, tuple(parts), if_free=place.if_free)

    def _part(self, role: str, read: Read, place: Place) -> Part:
        if not read.blob and read.at == ("",) and not read.bytes:
            return Part(role, place, size=place.size, signed=place.signed)
        hops, location = self._resolve(place, read.at)
        if read.minus:
            struct, _dot, member = read.minus.partition(".")
            hops = (*hops[:-1], hops[-1] - self._source.locate(struct, member).offset)
        if min(hops) < 0 and not self._limits.negative_offsets:
            raise RequestError(f"The way from {read.at[0]} to the struct that it is in goes backwards.")
        if len(hops) > self._limits.hops + 1:
            raise RequestError(f"{read.at[0]} is behind more than {self._limits.hops} pointers.")
        if read.blob:
            if read.blob in ("path", "dentry") and self._paths is None:
                self._paths = path_layout(self._source)  # raises where paths cannot be walked here
            length = min(read.length, self._limits.blob_bytes - 1)
            return Part(role, place, blob=BlobRead(place.start, place.when, hops, _HOW[read.blob], length))
        return _numbers(role, read, place, hops, location)

    def _resolve(self, place: Place, paths: tuple[str, ...]) -> tuple[tuple[int, ...], Optional[Location]]:
        """The way to the first of some paths that this kernel has. Raises RequestError for the first."""
        failed: Optional[RequestError] = None
        for path in paths:
            struct, member = place.struct, path
            if path.startswith("("):
                struct, _bracket, member = path[1:].partition(")")
            onward = member.endswith("->")
            member = member[:-2] if onward else member
            try:
                location = self._source.locate(struct, member) if member else None
            except RequestError as error:
                failed = failed or error
                continue
            hops = place.at(location.hops if location else (0,))
            return ((*hops, 0) if onward else hops), location
        raise failed or RequestError("There is nothing to read.")


def _numbers(role: str, read: Read, place: Place, hops: tuple[int, ...], location: Optional[Location]) -> Part:
    """A number, or so many side by side as a value has bytes."""
    size = read.bytes or (location.size if location else place.size)
    signed = bool(location and location.signed) and not read.bits
    bit_offset, bit_size = (location.bit_offset or 0, location.bit_size or 0) if location else (0, 0)
    if read.bits:
        wanted = (read.bits + 7) // 8
        if sys.byteorder == "big":
            hops = (*hops[:-1], hops[-1] + size - wanted)
        size, bit_size = wanted, read.bits
    if not 0 < size <= _MAX_BYTES:
        raise RequestError(f"{read.at[0]} has {size} bytes, which is no number.")
    fields, at = [], 0
    while at < size:
        unit = next(unit for unit in _UNITS if at + unit <= size)
        fields.append(FieldRead(place.start, place.when, (*hops[:-1], hops[-1] + at), unit))
        at += unit
    return Part(role, place, tuple(fields), None, size, signed, bit_offset, bit_size)


def _worded(show: Show, names: dict[str, Names]) -> Show:
    """A way of showing whose numbers are named first."""

    def worded(roles: Roles) -> object:
        changed: dict[str, Raw] = dict(roles)
        for role, known in names.items():
            number = roles.get(role)
            if isinstance(number, int):
                changed[role] = str(known.show(number))
        return show.function(changed)

    return Show(worded, tuple(names))


def _only(show: Show, meant: dict[str, tuple[int, ...]]) -> Show:
    """A way of showing that shows nothing where it would mean nothing."""

    def only(roles: Roles) -> object:
        return show.function(roles) if all(roles.get(role) in values for role, values in meant.items()) else None

    return Show(only, (*show.required, *meant))
