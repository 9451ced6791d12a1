# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run on a host ends before its time. Private to the collection.

A signal sets an event that traces and commands watch; where the run waits for something that watches no event (a
model's answer), the signal is an exception there. It is taken for a signal too when the process that started the run
dies, and when nobody is there any more to read the result (a connection that was cut), so that nothing traces for
nobody.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Optional

_PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(Exception):
    """The run was told to end; the message is a sentence."""


class Ending:
    """Watches for the signals that end a run, from `watch` on."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self._signal: Optional[int] = None
        self._interruptible = False

    def watch(self) -> None:
        """Takes the signals over. In the main thread only."""
        for number in _SIGNALS:
            signal.signal(number, self._stop)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        threading.Thread(target=_end_with_reader, daemon=True).start()

    def _stop(self, number: int, frame: Optional[FrameType]) -> None:
        self._signal = number
        self.event.set()
        if self._interruptible:
            self.check()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Within this, a signal raises Stopped at once."""
        self.check()
        self._interruptible = True
        try:
            yield
        finally:
            self._interruptible = False

    def check(self) -> None:
        """Raises Stopped where the run was told to end."""
        if self.event.is_set():
            name = signal.Signals(self._signal).name if self._signal else "a signal"
            raise Stopped(f"It was stopped by {name}; its probes are detached and its commands ended.")


def _end_with_reader() -> None:
    """Sleeps until the other end of standard output is closed, then ends this process as SIGTERM would.

    An ssh connection without a terminal sends no signal when it is cut; what is left is a pipe that nobody reads.
    """
    try:
        output = sys.__stdout__.fileno() if sys.__stdout__ else -1
        watched = select.poll()
        watched.register(output, 0)  # no event is asked for: errors and hang-ups are always told
        if watched.poll():
            os.kill(os.getpid(), signal.SIGTERM)
    except (OSError, ValueError):
        return  # no standard output: then nobody can leave it
