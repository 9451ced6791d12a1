# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that have names: values, flags, bits. Private to the collection.

The names are those of the kernel's own enumerations where it has them, else those that are data (`names` in
`bpf/types/kernel_types.json`).
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from .kernel import machine

if TYPE_CHECKING:
    from .type_source import TypeSource


class Names(NamedTuple):
    """The names of a number's values, and of the bits that are left."""

    values: Mapping[int, str]
    flags: tuple[tuple[int, str], ...] = ()  # the first that are there whole take their bits
    mask: int = 0  # the bits that count; 0: all
    low: int = 0  # bits that hold a value, not flags
    swapped: bool = False  # two bytes in the network's order

    def show(self, value: int) -> Union[str, int]:
        """`O_WRONLY|O_CREAT`, what has no name in hex; a value without a name as it is."""
        value = socket.ntohs(value & 0xFFFF) if self.swapped else value & (self.mask or -1)
        if value in self.values:
            return self.values[value]
        if not self.flags:
            return value
        parts = []
        if self.low and value & self.low in self.values:
            parts.append(self.values[value & self.low])
            value &= ~self.low
        for bits, name in self.flags:
            if value & bits == bits:
                parts.append(name)
                value &= ~bits
        if value:
            parts.append(hex(value))
        return "|".join(parts) or "0"


def from_enumeration(values: Mapping[int, str]) -> Names:
    """The names of an enumeration that a function takes; of single bits, it is taken for flags."""
    bits = tuple((value, name) for value, name in values.items() if value > 0 and not value & (value - 1))
    return Names(values, bits if len(bits) == len([value for value in values if value]) > 2 else ())


def from_data(data: Mapping[str, Any], source: TypeSource) -> Names:
    """The names that an entry of data describes, taken from this kernel as far as it has them. Raises HostError."""
    entry = {**data, **data.get("architectures", {}).get(machine(), {})}
    strip, lower = entry.get("strip", ""), entry.get("lower", False)

    def shown(name: str) -> str:
        name = name[len(strip) :] if strip and name.startswith(strip) else name
        return name.lower() if lower else name

    values = {int(value, 0): name for value, name in entry.get("values", {}).items()}
    flags = [(int(bits, 0), name) for bits, name in entry.get("flags", [])]
    for enum in entry.get("enum", []):
        found = source.enumerators(enum)
        if found:
            numbers = {value: shown(name) for value, name in found.items()}
            if "bits" in entry:  # the enumeration numbers the bits
                flags = [(1 << bit, name) for bit, name in numbers.items() if 0 <= bit < 64 and entry["bits"] <= bit]
            elif "flags" in entry:
                flags = [(bits, name) for bits, name in numbers.items() if bits > 0]
            else:
                values = numbers
            break
    mask, low = (int(entry.get(part, "0"), 0) for part in ("mask", "low"))
    return Names(values, tuple(flags), mask, low, entry.get("network_order", False))
