# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One diagnosis at a time on a host. Private to the collection."""

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
from typing import Any

LOCK_FILE = Path("/run/nannyapi-diagnostics.lock")
_POLL_SECONDS = 0.5


class Busy(Exception):
    """Another diagnosis holds the host; the message is a sentence that says which."""


@contextmanager
def exclusive(
    wait_seconds: float, about: dict[str, Any], stop: threading.Event, path: Path = LOCK_FILE
) -> Iterator[None]:
    """Holds the host's lock; waits for it at most `wait_seconds`, then raises Busy. `about` is told to who waits.

    The kernel frees the lock with the process, however that ends.
    """
    fd = _open(path)
    try:
        _acquire(fd, time.monotonic() + wait_seconds, wait_seconds, stop)
        with contextlib.suppress(OSError):  # a full /run: those who wait will know less
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps({"pid": os.getpid(), "since": int(time.time()), **about}).encode(), 0)
        yield
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    """The lock file; where it cannot be made (a read-only /run), its folder serves, which can be locked as well."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)


def _acquire(fd: int, until: float, wait_seconds: float, stop: threading.Event) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until or stop.is_set():
                raise Busy(_holder(fd, wait_seconds)) from None
        stop.wait(_POLL_SECONDS)


def _holder(fd: int, waited: float) -> str:
    try:
        holder = json.loads(os.pread(fd, 4096, 0))
        who = f"of {holder['issue']!r:.80}, process {holder['pid']}, running for {int(time.time()) - holder['since']} s"
    except (OSError, ValueError, KeyError, TypeError):
        who = "whose process does not say what it is about"
    return (
        f"Another diagnosis is under way on this host ({who}), and it did not end within {waited:g} s."
        " Try again later, or set lock_timeout higher."
    )
