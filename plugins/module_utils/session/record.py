# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of diagnoses: files that grow while a diagnosis runs, on the host or the controller. Private.

`<id>.json` is the record, always whole. `<id>.open` is beside it as long as there is no resolution; whoever works on
the diagnosis holds its lock. What else a diagnosis keeps beside its record has its id as well, and goes with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import threading
import time
import uuid
from pathlib import Path
from typing import Any, Optional

from . import whole_files

RECORDS = Path("/var/lib/nannyapi/diagnostics")
FORMAT = 2
LATEST = "latest"
RUNNING, INTERRUPTED, ENDED = "running", "interrupted", "ended"

_KEPT = 50  # the newest; a record is some hundred kilobytes
_MOST_BYTES = 256 * 1024 * 1024  # of all together, and of one that is read: a round may bring sixteen megabytes
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
_FILE = re.compile(rf"\.?({_ID.pattern})\.[a-z._]+")
_OPEN = ".open"
_MAP = ".identities"
_POLL_SECONDS = 0.5
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW


class RecordError(Exception):
    """A diagnosis that cannot be gone on with; the message is a sentence that says why, and what to do."""


def new_id() -> str:
    """An id that sorts by time, such as `20260131T020304Z-1f2e3d4c`."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + "-" + uuid.uuid4().hex[:8]


class Record:
    """One diagnosis's record, which only this process writes until `close`. `content`: what was read of it, or {}."""

    def __init__(self, identifier: str, directory: Path, lock: int, content: dict[str, Any]) -> None:
        self.identifier = identifier
        self.path = directory / f"{identifier}.json"
        self.content = content
        self._directory = directory
        self._lock = lock

    def write(self, content: dict[str, Any]) -> None:
        """Replaces the record, whole or not at all, and drops the oldest ones. Raises OSError."""
        whole_files.replace(self.path, _sealed(content))
        _rotate(self._directory)

    def close(self, over: bool) -> None:
        """Gives the record up; `over`: there is nothing to go on with. Raises nothing."""
        if self._lock < 0:
            return
        if over:
            with contextlib.suppress(OSError):
                (self._directory / f"{self.identifier}{_OPEN}").unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = -1


def begin(directory: Path = RECORDS) -> Record:
    """A record for a new diagnosis. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    identifier = new_id()
    lock = os.open(directory / f"{identifier}{_OPEN}", os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return Record(identifier, directory, lock, {})


def reopen(
    wanted: str, directory: Path = RECORDS, wait_seconds: float = 0, stop: Optional[threading.Event] = None
) -> Record:
    """The record of a diagnosis to go on with, or of one that reached its resolution. `wanted`: an id or `latest`.

    Waits for a process that still works on it for at most so long, and not after `stop`. Raises RecordError.
    """
    identifier = _identified(wanted, directory)
    lock = _locked(identifier, directory, wait_seconds, stop or threading.Event())
    try:
        content = read(identifier, directory)
        if lock < 0 and content.get("status") != ENDED:
            raise _unusable(directory / f"{identifier}.json", "the file .open that belongs to it is not there")
        return Record(identifier, directory, lock, content)
    except BaseException:
        if lock >= 0:
            os.close(lock)
        raise


def find(wanted: str, directory: Path = RECORDS) -> dict[str, Any]:
    """The content of the record of an id, or of `latest`, to be looked at. Raises RecordError."""
    return read(_identified(wanted, directory), directory)


def read(identifier: str, directory: Path = RECORDS) -> dict[str, Any]:
    """The content of a record of this format. Raises RecordError."""
    path = directory / f"{identifier}.json"
    try:
        content = json.loads(whole_files.read(path, _MOST_BYTES))
    except FileNotFoundError:
        raise _unusable(path, "it is not there, for the diagnosis was ended before it had begun") from None
    except whole_files.NotUsable as error:
        raise _unusable(path, str(error)) from None
    except (ValueError, RecursionError):
        raise _unusable(path, "it is damaged: it is not whole") from None
    if not isinstance(content, dict):
        raise _unusable(path, "it is damaged: it is not a record")
    version, seal = content.get("format"), content.pop("seal", None)
    if version is None and seal is None and "diagnosis_id" in content:
        raise _unusable(path, "an earlier version of the collection wrote it, and kept nothing to go on from")
    if version != FORMAT:
        raise _unusable(
            path, f"another version of the collection wrote it (format {version!r:.40}; this one has {FORMAT})"
        )
    if seal != _seal(content) or content.get("diagnosis_id") != identifier:
        raise _unusable(path, "it is damaged: what it holds is not what was written")
    return content


def write_map(identifier: str, identities: dict[str, str], directory: Path = RECORDS) -> Path:
    """Writes what placeholders stand for beside the record; it goes with the record, and nowhere else."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / f"{identifier}{_MAP}"
    whole_files.replace(path, json.dumps(identities, ensure_ascii=False))
    _rotate(directory)  # where the controller has the records, nothing else does
    return path


def _unusable(path: Path, why: str) -> RecordError:
    return RecordError(f"The record {path} cannot be used: {why}. Start the diagnosis anew, without resume.")


def _identified(wanted: str, directory: Path) -> str:
    """The id that was asked for, of a record that is there."""
    wanted = wanted.strip()
    there = _ids(directory, ".json")
    if wanted == LATEST:
        if not there:
            raise RecordError(f"There is no record of a diagnosis in {directory}, so none can be gone on with.")
        return max(there)
    if not _ID.fullmatch(wanted):
        raise RecordError(
            f"{wanted!r:.60} is not the id of a diagnosis. It is {LATEST}, or the id that the failure named, such as"
            " 20260131T020304Z-1f2e3d4c."
        )
    if wanted not in there:
        newest = ", ".join(sorted(there)[-3:])
        others = f" The newest there: {newest}." if newest else " There is none at all."
        raise RecordError(
            f"There is no record of the diagnosis {wanted} in {directory}. Was it of another host (limit the run to"
            f" that one), or has it been dropped for newer ones?{others}"
        )
    return wanted


def _locked(identifier: str, directory: Path, wait_seconds: float, stop: threading.Event) -> int:
    """The lock of a diagnosis that is not over; -1 where it is."""
    path = directory / f"{identifier}{_OPEN}"
    try:
        lock = os.open(path, os.O_RDWR | _FLAGS)
    except FileNotFoundError:
        return -1
    except OSError as error:
        raise RecordError(f"{path} cannot be opened: {error.strerror}. Run it as the owner of the record.") from None
    until = time.monotonic() + wait_seconds
    while not _taken(lock):
        if stop.is_set() or time.monotonic() >= until:
            os.close(lock)
            raise RecordError(
                f"The diagnosis {identifier} is still under way, in another process, and that did not end within"
                f" {wait_seconds:g} s. Wait until it has: resume then gives its result, or goes on."
            )
        stop.wait(_POLL_SECONDS)
    if not path.exists():
        os.close(lock)
        return -1
    return lock


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sealed(content: dict[str, Any]) -> str:
    """The text of a record: `content`, its format, and last a hash that tells whether it is as it was written."""
    # What is written is what is read again: text that JSON or UTF-8 cannot carry is replaced before it is hashed.
    plain = json.dumps({**content, "format": FORMAT}, ensure_ascii=False, default=str)
    whole = json.loads(plain.encode("utf-8", "replace"))
    return json.dumps({**whole, "seal": _seal(whole)}, ensure_ascii=False) + "\n"


def _seal(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()


def _ids(directory: Path, suffix: str) -> set[str]:
    """The ids of files with this suffix. Raises RecordError."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise RecordError(f"The records in {directory} cannot be read: {error.strerror}. Become their owner.") from None
    return {name[: -len(suffix)] for name in names if name.endswith(suffix) and _ID.fullmatch(name[: -len(suffix)])}


def _rotate(directory: Path) -> None:
    """Drops the oldest diagnoses beyond a number and beyond a size, never one that somebody works on."""
    files: dict[str, list[Path]] = {}
    for entry in directory.iterdir():
        found = _FILE.fullmatch(entry.name)
        if found:
            files.setdefault(found[1], []).append(entry)
    total = 0
    for number, identifier in enumerate(sorted(files, reverse=True)):
        total += sum(_size(each) for each in files[identifier])
        if number and (number >= _KEPT or total > _MOST_BYTES) and not _worked_on(directory / f"{identifier}{_OPEN}"):
            for each in files[identifier]:
                each.unlink(missing_ok=True)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _worked_on(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDWR | _FLAGS)
    except OSError:
        return False
    try:
        return not _taken(lock)
    finally:
        os.close(lock)
