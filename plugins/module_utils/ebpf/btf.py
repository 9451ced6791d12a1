# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's own account of its functions and types (BTF). Private to the collection.

`/sys/kernel/btf/vmlinux` is whole in itself; the file of a module beside it continues that one, its base. Types go by
their ids, which are the kernel's: 0 is void, and a module's functions and types have ids above its base's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from . import btf_describe
from . import btf_records as kinds
from .btf_records import Records, Type
from .errors import HostError

VMLINUX = Path("/sys/kernel/btf/vmlinux")
_KEYWORDS = {"struct": (kinds.STRUCT,), "union": (kinds.UNION,), "enum": (kinds.ENUM, kinds.ENUM64)}
_NAMED = (kinds.STRUCT, kinds.UNION, kinds.TYPEDEF, kinds.ENUM, kinds.ENUM64, kinds.INT, kinds.FLOAT)
_LONG = ("long unsigned int", "unsigned long", "long int", "long")  # as compilers spell it
_USUAL_POINTER_BYTES = 8


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function; its name is empty where the kernel keeps none."""

    name: str
    type_id: int


@dataclass(frozen=True)
class Prototype:
    """A function of the kernel: its parameters in order and what it returns (0 is void)."""

    name: str
    type_id: int
    parameters: tuple[Parameter, ...]
    returns: int
    variadic: bool
    ambiguous: bool  # the kernel has functions of this name with other parameters as well


@dataclass(frozen=True)
class Member:
    """A member of a struct or union, as counted from its beginning; `bit_size` is 0 where it is no bitfield."""

    name: str  # empty for an anonymous struct or union
    type_id: int
    bit_offset: int
    bit_size: int


class Btf:
    """Functions and types of the running kernel, or of one of its modules on top of it."""

    def __init__(self, data: bytes, origin: str, base: Optional[Btf] = None) -> None:
        """`origin` is how errors call the data. Raises HostError where it is damaged."""
        self._base = base
        self._records: Records = Records(data, origin, base._records if base is not None else None)
        self._pointer_bytes = 0

    @classmethod
    def load(cls, path: Union[str, Path] = VMLINUX, base: Optional[Btf] = None) -> Btf:
        """Reads a file of type information; a module's needs the kernel's as its base. Raises HostError."""
        try:
            data = Path(path).read_bytes()
        except FileNotFoundError as error:
            raise HostError(_absent(Path(path))) from error
        except (OSError, ValueError) as error:  # ValueError: no file name
            reason = error.strerror if isinstance(error, OSError) else error
            raise HostError(f"Could not read the type information in {path}: {reason}.") from error
        return cls(data, str(path), base)

    def functions(self) -> list[str]:
        """The names of the functions of this file itself, in its order; not those of its base."""
        return [self._records.name(offset) for offset in self._records.named(kinds.FUNC)[1]]

    def function(self, name: str) -> Optional[Prototype]:
        """A function of this file itself, or None; of several, the first. Raises HostError."""
        found = self.prototypes(name)
        return found[0] if found else None

    def prototypes(self, name: str) -> list[Prototype]:
        """The functions of a name in this file itself, as far as their prototypes differ. Raises HostError."""
        found = {function.target: function for function in map(self.type, self._records.find((kinds.FUNC,), name))}
        return [self._prototype(function, len(found) > 1) for function in found.values()]

    def _prototype(self, function: Type, ambiguous: bool) -> Prototype:
        prototype = self.type(function.target)
        if prototype.kind != kinds.FUNC_PROTO:
            raise self._records.damaged(
                f"the function {function.name} has type {function.target} as its prototype, which is none"
            )
        words = self._records.elements(prototype.type_id)
        variadic = bool(words) and words[-1] == (0, 0)
        return Prototype(
            function.name,
            function.type_id,
            tuple(Parameter(self._records.name(at), type_id) for at, type_id in (words[:-1] if variadic else words)),
            prototype.target,
            variadic,
            ambiguous,
        )

    def find(self, name: str) -> list[int]:
        """The types of a C name (`struct sock`, `enum pid_type`; `sock` or `u32` for any kind), the base's last."""
        keyword, _space, rest = name.partition(" ")
        wanted, plain = (_KEYWORDS[keyword], rest) if keyword in _KEYWORDS else (_NAMED, name)
        found = self._records.find(wanted, plain)
        return found + (self._base.find(name) if self._base is not None else [])

    def type(self, type_id: int) -> Type:
        """A type as it is recorded, with its names and qualifiers yet to be peeled. Raises HostError."""
        return self._records.decode(type_id)

    def peel(self, type_id: int) -> Type:
        """The type behind typedefs, const, volatile, restrict and tags. Raises HostError."""
        found = self.type(type_id)
        for _depth in range(btf_describe.MAX_DEPTH):
            if found.kind not in kinds.WRAPPERS:
                return found
            found = self.type(found.target)
        raise self._records.damaged(f"type {type_id} is made of itself")

    def pointee(self, type_id: int) -> Optional[Type]:
        """What a pointer points at, peeled and with its members where any file has them; None for no pointer."""
        pointer = self.peel(type_id)
        return self.complete(self.peel(pointer.target)) if pointer.kind == kinds.PTR else None

    def complete(self, declared: Type) -> Type:
        """The struct or union of which only the name was declared, where this kernel has it; else what was given."""
        if declared.kind != kinds.FWD:
            return declared
        found = self.find(f"{'union' if declared.flag else 'struct'} {declared.name}")
        return self.type(found[0]) if found else declared

    def size(self, type_id: int) -> int:
        """Bytes of a type; 0 for void, functions and what is only declared. Raises HostError."""
        elements = 1
        at = type_id
        for _depth in range(btf_describe.MAX_DEPTH):
            found = self.peel(at)
            if found.kind != kinds.ARRAY:
                return elements * (self.pointer_bytes if found.kind == kinds.PTR else found.size)
            elements *= found.count
            at = found.target
        raise self._records.damaged(f"type {type_id} is made of itself")

    @property
    def big_endian(self) -> bool:
        """The kernel's numbers begin with their highest byte."""
        return self._records.big_endian

    @property
    def pointer_bytes(self) -> int:
        """Bytes of a pointer: on Linux those of a long."""
        if self._base is not None:
            return self._base.pointer_bytes
        if not self._pointer_bytes:
            longs = (type_id for name in _LONG for type_id in self._records.find((kinds.INT,), name))
            sizes = [self.type(type_id).size for type_id in longs]
            self._pointer_bytes = sizes[0] if sizes and sizes[0] in (4, 8) else _USUAL_POINTER_BYTES
        return self._pointer_bytes

    def members(self, type_id: int) -> list[Member]:
        """The members of a struct or union (peeled), in order; none of anything else. Raises HostError."""
        compound = self.peel(type_id)
        if not compound.is_compound:
            return []
        return [self._member(compound, *words) for words in self._records.elements(compound.type_id)]

    def _member(self, compound: Type, name: int, type_id: int, position: int) -> Member:
        bits, offset = (position >> 24, position & 0xFFFFFF) if compound.flag else (0, position)
        if not bits and not compound.flag:
            integer = self.peel(type_id)  # old compilers note the bits of a bitfield in a type of its own
            if integer.kind == kinds.INT and integer.bits != 8 * integer.size:
                bits, offset = integer.bits, offset + integer.bit_offset
        return Member(self._records.name(name), type_id, offset, bits)

    def enumerators(self, type_id: int) -> dict[int, str]:
        """The names of an enumeration's values (peeled); the first where several share one; else empty."""
        enum = self.peel(type_id)
        names: dict[int, str] = {}
        if enum.is_enum:
            bits = 8 * min(enum.size, 8)
            for name, low, *high in self._records.elements(enum.type_id):
                words = 64 if high else 32
                value = low | (high[0] << 32 if high else 0)
                if enum.signed and value >> (words - 1):
                    value -= 1 << words
                elif not enum.signed:
                    value &= (1 << bits) - 1
                names.setdefault(value, self._records.name(name))
        return names

    def describe(self, type_id: int) -> str:
        """A type as C spells it, such as `struct sock *` or `const char *`. Raises HostError."""
        return btf_describe.describe(self._records, type_id)


def _absent(path: Path) -> str:
    if path.name == VMLINUX.name or not VMLINUX.exists():
        return (
            f"This kernel has no type information at {path}: it was built without CONFIG_DEBUG_INFO_BTF. Tracepoints"
            " work without it."
        )
    return (
        f"There is no type information at {path}: the module {path.name} is not loaded, is built into the kernel, or"
        " was built without it."
    )
