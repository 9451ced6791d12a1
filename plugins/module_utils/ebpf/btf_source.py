# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions and types as the kernel's own type information tells them. Private to the collection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional, Union

from . import btf_records as kinds
from .btf import Btf, Parameter, Prototype
from .btf_records import Type
from .errors import RequestError
from .struct_path import Location, locate
from .type_source import (
    BOOL,
    COMPOUND,
    ENUM,
    INTEGER,
    OTHER,
    POINTER,
    VOID,
    Argument,
    CType,
    Signature,
)

_POINTER_DEPTH = 2  # what a pointer to a pointer to a pointer is does not matter
_KINDS = {
    kinds.VOID: VOID,
    kinds.INT: INTEGER,
    kinds.ENUM: ENUM,
    kinds.ENUM64: ENUM,
    kinds.PTR: POINTER,
    kinds.STRUCT: COMPOUND,
    kinds.UNION: COMPOUND,
    kinds.FWD: COMPOUND,
}


class BtfSource:
    """A `TypeSource` on the BTF of the running kernel, or of one of its modules on top of it."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._located: dict[tuple[str, str], Union[Location, RequestError]] = {}

    def function(self, name: str) -> Optional[Signature]:
        """A function, with the parameters in which all functions of this name agree. Raises HostError."""
        found = self._btf.prototypes(name)
        if not found:
            return None
        notes = []
        parameters = found[0].parameters
        returned = self._type(found[0].returns)
        if len({self._spelled(prototype) for prototype in found}) > 1:
            parameters = self._agreed(found)
            returned = CType(OTHER, "unknown", self._btf.pointer_bytes)
            notes.append(
                f"The kernel has {len(found)} different functions named {name}: only what they agree in is shown."
            )
        if any(prototype.variadic for prototype in found):
            notes.append(f"{name} takes any number of arguments: only those with a name are shown.")
        arguments = tuple(Argument(parameter.name, self._type(parameter.type_id)) for parameter in parameters)
        return Signature(name, arguments, returned, tuple(notes))

    def _agreed(self, found: list[Prototype]) -> tuple[Parameter, ...]:
        """The parameters before the first in which the functions differ."""
        agreed = []
        for same in zip(*(prototype.parameters for prototype in found)):
            if len({(parameter.name, self._btf.describe(parameter.type_id)) for parameter in same}) > 1:
                break
            agreed.append(same[0])
        return tuple(agreed)

    def _spelled(self, prototype: Prototype) -> str:
        return self._btf.describe(prototype.type_id)

    def locate(self, struct: str, path: str) -> Location:
        """Where a member is. Raises RequestError, HostError."""
        key = struct, path
        if key not in self._located:
            try:
                self._located[key] = locate(self._btf, f"struct {struct}", path)
            except RequestError as error:
                self._located[key] = error
        found = self._located[key]
        if isinstance(found, RequestError):
            raise found
        return found

    def enumerators(self, enum: str) -> dict[int, str]:
        """The names of an enumeration's values. Raises HostError."""
        found = self._btf.find(f"enum {enum}")
        return self._btf.enumerators(found[0]) if found else {}

    def _type(self, type_id: int, depth: int = 0) -> CType:
        kind = self._btf.peel(type_id)
        what = _KINDS.get(kind.kind, OTHER)
        if what == POINTER:
            return self._pointer(type_id, kind, depth)
        if kind.kind == kinds.INT and kind.is_bool:
            what = BOOL
        return CType(
            what,
            self._btf.describe(type_id),
            self._btf.size(type_id),
            signed=kind.signed,
            is_char=kind.is_char,
            typedefs=tuple(self._names(type_id, (kinds.TYPEDEF,))),
            tag=kind.name if what in (COMPOUND, ENUM) else "",
        )

    def _pointer(self, type_id: int, pointer: Type, depth: int) -> CType:
        pointee = None
        if depth < _POINTER_DEPTH:
            pointee = self._type(pointer.target, depth + 1)
        return CType(
            POINTER,
            self._btf.describe(type_id),
            self._btf.pointer_bytes,
            typedefs=tuple(self._names(type_id, (kinds.TYPEDEF,))),
            pointee=pointee,
            is_user="user" in self._names(pointer.target, (kinds.TYPE_TAG,)),
        )

    def _names(self, type_id: int, wanted: Iterable[int]) -> list[str]:
        """The names of the typedefs, or tags, that stand before a type; the outermost first."""
        names = []
        found = self._btf.type(type_id)
        self._btf.peel(type_id)  # raises where they go in a circle
        while found.kind in kinds.WRAPPERS:
            if found.kind in wanted:
                names.append(found.name)
            found = self._btf.type(found.target)
        return names
