# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: files that only root may read, opened for a command that is not root.

What a command was judged to read is opened here, by root, and judged once more by what was really opened. The command
gets the content at the path that it names, in its own mounts; it gets no capability. Where the account may read the
file itself, nothing is done.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from .errors import Refused
from .sandbox_mounts import may_be_read_by_others

# Content is copied to memory for as long as the command runs.
MOST_BYTES = 32 * 1024 * 1024
MOST_FILES = 200

_OF_A_PROCESS = re.compile(r"/proc/\d+/(?!net/)")
# Over these newer kernels let nothing be mounted.
_FLEETING = re.compile(r"/proc/\d+/(task/\d+/)?fdinfo/\d+")
# Read within a PID namespace, they tell of that namespace (pid_max since Linux 6.14).
_OF_THE_NAMESPACE = re.compile(r"/proc/sys/kernel/pid_max|/sys/fs/cgroup/.*/(cgroup\.procs|cgroup\.threads|tasks)")
_SCRATCH = "/tmp/"
_TABLE = re.compile(r"/(?:proc/(?:mounts|self/(?:mounts|mountinfo))|etc/mtab)")


@dataclass
class Given:
    """bwrap's options that put content in place, descriptors that they name, words to be written differently."""

    options: list[str] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def close(self) -> None:
        """Closes the descriptors; the command has its own."""
        for descriptor in self.descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.descriptors.clear()


class TrustedReader:
    """Opens files for commands; `may_read` raises `Refused` for a path whose content is not shown."""

    def __init__(self, may_read: Callable[[str], None]) -> None:
        self.may_read = may_read

    def judge_opened(self, descriptor: int) -> None:
        """Judges a file once more after it was opened, when nobody can put another in its place. Raises `Refused`."""
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if path.startswith("/"):
            self.may_read(path.removesuffix(" (deleted)"))

    def give(self, reads: tuple[str, ...], tables: tuple[str, ...] = ()) -> Given:
        """What a command that reads these is to be given; `tables`: files of /proc/self that are to be the host's."""
        given = _Giving(self, Given())
        for name in tables:
            given.place_table(name, f"/proc/self/{name}")
        for path in reads:
            given.take(path)
        return given.done()


class _Giving:
    def __init__(self, reader: TrustedReader, given: Given) -> None:
        self.reader = reader
        self.given = given
        self.hidden: list[str] = []
        self.placed: set[str] = set()
        self.left = MOST_BYTES

    def take(self, path: str) -> None:
        written = os.path.normpath(os.path.join("/", path))
        if _TABLE.fullmatch(written):
            self._mount_table(path, written)
            return
        whole = os.path.realpath(written)
        if whole.startswith(f"/proc/{os.getpid()}/"):
            # By way of /proc/self or /proc/net, which for the command are its own.
            return
        if os.path.isdir(whole):
            self._directory(whole)
        elif _FLEETING.fullmatch(whole):
            self.given.renamed[path] = f"/dev/.given{len(self.placed)}"
            self._place(whole, self.given.renamed[path])
        elif _needs_root(whole):
            self._place(whole, whole)

    def done(self) -> Given:
        for directory in self.hidden:
            self.given.options += ["--remount-ro", directory]
        return self.given

    def place_table(self, name: str, target: str) -> None:
        """Puts a table of mounts as this process has it at `target`."""
        self._place(f"/proc/self/{name}", target, judged=False)

    def _mount_table(self, word: str, written: str) -> None:
        """A command sees its own mounts, all of them read-only; what is asked for are the host's."""
        name = "mountinfo" if written.endswith("mountinfo") else "mounts"
        self.place_table(name, f"/proc/1/{name}")
        self.given.renamed[word] = f"/proc/1/{name}"

    def _directory(self, directory: str) -> None:
        if directory == "/" or re.match(r"/(proc|sys|dev)(/|$)", directory):
            return
        closed = not may_be_read_by_others(directory, 0o5)
        count = 0
        for parent, _directories, names in os.walk(directory):
            for name in names:
                path = os.path.join(parent, name)
                if os.path.islink(path):
                    continue  # what it leads to is not below this directory, or is met there
                if closed or path.startswith(_SCRATCH) or not may_be_read_by_others(path):
                    count += 1
                    if count > MOST_FILES:
                        self.given.notes.append(
                            f"Of {directory} only {MOST_FILES} files that root alone may read are shown."
                        )
                        return
                    self._place(path, path)

    def _place(self, source: str, target: str, judged: bool = True) -> None:
        if target in self.placed:
            return
        try:
            descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            # The command will say itself what is wrong with it.
            return
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return
            if judged:
                self.reader.judge_opened(descriptor)
            content = self._content(descriptor, target)
        except (OSError, Refused):
            return
        finally:
            os.close(descriptor)
        self.placed.add(target)
        self._make_way(target)
        self.given.descriptors.append(content)
        self.given.options += ["--perms", "0444", "--ro-bind-data", str(content), target]

    def _content(self, descriptor: int, target: str) -> int:
        """A descriptor of a copy in memory: at most what is left of `MOST_BYTES`, the end of the file."""
        size = os.fstat(descriptor).st_size
        if size > self.left:
            os.lseek(descriptor, size - self.left, os.SEEK_SET)
            self.given.notes.append(
                f"{target} is shown from byte {size - self.left} on: only its end is given to a command that may not"
                " read it itself."
            )
        copy = os.memfd_create("given", os.MFD_CLOEXEC)
        try:
            while self.left > 0:
                chunk = os.read(descriptor, min(self.left, 1 << 20))
                if not chunk:
                    break
                self.left -= len(chunk)
                os.write(copy, chunk)
            os.lseek(copy, 0, os.SEEK_SET)
        except OSError:
            os.close(copy)
            raise
        return copy

    def _make_way(self, target: str) -> None:
        """A directory that the account may not enter is replaced by one that holds what is given, and nothing else."""
        if target.startswith(("/proc/", "/dev/")):
            return
        closed = None
        parent = os.path.dirname(target)
        while parent != "/":
            if not os.stat(parent).st_mode & 0o1:
                closed = parent
            parent = os.path.dirname(parent)
        if closed is not None and closed not in self.hidden:
            self.hidden.append(closed)
            self.given.options += ["--perms", "0755", "--tmpfs", closed]


def _needs_root(path: str) -> bool:
    # Modes in /proc/PID do not tell: whoever may not trace the process may not read most of it. In the sandbox /tmp is
    # another one, whatever the mode there.
    if path.startswith(_SCRATCH):
        return True
    return bool(_OF_A_PROCESS.match(path)) or bool(_OF_THE_NAMESPACE.fullmatch(path)) or not may_be_read_by_others(path)
