# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that lines are appended to, of several processes at once, and that is rotated. Private to the collection.

It is opened anew for each line, so that whoever else rotates it (logrotate) needs to tell nobody.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

ACTIONS = Path("/var/log/nannyapi/diagnostics.jsonl")
MOST_BYTES = 10 * 1024 * 1024
KEPT = 9
_LOCK_SECONDS = 5.0
_READABLE_BY_MORE = 0o640
# O_NONBLOCK: a pipe planted there must not be waited for. Reading is for the end of the last line.
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Unwritable(Exception):
    """A line that could not be appended; the message is a sentence without its full stop."""


class LogFile:
    """Lines in `path`: at most `most_bytes` there, and `kept` older files named `path.1`, `path.2` and so on.

    The folder is made with mode 0700, the file with 0600. Both must be this user's own and writable by nobody else; who
    may read them besides is the administrator's affair, and is kept in rotation.
    """

    def __init__(self, path: Path = ACTIONS, most_bytes: int = MOST_BYTES, kept: int = KEPT) -> None:
        self.path = path
        self._most_bytes = most_bytes
        self._kept = kept

    def append(self, line: bytes) -> None:
        """Appends `line`, which ends with a line feed, in one write and whole, or raises Unwritable."""
        try:
            folder = self._folder()
            try:
                _lock(folder)
                self._append(folder, line)
            finally:
                os.close(folder)
        except OSError as error:
            raise Unwritable(f"{self.path} cannot be written: {error.strerror or error}") from None

    def tail(self, most: int) -> list[bytes]:
        """The last lines, of at most so many bytes together; none where there is nothing that can be read."""
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                size = os.fstat(file).st_size
                lines = os.pread(file, most, max(0, size - most)).split(b"\n")
            finally:
                os.close(file)
        except OSError:
            return []
        return lines[:-1] if size <= most else lines[1:-1]

    def _folder(self) -> int:
        with suppress(FileExistsError):
            os.mkdir(self.path.parent, 0o700)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _check_owner(self.path.parent, os.fstat(folder))
        except BaseException:
            os.close(folder)
            raise
        return folder

    def _append(self, folder: int, line: bytes) -> None:
        file = self._open(folder)
        try:
            size = os.fstat(file).st_size
            if size and size + len(line) > self._most_bytes and self._rotate(folder):
                before, fresh = os.fstat(file), self._open(folder)
                os.close(file)
                file, size = fresh, 0
                os.fchmod(file, stat.S_IMODE(before.st_mode) & _READABLE_BY_MORE)
                os.fchown(file, -1, before.st_gid)
            # Whoever was killed while writing left half a line: it stays, and stands by itself.
            if size and os.pread(file, 1, size - 1) != b"\n":
                line = b"\n" + line
            if os.write(file, line) != len(line):
                with suppress(OSError):
                    os.ftruncate(file, size)
                raise Unwritable(f"{self.path} cannot be written: no space is left for a whole line")
        finally:
            os.close(file)

    def _open(self, folder: int) -> int:
        file = os.open(self.path.name, _APPEND, 0o600, dir_fd=folder)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise Unwritable(f"{self.path} is not a regular file")
            if status.st_nlink != 1:
                raise Unwritable(f"{self.path} has another name besides (a hard link)")
            _check_owner(self.path, status)
        except BaseException:
            os.close(file)
            raise
        return file

    def _rotate(self, folder: int) -> bool:
        """Makes place for a new file; False where that is not allowed (`chattr +a`), and then the old one grows."""
        names = [self.path.name, *(f"{self.path.name}.{number}" for number in range(1, self._kept + 1))]
        for older, newer in reversed(list(zip(names[1:], names))):
            try:
                os.rename(newer, older, src_dir_fd=folder, dst_dir_fd=folder)
            except FileNotFoundError:
                continue
            except OSError:
                return False
        return True


def _check_owner(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise Unwritable(f"{path} belongs to the user id {status.st_uid}, not to {os.geteuid()} who writes it")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Unwritable(f"{path} has mode {stat.S_IMODE(status.st_mode):04o}: others can write to it")


def _lock(folder: int) -> None:
    """Waits for the folder's lock, but not for ever: who holds it may have been stopped."""
    until = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise Unwritable("another process holds the lock of the folder, and does not go on") from None
        time.sleep(0.005)
