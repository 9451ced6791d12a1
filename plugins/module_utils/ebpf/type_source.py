# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan for a kernel function needs to know of its kernel, whoever knows it. Private to the collection.

The kernel's own type information answers these questions (`btf_source`), and so do its headers where it has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Protocol

from .struct_path import Location

VOID, INTEGER, BOOL, ENUM, POINTER, COMPOUND, OTHER = "void", "integer", "bool", "enum", "pointer", "compound", "other"


@dataclass(frozen=True)
class CType:
    """A type as far as it matters for reading and showing a value of it; sizes in bytes."""

    kind: str  # one of the words above; what is no number or address is COMPOUND or OTHER
    spelled: str  # as in C: `struct sock *`
    size: int
    signed: bool = False
    is_char: bool = False
    typedefs: tuple[str, ...] = ()  # the names it goes by, outermost first
    tag: str = ""  # of a struct, a union or an enumeration
    pointee: Optional[CType] = None
    is_user: bool = False  # a pointer into the caller's memory, where the kernel says so

    @property
    def struct(self) -> str:
        """What a pointer points at, where that is a struct: its name, or that of its typedef."""
        if self.pointee is None or self.pointee.kind != COMPOUND:
            return ""
        return self.pointee.tag or next(iter(self.pointee.typedefs), "")


@dataclass(frozen=True)
class Argument:
    """A parameter of a function; without a name where the kernel keeps none."""

    name: str
    type: CType


@dataclass(frozen=True)
class Signature:
    """A function: the parameters that are certain, in order, and what it returns."""

    name: str
    arguments: tuple[Argument, ...]
    returns: CType
    notes: tuple[str, ...] = ()  # why there may be more parameters than these


class TypeSource(Protocol):
    """Whoever knows the functions and types of a kernel."""

    def function(self, name: str) -> Optional[Signature]:
        """A function, or None where it is not known. Raises EbpfError."""

    def locate(self, struct: str, path: str) -> Location:
        """Where a member is, as `struct_path.locate` has it. Raises RequestError where there is none."""

    def enumerators(self, enum: str) -> dict[int, str]:
        """The names of an enumeration's values; none where it is not known."""
