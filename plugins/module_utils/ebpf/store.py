# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What had to be compiled on this host, kept for the next time. Private to the collection.

An entry holds for its key only: the kernel's release and build, the machine, the compiler, and what was compiled. One
that somebody else could have written, that is not whole, or that is another's is as good as none: it is made anew.
Failing to keep something costs time, the next time, and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any, Optional

DIRECTORY = Path("/var/cache/nannyapi/diagnostics")
_MOST_ENTRIES, _MOST_BYTES = 32, 8 << 20  # of all entries, and of one; in practice one takes 100 KB
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Store:
    """Values of JSON by keys of JSON, in files that only root and this process's user can have written."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._directory = directory

    def read(self, key: dict[str, str]) -> Optional[Any]:
        """What is kept for a key, or None."""
        try:
            with self._opened() as folder:
                fd = os.open(_name(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
                with os.fdopen(fd, "rb") as file:
                    found = os.fstat(fd)
                    if not stat.S_ISREG(found.st_mode) or not _trusted(found) or found.st_size > _MOST_BYTES:
                        return None
                    entry = json.loads(file.read(_MOST_BYTES + 1))
            if entry["key"] != key or entry["checksum"] != _checksum(key, entry["value"]):
                return None
            return entry["value"]
        except (OSError, ValueError, TypeError, LookupError, RecursionError):
            return None

    def write(self, key: dict[str, str], value: Any) -> None:
        """Keeps a value, whole or not at all, and lets the oldest go."""
        text = json.dumps({"key": key, "checksum": _checksum(key, value), "value": value}).encode()
        if len(text) > _MOST_BYTES:
            return
        with contextlib.suppress(OSError):
            self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            with self._opened() as folder:
                self._put(folder, _name(key), text)
                self._prune(folder)

    @contextlib.contextmanager
    def _opened(self) -> Any:
        """The directory as a descriptor. Raises OSError where others could put something into it."""
        folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not _trusted(os.fstat(folder)):
                raise PermissionError(f"{self._directory} could be written by others")
            yield folder
        finally:
            os.close(folder)

    def _put(self, folder: int, name: str, text: bytes) -> None:
        # Through the descriptor: whatever takes the directory's place meanwhile gets nothing.
        fd, temporary = tempfile.mkstemp(prefix=".", dir=f"/proc/self/fd/{folder}")  # mode 0600
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(fd)
            os.rename(os.path.basename(temporary), name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(os.path.basename(temporary), dir_fd=folder)
            raise

    @staticmethod
    def _prune(folder: int) -> None:
        def age(name: str) -> float:
            with contextlib.suppress(OSError):
                return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
            return 0.0

        for name in sorted(os.listdir(folder), key=age)[:-_MOST_ENTRIES]:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder)


def _trusted(found: os.stat_result) -> bool:
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & _OTHERS_WRITE


def _name(key: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32] + ".json"


def _checksum(key: dict[str, str], value: Any) -> str:
    return hashlib.sha256(json.dumps([key, value], sort_keys=True).encode()).hexdigest()
