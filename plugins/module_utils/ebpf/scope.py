# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes a request is about, where that is more than a comparison of numbers. Private to the collection.

A process with its children is a tree that the kernel follows. A cgroup of the second version is compared in the
kernel. The first version's cgroups are unknown to eBPF programs: the processes that are in one when the trace begins
are followed as a tree.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from . import layout
from .errors import HostError
from .kernel import Map
from .request import Filters
from .trees import ProcessTrees, descendants

if TYPE_CHECKING:
    from .cgroups import Cgroup


class Scope(NamedTuple):
    """What the filters of one request mean on this host now. `roots`: pids whose children are meant too."""

    roots: tuple[int, ...]
    cgroups: tuple[Cgroup, ...]

    def enter(self, head: layout.PlanHead, trees: ProcessTrees) -> None:
        """Begins to follow what is to be followed and says so in the plan. Raises HostError."""
        if self.roots:
            head.trees |= trees.follow(lambda: descendants(self.roots))
        for cgroup in self.cgroups:
            if cgroup.version == 1:
                head.trees |= trees.follow(cgroup.processes)
        head.cgroups = len(self._compared())

    def write(self, maps: Mapping[str, Map]) -> None:
        """Puts the cgroups to compare into the map `cgroups`. Raises HostError."""
        for index, cgroup in enumerate(self._compared()):
            try:
                folder = os.open(cgroup.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError as error:
                raise HostError(f"The cgroup {cgroup.name} could not be opened: {error.strerror}.") from error
            try:
                maps["cgroups"].update(struct.pack("=I", index), struct.pack("=I", folder))
            finally:
                os.close(folder)

    def _compared(self) -> list[Cgroup]:
        return [cgroup for cgroup in self.cgroups if cgroup.version == 2]

    def notes(self, lost: int) -> list[str]:
        """What a reader of the result should know. `lost`: new processes that could not be followed."""
        notes = [f"Only processes of the cgroup {cgroup.name} are counted." for cgroup in self._compared()]
        notes += [
            f"Only processes of the cgroup {cgroup.name} are counted: those that were in it when the trace began, and"
            " those that they started. It is a cgroup of version 1, of which eBPF programs know nothing."
            for cgroup in self.cgroups
            if cgroup.version == 1
        ]
        if lost and (self.roots or len(self._compared()) < len(self.cgroups)):
            notes.append(f"{lost} processes that were started could not be followed: the count may be too low.")
        return notes


def find_scope(filters: Filters) -> Scope:
    """Looks up what the filters name. Raises RequestError where it is not there."""
    roots = (filters.pid,) if filters.pid is not None and filters.children else ()
    found: list[Cgroup] = []
    if filters.cgroup is not None or filters.unit is not None or filters.container is not None:
        from .cgroups import Cgroups  # of which a request without such a filter needs nothing

        cgroups = Cgroups()
        if filters.cgroup is not None:
            by_id = isinstance(filters.cgroup, int)
            found.append(cgroups.by_id(int(filters.cgroup)) if by_id else cgroups.by_path(str(filters.cgroup)))
        if filters.unit is not None:
            found.append(cgroups.of_unit(filters.unit))
        if filters.container is not None:
            found.append(cgroups.of_container(filters.container))
    return Scope(roots, tuple(found))
