# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for a kernel function, from its prototype and what is known of types. Private to the collection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional

from . import shown_values
from .capture_plan import (
    ADDRESS,
    ALLOCATION,
    AT_ENTRY,
    AT_RETURN,
    DENTRY,
    ERRNO,
    NOTHING,
    RESULT,
    TRUTH,
    VALUE,
    Capture,
    Limits,
    Returned,
    ShownValue,
)
from .errors import RequestError
from .kernel_names import from_enumeration
from .kernel_types import ITSELF, Entry, KernelTypes, Value
from .plan_builder import PlanBuilder
from .shown_values import Show
from .type_reader import Part, Place, Reader, Wanted
from .type_source import BOOL, COMPOUND, ENUM, INTEGER, OTHER, POINTER, VOID, Argument, CType, Signature, TypeSource

_REGISTERS = 6
_REGISTER_BYTES = 8
_BY_VALUE_BYTES = 16  # of the largest struct that is passed in registers
_TAKEN = ("error", "result", "duration_us", "elapsed_us", "note")  # what events say by these names is something else


@dataclass(frozen=True)
class _Origin:
    """An argument, or what is returned: where it is and what is known of it."""

    name: str
    shown: str
    type: CType
    place: Place
    entry: Optional[Entry]


def plan_function(
    source: TypeSource, types: KernelTypes, function: str, with_return: bool = True, limits: Optional[Limits] = None
) -> Capture:
    """What to read of the calls of a function, and how it is shown; all of it at entry where returns are not watched.

    Raises RequestError where the source does not know the function, HostError where what it knows it from is damaged.
    """
    signature = source.function(function)
    if signature is None:
        raise RequestError(f"What is known of this kernel's types has no function {function} and so no arguments.")
    return _Planner(source, types, signature, with_return, limits or Limits()).plan()


class _Planner:
    """One function's arguments, in the order in which they are shown."""

    def __init__(
        self, source: TypeSource, types: KernelTypes, signature: Signature, with_return: bool, limits: Limits
    ) -> None:
        self._source, self._types, self._signature = source, types, signature
        self._rules = types.function(signature.name)
        self._reader = Reader(source, types, limits)
        self._room = PlanBuilder(limits)
        self._notes = list(signature.notes)
        self._arguments = [
            _origin(types, signature.name, number, *each) for number, each in enumerate(self._certain(), 1)
        ]
        self._with_return = with_return
        self._result = _result_origin(types, signature.returns) if with_return else None

    def plan(self) -> Capture:
        origins = [*self._arguments, *([self._result] if self._result else [])]
        self._take_key(origins)
        shown = self._take_values(origins)
        room = self._room
        return Capture(
            self._signature.name,
            tuple(origin.shown for origin in self._arguments),
            tuple(room.fields),
            tuple(room.blobs),
            tuple(room.key),
            room.key_blob,
            " or ".join(dict.fromkeys(key.name for key in room.keys)),
            self._returned(),
            tuple(self._notes + room.notes() + _path_notes(room)),
            tuple(shown),
            tuple(room.keys),
        )

    def _certain(self) -> list[tuple[int, Argument]]:
        """The arguments of which it is certain which register has them, or begins with them."""
        arguments, returned = self._signature.arguments, self._signature.returns
        certain: list[tuple[int, Argument]] = []
        register = 0
        if returned.kind == COMPOUND and returned.size > _BY_VALUE_BYTES:
            return self._leave_out(0, "where the result is to be written to is one more")
        for number, argument in enumerate(arguments):
            words = _words(argument.type)
            if not words:
                return certain + self._leave_out(number, "it is not certain where one of them is")
            if register + words > _REGISTERS:
                return certain + self._leave_out(number, f"only {_REGISTERS} registers have arguments")
            certain.append((register, argument))
            register += words
        return certain

    def _leave_out(self, first: int, why: str) -> list[tuple[int, Argument]]:
        left = [other.name or f"number {at}" for at, other in enumerate(self._signature.arguments[first:], first + 1)]
        if left:
            self._notes.append(f"Not shown of the arguments of {self._signature.name}, for {why}: {', '.join(left)}.")
        return []

    def _take_key(self, origins: list[_Origin]) -> None:
        """What a rule names, else the first argument that tells what a call is about."""
        named = {origin.name: origin for origin in origins}
        for rule in self._rules:
            wanted = [key.partition(".") for key in rule.key if key.partition(".")[0] in named]
            for name, _dot, value in wanted:
                self._add_key(named[name], value)
            if self._room.keys:
                return
        for origin in origins:
            if origin.entry is not None and self._add_key(origin):
                return

    def _add_key(self, origin: _Origin, value: str = "") -> bool:
        if origin.entry is None:
            if origin.type.kind not in (INTEGER, ENUM, BOOL):
                return False  # an address is different for each call, or for each thing that is not known
            show = self._default(origin.type)
            return self._room.take_key(origin.shown, Wanted(origin.shown, show, _itself(origin)))
        taken = False
        for wanted in self._reader.keys(origin.entry, origin.place, value):
            name = self._ruled_name(origin, wanted.name) or (origin.shown if wanted.name == ITSELF else wanted.name)
            taken = self._room.take_key(name, self._timed(origin, wanted)) or taken
        return taken

    def _take_values(self, origins: list[_Origin]) -> list[ShownValue]:
        """What is shown, in the order of arguments; what tells most of each is fitted in first."""
        values = {origin.name: self._values(origin) for origin in origins}
        names = self._names(origins, values)
        order = list(
            dict.fromkeys(names.get((origin.name, each.name)) for origin in origins for each in values[origin.name])
        )
        listed = [
            (wanted, origin)
            for origin in self._by_precedence(origins)
            for wanted in values[origin.name]
            if (origin.name, wanted.name) in names
        ]
        taken = []
        for wanted, origin in sorted(listed, key=lambda each: (each[0].rank, each[1] is self._result)):
            name = names[origin.name, wanted.name]
            shown_as = origin.shown if name == origin.shown else f"{wanted.name} of {origin.shown}"
            shown = self._room.take(name, shown_as, self._timed(origin, wanted))
            if shown is not None:
                taken.append((order.index(name), listed.index((wanted, origin)), shown))
        return [shown for _order, _precedence, shown in sorted(taken, key=lambda each: each[:2])]

    def _by_precedence(self, origins: list[_Origin]) -> list[_Origin]:
        """Those first whose values keep their names, and are the ones to be shown under a name that several have."""
        first = next((rule.first for rule in self._rules if rule.first), ("result",))
        return sorted(origins, key=lambda origin: origin.name not in first)

    def _values(self, origin: _Origin) -> list[Wanted]:
        """What is known of an argument, and the argument itself."""
        known = [] if origin.entry is None else self._reader.values(origin.entry, origin.place)
        if origin is self._result:
            return [wanted for wanted in known if wanted.name != ITSELF]
        instead = [wanted for wanted in known if wanted.name in (ITSELF, origin.shown)]
        others = [wanted for wanted in known if wanted not in instead]
        if any(part.fields or part.blob for wanted in instead for part in wanted.parts) or not instead:
            instead.append(Wanted(ITSELF, self._default(origin.type), _itself(origin)))
        return instead + others

    def _names(self, origins: list[_Origin], values: dict[str, list[Wanted]]) -> dict[tuple[str, str], str]:
        """Under which name each value is shown: its own, or with its argument's before it where that is taken.

        None for a value that is not to be shown then.
        """
        taken = {*_TAKEN, *(origin.shown for origin in origins)}
        names: dict[tuple[str, str], str] = {}
        for origin in self._by_precedence(origins):
            own = set()
            for wanted in values[origin.name]:
                ruled = self._ruled_name(origin, wanted.name)
                name = origin.shown if wanted.name in (ITSELF, origin.shown) else ruled or wanted.name
                if not ruled and name != origin.shown and name in taken:
                    if wanted.if_free:
                        continue
                    name = f"{origin.shown}_{name}"
                names[origin.name, wanted.name] = name
                own.add(name)
            taken |= own
        return names

    def _ruled_name(self, origin: _Origin, value: str) -> str:
        found = [rule.names[f"{origin.name}.{value}"] for rule in self._rules if f"{origin.name}.{value}" in rule.names]
        return found[0] if found else ""

    def _timed(self, origin: _Origin, wanted: Wanted) -> Wanted:
        """The same, read when the function returns where a rule says so."""
        at_return = {name for rule in self._rules for name in rule.at_return}
        if not self._with_return or not at_return & {origin.name, f"{origin.name}.{wanted.name}"}:
            return wanted
        return replace(wanted, parts=tuple(part.read_at(AT_RETURN) for part in wanted.parts))

    def _default(self, kind: CType) -> Show:
        """How a value is shown of which only its type is known."""
        if kind.kind == ENUM:
            values = self._source.enumerators(kind.tag) if kind.tag else {}
            return shown_values.of_names(from_enumeration(values))
        if kind.is_char:
            return shown_values.way("character")
        if _words(kind) == 2:
            return shown_values.way("two_words")
        names = {BOOL: "bool", POINTER: "pointer", INTEGER: "number"}
        return shown_values.way(names.get(kind.kind, "hex"))

    def _returned(self) -> Returned:
        returns = self._signature.returns
        kind = {VOID: NOTHING, BOOL: TRUTH, POINTER: ADDRESS}.get(returns.kind, VALUE)
        if returns.kind == INTEGER and (returns.size == 8 or (returns.signed and returns.size == 4)):
            kind = ERRNO
        # Some give the address of what they allocate as a number.
        if (
            kind in (ADDRESS, ERRNO)
            and returns.size == _REGISTER_BYTES
            and any(rule.none_fails for rule in self._rules)
        ):
            kind = ALLOCATION
        show = None
        if kind in (ERRNO, VALUE):
            known = self._types.argument(self._signature.name, "result", _spellings(returns))
            value = known.values[0] if known else None
            show = self._reader.show(value.shown_as) if isinstance(value, Value) else self._default(returns)
        size = 0 if kind == NOTHING else min(returns.size or _REGISTER_BYTES, _REGISTER_BYTES)
        return Returned(kind, size, returns.signed, show)


def _spellings(kind: CType) -> tuple[str, ...]:
    return (*kind.typedefs, kind.spelled)


def _words(kind: CType) -> int:
    """How many registers an argument takes; 0 for what is passed in memory, or of which that is not known.

    System V ABI of x86_64, 3.2.3, and AAPCS64, 6.8.2: a struct of at most two words is in registers, one after another.
    """
    if kind.kind in (COMPOUND, OTHER) and not kind.size:
        return 0
    if kind.size <= _REGISTER_BYTES:
        return 1
    return 2 if kind.kind == COMPOUND and kind.size <= _BY_VALUE_BYTES else 0


def _itself(origin: _Origin) -> tuple[Part, ...]:
    place = origin.place
    first = Part("value", place, size=min(place.size, _REGISTER_BYTES), signed=place.signed)
    if _words(origin.type) < 2:
        return (first,)
    rest = place.size - _REGISTER_BYTES
    return (first, Part("second", replace(place, start=place.start + 1, size=rest), size=rest))


def _origin(types: KernelTypes, function: str, number: int, register: int, argument: Argument) -> _Origin:
    """`number`: which argument it is, counted from 1."""
    name = argument.name or f"argument_{number}"
    shown = f"argument_{name}" if name in _TAKEN else name
    kind = argument.type
    entry = types.argument(function, name, _spellings(kind))
    place = Place(register, AT_ENTRY, size=kind.size or _REGISTER_BYTES, signed=kind.signed)
    if entry is None and kind.struct and not kind.is_user:
        entry = types.type(kind.struct)
        place = replace(place, hops=(0,), struct=types.struct(kind.struct))
    return _Origin(name, shown, kind, place, entry)


def _result_origin(types: KernelTypes, returns: CType) -> Optional[_Origin]:
    """What is returned, where it points at something that is known."""
    entry = types.type(returns.struct) if returns.struct else None
    if entry is None:
        return None
    return _Origin("result", "result", returns, Place(RESULT, AT_RETURN, (0,), types.struct(returns.struct)), entry)


def _path_notes(room: PlanBuilder) -> list[str]:
    if not any(blob.how == DENTRY for blob in room.blobs):
        return []
    return ["Paths of directory entries begin at the root of their file system: of its mount nothing is known there."]
