# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One diagnosis at a time on a host. Private to the collection.

A run on the host holds the lock, and the kernel frees it with the process. A diagnosis that is led from the controller
has no process on the host between its rounds: there it leaves a lease in the file, which holds for its own id alone and
ends by itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

LOCK_FILE = Path("/run/nannyapi-diagnostics.lock")
_POLL_SECONDS = 0.5
LONGEST_LEASE = 3600.0
"""Seconds: no lease is believed that says more."""


class Busy(Exception):
    """Another diagnosis holds the host; the message is a sentence that says which."""


class Hold:
    """The lock while it is held."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._left: dict[str, Any] = {}

    def lease(self, diagnosis: str, seconds: float, about: dict[str, Any]) -> None:
        """Keeps others out for so many seconds after this, until `diagnosis` comes back."""
        self._left = {"diagnosis": diagnosis, "lease_until": _uptime() + seconds, "since": int(time.time()), **about}

    def write(self, content: dict[str, Any]) -> None:
        """Tells who waits. Where it cannot be written (a full or read-only /run), those will know less."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, json.dumps(content).encode(), 0)

    def close(self) -> None:
        """Frees the lock, and leaves the lease if there is to be one."""
        if self._left:
            self.write(self._left)
        os.close(self._fd)


@contextmanager
def exclusive(
    wait_seconds: float,
    about: dict[str, Any],
    stop: threading.Event,
    path: Path = LOCK_FILE,
    diagnosis: Optional[str] = None,
) -> Iterator[Hold]:
    """Holds the host's lock; waits for it at most `wait_seconds`, then raises Busy. `about` is told to who waits.

    The kernel frees the lock with the process, however that ends. `diagnosis`: whose lease is no obstacle.
    """
    hold = Hold(_open(path))
    try:
        _acquire(hold._fd, time.monotonic() + wait_seconds, wait_seconds, stop, diagnosis)
        hold.write({"pid": os.getpid(), "diagnosis": diagnosis, "since": int(time.time()), **about})
        yield hold
    finally:
        hold.close()


def running(diagnosis: str, path: Path = LOCK_FILE) -> Optional[int]:
    """The process that holds the lock for a diagnosis right now, or None."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        content = _content(fd)
        pid = content.get("pid")
        return pid if content.get("diagnosis") == diagnosis and isinstance(pid, int) else None
    finally:
        os.close(fd)
    return None


def release(diagnosis: str, path: Path = LOCK_FILE) -> None:
    """Ends the lease of a diagnosis, if there is one."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        # Who holds the lock now has written over the lease, or will.
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _content(fd).get("diagnosis") == diagnosis:
                os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    """The lock file; where it cannot be made (a read-only /run), its folder serves, which can be locked as well."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)


def _acquire(fd: int, until: float, wait_seconds: float, stop: threading.Event, diagnosis: Optional[str]) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _leased(_content(fd), diagnosis):
                return
            fcntl.flock(fd, fcntl.LOCK_UN)
        except BlockingIOError:
            pass
        if time.monotonic() >= until or stop.is_set():
            raise Busy(_holder(_content(fd), wait_seconds)) from None
        stop.wait(_POLL_SECONDS)


def _leased(content: dict[str, Any], diagnosis: Optional[str]) -> bool:
    until = content.get("lease_until")
    if not isinstance(until, (int, float)) or content.get("diagnosis") == diagnosis:
        return False
    return 0 < until - _uptime() <= LONGEST_LEASE


def _uptime() -> float:
    """Seconds since the host was started, which no one can set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _content(fd: int) -> dict[str, Any]:
    try:
        content = json.loads(os.pread(fd, 8192, 0))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _holder(content: dict[str, Any], waited: float) -> str:
    issue, since = content.get("issue"), content.get("since")
    if issue is None or not isinstance(since, int):
        who = "whose process does not say what it is about"
    elif "lease_until" in content:
        left = max(0, round(content["lease_until"] - _uptime()))
        who = (
            f"of {issue!r:.80}, led from a controller whose last round ended {max(0, int(time.time()) - since)} s ago;"
            f" if nothing more comes of it, the host is free in {left} s"
        )
    else:
        who = f"of {issue!r:.80}, process {content.get('pid')}, running for {int(time.time()) - since} s"
    return (
        f"Another diagnosis is under way on this host ({who}), and it did not end within {waited:g} s."
        " Try again later, or set lock_timeout higher."
    )
