# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytecode to loaded, attached programs. Private to the collection.

Every probe gets maps of its own, but for those that it is given to share. Nothing is pinned: what is loaded lives as
long as this object, and at most as long as this process.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from typing import Callable, Optional

from . import kernel
from .bytecode import Object
from .kernel import Map

_LD_IMM64 = 0x18
_PSEUDO_MAP_FD = 1


class LoadedObject:
    """An object's maps and the programs loaded from it. Use as a context manager, or call `close`."""

    def __init__(self, compiled: Object, shared: Mapping[str, Map], sizes: Mapping[str, int]) -> None:
        """`shared`: maps by name that already exist; `sizes`: numbers of entries that are known only now."""
        self._compiled = compiled
        self._links: list[int] = []
        self._events: list[int] = []  # perf events
        self._programs: dict[str, int] = {}
        self._owned: list[Map] = []
        self.maps: dict[str, Map] = {}
        try:
            for definition in compiled.maps:
                if definition.name in shared:
                    self.maps[definition.name] = shared[definition.name]
                    continue
                entries = sizes.get(definition.name, definition.max_entries)
                self.maps[definition.name] = Map(definition._replace(max_entries=entries))
                self._owned.append(self.maps[definition.name])
        except BaseException:
            self.close()
            raise

    def load(self, function: str, kind: int, attach: tuple[int, int] = (0, 0)) -> int:
        """The program's file descriptor; `attach` as kernel.load_program takes it. Raises HostError."""
        if function not in self._programs:
            code = self._relocated(self._compiled.functions[function])
            self._programs[function] = kernel.load_program(kind, function, code, attach)
        return self._programs[function]

    def attach_raw_tracepoint(self, name: str, function: str) -> None:
        """Raises HostError where it cannot be loaded, OSError where it cannot be attached."""
        self._links.append(kernel.open_raw_tracepoint(name, self.load(function, kernel.PROG_RAW_TRACEPOINT)))

    def attach_tracepoint(self, identifier: int, function: str) -> None:
        """Raises HostError where it cannot be loaded, OSError where it cannot be attached."""
        self._events.append(kernel.open_tracepoint(identifier, self.load(function, kernel.PROG_TRACEPOINT)))

    def attach_kprobe(self, target: str, at_return: bool, function: str) -> None:
        """Raises HostError where it cannot be loaded, OSError where it cannot be attached."""
        self._events.append(kernel.open_kprobe(target, at_return, self.load(function, kernel.PROG_KPROBE)))

    def attach_tracing(self, how: int, type_id: int, function: str) -> None:
        """`how`: kernel.ATTACH_*; `type_id`: of the kernel function. Raises HostError and OSError, as the others."""
        self._links.append(kernel.open_tracing(self.load(function, kernel.PROG_TRACING, (how, type_id))))

    def missed(self, function: str = "") -> Optional[int]:
        """How often the kernel skipped a program, or any, as it was already running there; None: it cannot tell."""
        counts = [
            kernel.recursion_misses(program) for name, program in self._programs.items() if function in ("", name)
        ]
        return None if None in counts else sum(count or 0 for count in counts)

    def statistics(self) -> tuple[int, int]:
        """For how many nanoseconds the programs have run, and how often, while that was measured. Raises OSError."""
        measured = [kernel.program_statistics(program) for program in self._programs.values()]
        return sum(nanoseconds for nanoseconds, _runs in measured), sum(runs for _nanoseconds, runs in measured)

    def unload(self) -> None:
        """Detaches, and frees the programs; the maps stay. The kernel may take a tenth of a second for it."""
        while self._events:
            os.close(self._events.pop())
        while self._links:
            os.close(self._links.pop())
        while self._programs:
            os.close(self._programs.popitem()[1])

    def close(self) -> None:
        """Detaches and frees everything; may be called twice."""
        self.unload()
        for owned in self._owned:
            owned.close()

    def _relocated(self, code: bytes) -> bytes:
        result = bytearray(code)
        for start in range(0, len(code), 8):
            opcode, registers, _offset, index = struct.unpack_from("<BBhi", code, start)
            if opcode == _LD_IMM64 and registers >> 4 == _PSEUDO_MAP_FD:
                name = self._compiled.maps[index].name
                struct.pack_into("<i", result, start + 4, self.maps[name].fd)
        return bytes(result)


# Gives the maps and programs of a source, for a probe to attach, with numbers of entries that only the probe knows.
Load = Callable[[str, Mapping[str, int]], LoadedObject]
