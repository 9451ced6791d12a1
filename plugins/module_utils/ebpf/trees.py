# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes descend from which, followed in the kernel. Private to the collection.

A tree is the diagnosis itself, or what a request follows. Programs on fork and exit keep the map, so that a child
belongs to its parent's trees before it does anything. Each takes the kernel a twentieth of a second to detach, so only
those are attached that are needed.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from typing import Callable, Optional

from . import layout, tracefs
from .bytecode import SOURCES, Object
from .errors import HostError
from .kernel import Map
from .loader import LoadedObject
from .namespace import pid_namespace

SOURCE = "trees.c"
_FORK, _EXIT, _FREE = range(3)  # its functions
_OWN = 1  # as in bpf/trees.h, like the next
_IN_NAMESPACE = 1 << 32
_MOST_TREES = 63  # bits of a value, without that of our own
_STAT_BYTES = 4096  # more than the line of a process has
_PASSES = 20  # of looking for members: each one that finds some may have missed what they forked meanwhile


class ProcessTrees:
    """The map of who belongs to which tree, kept by programs while this object is open."""

    def __init__(self, compiled: Object) -> None:
        """Raises HostError, OSError."""
        definition = next(definition for definition in compiled.maps if definition.name == "trees")
        self.map = Map(definition)
        self.note: Optional[str] = None
        self._loaded: Optional[LoadedObject] = None
        self._formats: list[Optional[tracefs.Format]] = []
        self._attached: set[int] = set()
        self._given = 0
        try:
            self._watch(compiled)
        except BaseException:
            self.close()
            raise

    def _watch(self, compiled: Object) -> None:
        self._formats = [tracefs.read_format("sched", f"sched_process_{what}") for what in ("fork", "exit", "free")]
        child, freed = _offset(self._formats[0], "child_pid"), _offset(self._formats[2], "pid")
        if child is None or freed is None or self._formats[1] is None:
            self.note = "This kernel has no sched/sched_process_fork: new processes of the diagnosis count as others."
            return
        self._loaded = LoadedObject(compiled, {"trees": self.map}, {})
        device, inode = pid_namespace()
        plan = layout.TreesPlan(ns_device=device, ns_inode=inode, child=child, freed=freed)
        self._loaded.maps["plan"].update(struct.pack("=I", 0), bytes(plan))
        self._attach(_FORK)
        if inode:
            self._attach(_EXIT)  # enters a process by the kernel's ids, which are not known before

    def _attach(self, which: int) -> None:
        form = self._formats[which]
        if self._loaded is not None and form is not None and which not in self._attached:
            self._loaded.attach_tracepoint(form.identifier, SOURCES[SOURCE][which])
            self._attached.add(which)

    def own(self, roots: Iterable[int]) -> None:
        """Enters the pids whose descendants, and they themselves, are the diagnosis's own. Raises HostError."""
        chosen = list(roots)
        self._enter(_OWN, lambda: descendants(chosen))

    def follow(self, members: Callable[[], set[int]]) -> int:
        """A new tree, as its bit; `members`: lists the pids that belong to it now. Raises HostError, OSError."""
        if self._loaded is None or self._given >= _MOST_TREES:
            raise HostError("This kernel does not tell of new processes (sched/sched_process_fork): filter by pid.")
        # Those of the diagnosis itself are so few that the map has room for the dead as well; whoever bears the number
        # of one of them next is entered, or taken out, at its fork.
        self._attach(_FREE)
        self._given += 1
        bit = _OWN << self._given
        self._enter(bit, members)
        return bit

    def _enter(self, bit: int, members: Callable[[], set[int]]) -> None:
        """Enters members until all that there are belong: from then on the kernel keeps the tree."""
        space = _IN_NAMESPACE if pid_namespace()[1] else 0
        for _again in range(_PASSES):
            entered = [pid for pid in members() if self._add(pid, space, bit)]
            if not entered:
                return

    def _add(self, pid: int, space: int, bit: int) -> bool:
        """Whether the process was not yet of the tree; one that is gone meanwhile is not entered."""
        key = struct.pack("=Q", space | pid)
        current = self._value(key)
        if current & bit or not os.path.exists(f"/proc/{pid}"):
            return False
        self.map.update(key, struct.pack("=Q", current | bit))
        return True

    def _value(self, key: bytes) -> int:
        values = self.map.values(key)
        return int(struct.unpack("=Q", values[0])[0]) if values else 0

    def lost(self) -> int:
        """How many new processes the map had no room for."""
        if self._loaded is None:
            return 0
        return int(struct.unpack("=Q", self._loaded.maps["lost"].values(struct.pack("=I", 0))[0])[0])

    def close(self) -> None:
        """Detaches; may be called twice."""
        if self._loaded is not None:
            self._loaded.close()
            self._loaded = None
        self.map.close()


def _offset(form: Optional[tracefs.Format], name: str) -> Optional[int]:
    return next((field.offset for field in form.fields if field.name == name), None) if form else None


def descendants(roots: Iterable[int]) -> set[int]:
    """The pids of these processes and of all that now descend from them."""
    pending = list(roots)
    children = _children() if pending else {}
    found: set[int] = set()
    while pending:
        pid = pending.pop()
        if pid not in found:
            found.add(pid)
            pending += children.get(pid, [])
    return found


def _children() -> dict[int, list[int]]:
    """Parent → children, of all thread groups."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            descriptor = os.open(f"/proc/{entry}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue  # it has ended
        try:
            stat = os.read(descriptor, _STAT_BYTES)
        except OSError:
            continue
        finally:
            os.close(descriptor)
        # The name, in parentheses, may hold anything; after it come the state and the parent (man 5 proc_pid_stat).
        children.setdefault(int(stat.rpartition(b")")[2].split(None, 2)[1]), []).append(int(entry))
    return children
