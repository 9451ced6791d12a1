# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups: by path, by id, of a systemd unit, of a container. Private to the collection.

All of it is read from the mounted cgroup trees. Neither systemd nor a container engine is asked, so this works where
they do not answer, and names that only they know are not understood.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from .errors import RequestError

_UNIT_TYPES = (".service", ".slice", ".scope", ".socket", ".mount", ".swap")
# Names as the engines give them: the id alone (cgroupfs driver), or in a scope: docker-, libpod-, cri-containerd-,
# crio-, nerdctl-… and `pod.slice:cri-containerd:`.
_CONTAINER = re.compile(r"(?:^|[-:_])([0-9a-f]{32,64})(?:\.scope)?$")
_NOT_THE_CONTAINER = "-conmon-"  # the scope of the process that watches over it
_LISTED = 5
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Hierarchy:
    """A mounted tree of cgroups. `version`: 1 or 2; `rank`: the order in which trees are looked at."""

    path: Path
    version: int
    rank: int


@dataclass(frozen=True)
class Cgroup:
    """A cgroup: its folder, and its name below the mount."""

    path: Path
    name: str
    version: int

    def processes(self) -> set[int]:
        """The pids that are in it or below it now."""
        found: set[int] = set()
        for folder in [self.path, *_below(self.path)]:
            try:
                listed = (folder / "cgroup.procs").read_text(encoding="ascii").split()
            except OSError:
                continue  # it is gone, or it is of threads and lists no processes
            found.update(int(pid) for pid in listed)
        return found - {0}  # 0: in another PID namespace


class Cgroups:
    """The cgroup trees of this host, the second version's first."""

    def __init__(self, mounts: str = "/proc/self/mountinfo") -> None:
        """`mounts`: where the mounts are listed, as in proc_pid_mountinfo(5)."""
        try:
            lines = Path(mounts).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        except OSError:
            lines = []
        self.hierarchies = sorted(filter(None, map(_hierarchy, lines)), key=lambda one: (one.rank, str(one.path)))

    def by_path(self, text: str) -> Cgroup:
        """The cgroup of a path, below a mount or whole. Raises RequestError."""
        parts = [part for part in text.split("/") if part not in ("", ".")]
        if ".." in parts or "\0" in text:
            raise RequestError(f"A cgroup's path has no '..' in it, unlike {text!r:.80}.")
        for hierarchy in self._mounted():
            below = Path(*parts)
            whole = Path("/", below)
            if whole == hierarchy.path or hierarchy.path in whole.parents:
                below = whole.relative_to(hierarchy.path)
            if os.path.exists(hierarchy.path / below / "cgroup.procs"):  # False also for what is no path at all
                return _cgroup(hierarchy, hierarchy.path / below)
        names = {_cgroup(hierarchy, path).name for hierarchy, path in self._all()}
        close = difflib.get_close_matches("/" + "/".join(parts), names, n=_LISTED)
        raise RequestError(f"This host has no cgroup {text!r:.200} now.{_closest(close)}")

    def by_id(self, number: int) -> Cgroup:
        """The cgroup with the id that the kernel tells of it (the inode of its folder). Raises RequestError."""
        for hierarchy in self._mounted():
            if hierarchy.version != 2:
                continue  # ids of the first version's trees are not distinct
            for path in [hierarchy.path, *_below(hierarchy.path)]:
                try:
                    if path.stat().st_ino == number:
                        return _cgroup(hierarchy, path)
                except OSError:
                    continue
        raise RequestError(f"This host has no cgroup (of version 2) with the id {number} now; give its path instead.")

    def of_unit(self, unit: str) -> Cgroup:
        """The cgroup of a systemd unit that runs; that of the system's before those of users. Raises RequestError."""
        name = unit if unit.endswith(_UNIT_TYPES) else f"{unit}.service"
        for matches in self._by_hierarchy(lambda path: path.name == name):
            of_system = [cgroup for cgroup in matches if "user.slice" not in Path(cgroup.name).parts[:-1]]
            return _only(of_system or matches, f"the unit {name}")
        units = {path.name for _of, path in self._all() if path.name.endswith(_UNIT_TYPES)}
        close = difflib.get_close_matches(name, units, n=_LISTED)
        raise RequestError(
            f"No process of the unit {name} runs here now: it has no cgroup.{_closest(close)} systemctl status {name}"
            " tells whether there is such a unit."
        )

    def of_container(self, prefix: str) -> Cgroup:
        """The cgroup of a container by its id, or by the beginning of it in hex digits. Raises RequestError."""
        for matches in self._by_hierarchy(lambda path: container_id(path.name).startswith(prefix)):
            ids = {container_id(cgroup.path.name) for cgroup in matches}
            if len(ids) > 1:
                raise RequestError(
                    f"The ids of {len(ids)} containers begin with {prefix}: {_some(ids)}. Give all of it."
                )
            return min(matches, key=lambda cgroup: (len(cgroup.path.parts), cgroup.name))
        running = {container_id(path.name)[:12] for _of, path in self._all()} - {""}
        others = (
            f"Those that run now: {_some(running)}." if running else "No container runs here, as far as can be seen."
        )
        raise RequestError(f"No container with the id {prefix} runs on this host now. {others}")

    def _mounted(self) -> list[Hierarchy]:
        if not self.hierarchies:
            raise RequestError("No cgroups are mounted on this host (/sys/fs/cgroup), so none can be filtered by.")
        return self.hierarchies

    def _all(self) -> Iterator[tuple[Hierarchy, Path]]:
        for hierarchy in self._mounted():
            for path in _below(hierarchy.path):
                yield hierarchy, path

    def _by_hierarchy(self, wanted: Callable[[Path], bool]) -> Iterator[list[Cgroup]]:
        """What matches, from each tree that has a match."""
        for hierarchy in self._mounted():
            matches = [_cgroup(hierarchy, path) for path in _below(hierarchy.path) if wanted(path)]
            if matches:
                yield matches


def container_id(name: str) -> str:
    """The id of the container whose cgroup's folder has that name, "" where it is no container's."""
    found = _CONTAINER.search(name) if _NOT_THE_CONTAINER not in name else None
    return found.group(1) if found else ""


def _hierarchy(line: str) -> Optional[Hierarchy]:
    fields, _dash, rest = line.partition(" - ")
    words = rest.split(" ")  # the type of the file system, its device, its options
    kind = words[0]
    if kind not in ("cgroup", "cgroup2") or len(fields.split(" ")) < 5:
        return None
    path = Path(_OCTAL.sub(lambda match: chr(int(match.group(1), 8)), fields.split(" ")[4]))
    if kind == "cgroup2":
        return Hierarchy(path, 2, 0)
    named = words[2].split(",") if len(words) > 2 else []
    return Hierarchy(path, 1, 1 if "name=systemd" in named else 2 if "pids" in named or "memory" in named else 3)


def _cgroup(hierarchy: Hierarchy, path: Path) -> Cgroup:
    return Cgroup(path, "/" + "/".join(path.relative_to(hierarchy.path).parts), hierarchy.version)


def _below(folder: Path) -> Iterator[Path]:
    """All folders below one; what vanishes meanwhile is passed over."""
    try:
        entries = [Path(entry.path) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for entry in sorted(entries):
        yield entry
        yield from _below(entry)


def _only(matches: list[Cgroup], what: str) -> Cgroup:
    if len(matches) > 1:
        paths = _some(cgroup.name for cgroup in matches)
        raise RequestError(
            f"There are {len(matches)} cgroups of {what}: {paths}. Use the filter cgroup with one of them."
        )
    return matches[0]


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return ", ".join(listed[:_LISTED]) + more


def _closest(names: list[str]) -> str:
    return f" The closest names are {', '.join(names)}." if names else ""
