# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about kernel types: the data of `bpf/types/kernel_types.json`, read. Private to the collection.

Its `about` describes the format. Nothing here knows a kernel: an entry names members, a `TypeSource` finds them.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, Union

ITSELF = "="  # the name of a value that takes the argument's own name


@dataclass(frozen=True)
class Read:
    """Where a part of a value is: the first of the paths that a kernel has."""

    at: tuple[str, ...]
    bytes: int = 0  # 0: those of the member
    bits: int = 0  # only the lowest so many count
    blob: str = ""  # string, user_string, bytes, user_bytes, path, dentry; empty: a number
    length: int = 0  # of bytes and user_bytes
    minus: str = ""  # `struct.member`: what was found is this member of the struct that is meant


@dataclass(frozen=True)
class Value:
    """Something to show, and the parts that it is made of."""

    name: str
    shown_as: str  # a way of showing, or names
    reads: tuple[tuple[str, Read], ...]  # by role
    words: tuple[tuple[str, str], ...] = ()  # roles that are shown by names first
    only: tuple[tuple[str, tuple[int, ...]], ...] = ()  # roles, and for which of their values this means anything


@dataclass(frozen=True)
class Nested:
    """All that is shown of another type, which is a member or pointed at by one."""

    type: str
    at: tuple[str, ...]
    if_free: bool = False  # shown only under names that nothing else has


@dataclass(frozen=True)
class Entry:
    """A type, or an argument that is known by its name."""

    values: tuple[Union[Value, Nested], ...]
    key: tuple[Union[Value, Nested, str], ...] = ()  # what tells most; a string is the name of a value
    other_keys: tuple[Value, ...] = ()  # what functions may name instead


@dataclass(frozen=True)
class FunctionRule:
    """What is special about some functions. Arguments go by name, `result` is what they return."""

    match: tuple[str, ...]
    key: tuple[str, ...] = ()  # `argument` or `argument.value`
    at_return: tuple[str, ...] = ()  # `argument` or `argument.value`: read when the function returns
    names: Mapping[str, str] = field(default_factory=dict)  # `argument.value` → shown name
    first: tuple[str, ...] = ()  # whose values are shown under their own names where two have the same
    none_fails: bool = False  # that they return no pointer is a failure, and not an answer


@dataclass(frozen=True)
class _ArgumentRule:
    types: tuple[str, ...]
    names: tuple[str, ...]
    functions: tuple[str, ...]
    entry: Entry


class KernelTypes:
    """The data, looked up by struct, argument and function."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        """`data` is the file's content, of which a test checks the form."""
        self.names: Mapping[str, Mapping[str, Any]] = data["names"]
        self._types = {name: _entry(entry) for name, entry in data["types"].items()}
        self._aliases: Mapping[str, str] = data["aliases"]
        self._arguments = [_argument_rule(rule) for rule in data["arguments"]]
        self._functions = [_function_rule(rule) for rule in data["functions"]]

    def type(self, struct: str) -> Optional[Entry]:
        """What is known of a struct."""
        return self._types.get(self._aliases.get(struct, struct))

    def struct(self, struct: str) -> str:
        """The name under which a struct is known."""
        return self._aliases.get(struct, struct)

    def argument(self, function: str, name: str, spellings: tuple[str, ...]) -> Optional[Entry]:
        """What is known of an argument by its name, the spellings of its type, and its function."""
        for rule in self._arguments:
            if (
                (not rule.types or any(spelling in rule.types for spelling in spellings))
                and (not rule.names or name in rule.names)
                and (not rule.functions or _matches(function, rule.functions))
            ):
                return rule.entry
        return None

    def function(self, name: str) -> list[FunctionRule]:
        """What is special about a function; what comes first counts."""
        return [rule for rule in self._functions if _matches(name, rule.match)]


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _strings(data: Any) -> tuple[str, ...]:
    return (data,) if isinstance(data, str) else tuple(data or ())


def _entry(data: Mapping[str, Any]) -> Entry:
    if "as" in data:  # the short form of a single value
        return Entry((_value({"name": ITSELF, **data}),), (ITSELF,) if data.get("key") else ())
    values = tuple(_part(value) for value in data["values"])
    keys = data.get("key", [])
    keys = keys if isinstance(keys, list) else [keys]
    key = tuple(key if isinstance(key, str) else _part({"name": "key", **key}) for key in keys)
    return Entry(values, key, tuple(_value(other) for other in data.get("other_keys", [])))


def _part(data: Mapping[str, Any]) -> Union[Value, Nested]:
    if "type" in data:
        return Nested(data["type"], _strings(data["at"]), data.get("if_free", False))
    return _value(data)


def _value(data: Mapping[str, Any]) -> Value:
    reads = data.get("read", "")
    if not isinstance(reads, Mapping) or "at" in reads:
        reads = {"value": reads}
    words = tuple(data.get("words", {}).items())
    only = tuple((role, tuple(values)) for role, values in data.get("only", {}).items())
    return Value(data["name"], data["as"], tuple((role, _read(read)) for role, read in reads.items()), words, only)


def _read(data: Any) -> Read:
    if not isinstance(data, Mapping):
        return Read(_strings(data))
    return Read(
        _strings(data["at"]),
        data.get("bytes", 0),
        data.get("bits", 0),
        data.get("blob", ""),
        data.get("length", 0),
        data.get("minus", ""),
    )


def _argument_rule(data: Mapping[str, Any]) -> _ArgumentRule:
    types, names, functions = (_strings(data.get(part)) for part in ("types", "names", "functions"))
    return _ArgumentRule(types, names, functions, _entry(data))


def _function_rule(data: Mapping[str, Any]) -> FunctionRule:
    key, at_return, first = (_strings(data.get(part)) for part in ("key", "at_return", "first"))
    fails = data.get("none_fails", False)
    return FunctionRule(_strings(data["match"]), key, at_return, data.get("names", {}), first, fails)
