# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the kernel's memory the maps of a round take. Private to the collection.

All of it is taken when a map is made, and given back when the trace ends.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Optional

from .bytecode import Object
from .errors import HostError
from .kernel import MapDefinition, possible_cpus

_HASHES, _PER_CPU = frozenset((1, 5, 9, 10)), frozenset((5, 6, 10))  # enum bpf_map_type
_ELEMENT, _BUCKET = 48, 16  # struct htab_elem, struct bucket: kernel/bpf/hashtab.c
_MIB = 1 << 20
_LEAST, _MOST = 64 * _MIB, 512 * _MIB


def map_bytes(definition: MapDefinition, cpus: int) -> int:
    """What a map takes, with all its entries: the kernel sets them apart at once."""
    value = _rounded(definition.value_size)
    each = 8 + value * cpus if definition.kind in _PER_CPU else value
    if definition.kind not in _HASHES:
        return each * definition.max_entries
    buckets = 1 << (definition.max_entries - 1).bit_length()
    entries = definition.max_entries + (0 if definition.kind in _PER_CPU else cpus)  # a spare one for each CPU
    return (_ELEMENT + _rounded(definition.key_size) + each) * entries + _BUCKET * buckets


def _rounded(size: int) -> int:
    return (size + 7) // 8 * 8


def default_budget() -> int:
    """A sixteenth of the host's memory, in bytes, but 64 MiB at least and 512 MiB at most."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            total = int(file.readline().split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return _LEAST
    return max(_LEAST, min(_MOST, total // 16))


class MapBudget:
    """What the maps of a round may take together."""

    def __init__(self, limit: Optional[int] = None) -> None:
        """`limit`: bytes; 0 for no limit, None for the default."""
        self._limit = default_budget() if limit is None else limit
        self._taken = 0

    def take(self, compiled: Object, shared: Container[str], sizes: Mapping[str, int]) -> None:
        """Sets apart what an object's maps will take, but the shared ones. Raises HostError where it is too much."""
        cpus = len(possible_cpus())
        needed = sum(
            map_bytes(one._replace(max_entries=sizes.get(one.name, one.max_entries)), cpus)
            for one in compiled.maps
            if one.name not in shared
        )
        if self._limit and self._taken + needed > self._limit:
            raise HostError(
                f"Its maps would take {needed / _MIB:.0f} MiB of the kernel's memory. All programs of a round may take"
                f" {self._limit / _MIB:.0f} MiB, of which {self._taken / _MIB:.0f} MiB are taken: trace it in a round"
                " with fewer programs."
            )
        self._taken += needed
