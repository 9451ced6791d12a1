# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread groups that belong to the diagnosis itself. Private to the collection.

What the diagnosis causes (its own Python, the commands that it runs, the connection that carries it) is no symptom:
programs count it apart. A program on fork and exit keeps the set, so that a child is a member before it does anything.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from . import layout, tracefs
from .compiler import Object
from .kernel import Map, MapDefinition
from .loader import LoadedObject
from .namespace import pid_namespace

_MEMBER = b"\1"
_IN_NAMESPACE = 1 << 32  # as in bpf/own.h
_ANCESTORS = 64  # more than any chain of processes that is not a loop of our own making


def _status(pid: int) -> dict[str, str]:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def connection_root(pid: Optional[int] = None) -> int:
    """The oldest ancestor that exists only for this diagnosis; `pid` itself where there is none.

    That is the run of ansible that works on its own machine, or the sshd of the one connection over which ansible
    works here: never the sshd that listens, a login shell or anything above it.
    """
    start = pid if pid is not None else os.getpid()
    chain = [start]
    while len(chain) < _ANCESTORS:
        parent = int(_status(chain[-1]).get("PPid", "0"))
        if parent <= 1:
            break
        chain.append(parent)
    for index, ancestor in enumerate(chain):
        name = _status(ancestor).get("Name", "").strip()
        if name.startswith("sshd"):
            return _top_of_connection(chain[index:])
        if _is_ansible_run(ancestor):
            return _top_of_run(chain[index:])
    return start


def _top_of_connection(chain: list[int]) -> int:
    """The last sshd of the chain that is not the one that listens (that one has children of other connections)."""
    top = chain[0]
    for ancestor in chain[1:]:
        parent = _status(ancestor)
        listens = "[listener]" in _command_line(ancestor) or int(parent.get("PPid", "0")) <= 1
        if not parent.get("Name", "").startswith("sshd") or listens:
            break
        top = ancestor
    return top


def _is_ansible_run(pid: int) -> bool:
    names = [os.path.basename(word) for word in _command_line(pid).split()[:3]]  # python, perhaps an option, the script
    return any(name in ("ansible", "ansible-playbook", "ansible-runner", "ansible-pull") for name in names)


def _top_of_run(chain: list[int]) -> int:
    top = chain[0]
    for ancestor in chain[1:]:
        if not _is_ansible_run(ancestor):
            break
        top = ancestor
    return top


def _children() -> dict[int, list[int]]:
    """Parent → children, of all thread groups."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            parent = int(_status(int(entry)).get("PPid", "0"))
            children.setdefault(parent, []).append(int(entry))
    return children


class OwnTree:
    """The map of our own thread groups, kept by programs while this object is open."""

    def __init__(self, compiled: Object, definition: MapDefinition, roots: Iterable[int]) -> None:
        """`roots`: pids whose descendants, and they themselves, are the diagnosis's own."""
        self.map = Map(definition)
        self._loaded: Optional[LoadedObject] = None
        self.note: Optional[str] = None
        try:
            self._follow(compiled)
            self._enter(list(roots))
        except BaseException:
            self.close()
            raise

    def _follow(self, compiled: Object) -> None:
        fork = tracefs.read_format("sched", "sched_process_fork")
        ended = tracefs.read_format("sched", "sched_process_exit")
        child = next((field.offset for field in fork.fields if field.name == "child_pid"), None) if fork else None
        if fork is None or ended is None or child is None:
            self.note = "This kernel has no sched/sched_process_fork: new processes of the diagnosis count as others."
            return
        self._loaded = LoadedObject(compiled, {"own": self.map}, {})
        device, inode = pid_namespace()
        plan = layout.OwnPlan(ns_device=device, ns_inode=inode, child=child)
        self._loaded.maps["plan"].update(struct.pack("=I", 0), bytes(plan))
        self._loaded.attach_tracepoint(fork.identifier, "on_fork")
        self._loaded.attach_tracepoint(ended.identifier, "on_exit")

    def _enter(self, roots: list[int]) -> None:
        """Enters the roots and their descendants; twice, for one may have forked while the first pass looked."""
        space = _IN_NAMESPACE if pid_namespace()[1] else 0
        for _again in range(2):
            children = _children()
            pending = list(roots)
            while pending:
                pid = pending.pop()
                self.map.update(struct.pack("=Q", space | pid), _MEMBER)
                pending += children.get(pid, [])

    def close(self) -> None:
        """Detaches; may be called twice."""
        if self._loaded is not None:
            self._loaded.close()
            self._loaded = None
        self.map.close()
