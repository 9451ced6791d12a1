# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits the requests to one gateway across all forks of a run. Private to the collection, controller side.

Forks share nothing but files: a folder for each gateway and user. A place among the parallel requests is a lock on a
file, so that the kernel gives it back however a fork ends. Who waits has a ticket, a locked file named for when it
came, and takes a place in that order. Requests of the last minute are times in a file.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import random
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.port import ModelError

_MINUTE = 60.0
_LOOK_SECONDS = 0.25  # between two looks whether a place is free
_SAY_SECONDS = 30.0  # between two lines that say that it waits
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW

Progress = Callable[[dict[str, Any]], None]


class LimitsError(Exception):
    """The folder for the limits cannot be used; the message is a sentence."""


class RequestLimits:
    """What requests to a gateway may be: so many at once, so many a minute (0: as many as there are)."""

    def __init__(
        self, url: str, parallel: int, a_minute: int, progress: Progress, folder: Optional[Path] = None
    ) -> None:
        """Raises LimitsError. `progress`: told that it waits; `folder`: where the gateways' folders are."""
        self._parallel = parallel
        self._a_minute = a_minute
        self._tell = progress
        self._said = 0.0
        self._until = 0.0
        name = hashlib.sha256(url.encode()).hexdigest()[:16]
        self._folder = _private(_private(folder or _base()) / name)

    @contextmanager
    def admission(self, seconds: float) -> Iterator[None]:
        """Held while the model is asked. Raises ModelError where its turn does not come within so many seconds."""
        until = self._until = time.monotonic() + seconds
        self._said = 0.0
        place = None
        try:
            with self._kept():
                place = self._place(until) if self._parallel else None
                self.take_request(until)
            yield
        finally:
            if place is not None:
                os.close(place)

    def pause(self, seconds: float) -> None:
        """Sleeps before a request is tried again, which counts as another one."""
        time.sleep(seconds)
        with self._kept():
            self.take_request(self._until)

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """What cannot be noted is not limited, so that no request is made; it says nothing of the host."""
        try:
            yield
        except OSError as error:
            raise ModelError(
                f"The model was not asked: how often it may be cannot be noted in {self._folder}: {error.strerror}."
                " Make room there, or set XDG_RUNTIME_DIR or TMPDIR on the controller to another place.",
                "unrecorded",
            ) from None

    def take_request(self, until: float) -> None:
        """Waits until one more request is within what a minute may have. Raises ModelError."""
        while self._a_minute:
            wait = self._next_request()
            if wait <= 0:
                return
            self._wait(until, wait, f"as many requests as allowed were begun within a minute: {self._a_minute}")

    def _next_request(self) -> float:
        """Notes a request where one may be made now; else how long it takes until one may."""
        fd = os.open(self._folder / "minute", _FLAGS, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            now = time.clock_gettime(time.CLOCK_MONOTONIC)
            made = [each for each in _times(fd) if 0 <= now - each < _MINUTE]
            if len(made) >= self._a_minute:
                return made[-self._a_minute] + _MINUTE - now
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps([*made, now]).encode(), 0)
            return 0.0
        finally:
            os.close(fd)

    def _place(self, until: float) -> int:
        """A place among the parallel requests, as an open file that holds it."""
        with self._ticket() as ticket:
            while True:
                if self._ahead_of(ticket) < self._parallel:
                    for number in range(self._parallel):
                        place = _locked(self._folder / f"place-{number}")
                        if place is not None:
                            return place
                self._wait(until, _LOOK_SECONDS, f"as many requests as allowed are under way: {self._parallel}")

    @contextmanager
    def _ticket(self) -> Iterator[str]:
        """A file in the order of coming, whose lock says that somebody waits."""
        come = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        path = self._folder / f"ticket-{come:020d}-{os.getpid()}"
        made = self._folder / f".{path.name}"
        fd = _locked(made)
        try:
            # Only now, for a ticket that nobody holds is thrown away.
            made.rename(path)
            yield path.name
        finally:
            path.unlink(missing_ok=True)
            if fd is not None:
                os.close(fd)

    def _ahead_of(self, ticket: str) -> int:
        """How many came earlier and still wait; no more than matter are looked at."""
        ahead = 0
        for name in sorted(each for each in os.listdir(self._folder) if each.startswith("ticket-")):
            if name >= ticket or ahead >= self._parallel:
                break
            if _abandoned(self._folder / name):
                (self._folder / name).unlink(missing_ok=True)
            else:
                ahead += 1
        return ahead

    def _wait(self, until: float, seconds: float, why: str) -> None:
        now = time.monotonic()
        if now >= until:
            raise ModelError(
                f"The model was not asked in all the time that the diagnosis had left, because {why}. Raise"
                " model_parallel_calls or model_requests_per_minute as far as the gateway bears it, or seconds.",
                "not_admitted",
            )
        if now - self._said >= _SAY_SECONDS:
            self._said = now
            self._tell({"stage": "model_waiting", "text": f"Waiting to ask the model: {why}"})
        time.sleep(max(0.01, min(seconds, until - now, 1.0) * random.uniform(0.7, 1.3)))


def _base() -> Path:
    return Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"nannyapi-diagnostics-{os.geteuid()}"


def _private(folder: Path) -> Path:
    """A folder that this user alone can enter, made where it is not there. Raises LimitsError."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise LimitsError(
            f"The folder {folder}, in which the forks of a run limit their requests, cannot be made: {error.strerror}."
            " Set XDG_RUNTIME_DIR or TMPDIR on the controller to one that can be written to."
        ) from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise LimitsError(
            f"{folder}, in which the forks of a run limit their requests, is not a folder that uid {os.geteuid()} alone"
            " can enter. Remove it, or set XDG_RUNTIME_DIR or TMPDIR on the controller to another place."
        )
    return folder


def _locked(path: Path) -> Optional[int]:
    """The file, open and locked; None where another has it."""
    fd = os.open(path, _FLAGS, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _abandoned(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # gone meanwhile
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(fd)


def _times(fd: int) -> list[float]:
    """Times of requests, oldest first; what is no such file counts as none."""
    size = os.fstat(fd).st_size
    with contextlib.suppress(ValueError):
        times = json.loads(os.pread(fd, size, 0))
        if isinstance(times, list):
            return sorted(each for each in times if isinstance(each, float))
    return []
