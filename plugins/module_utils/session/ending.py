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
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Optional

_PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h
_INSISTS_SECONDS = 0.2  # between two tries to interrupt what waits
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(Exception):
    """The run was told to end; the message is a sentence. `collected`: what the round in which it was brought."""

    collected: Optional[dict[str, Any]] = None


class Ending:
    """Watches for the signals that end a run, from `watch` on."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self._signal: Optional[int] = None
        self._interruptible = False
        self._woken, self._wake = -1, -1

    def watch(self) -> None:
        """Takes the signals over. In the main thread only."""
        self._woken, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        threading.Thread(target=self._watch, daemon=True).start()
        # This wakes the thread as a signal comes. Python runs `_stop` when the main thread comes to it, and not at all
        # while that waits: where the signal came a moment before, or to another thread.
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, self._stop)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)

    def _stop(self, number: int, frame: Optional[FrameType]) -> None:
        """Sets no event: the thread that is interrupted may hold the lock of it. Who watches does."""
        self._signal = number
        if self._interruptible:
            self.check()

    def _watch(self) -> None:
        """Sleeps until there was a signal. Ends this process as SIGTERM would when nobody reads its output any more.

        An ssh connection without a terminal sends no signal when it is cut; what is left is a pipe that nobody reads.
        """
        watched = select.poll()
        watched.register(self._woken, select.POLLIN)
        with suppress(OSError, ValueError):  # no standard output: then nobody can leave it
            if sys.__stdout__:
                # No event is asked for: errors and hang-ups are always told.
                watched.register(sys.__stdout__.fileno(), 0)
        while True:
            for descriptor, _event in watched.poll():
                if descriptor == self._woken:
                    told = [number for number in os.read(self._woken, 64) if number in _SIGNALS]
                    if not told:
                        continue  # a signal that somebody else takes
                    self._signal = self._signal or told[0]
                    self.event.set()
                    self._insist()
                    return
                watched.unregister(descriptor)
                os.kill(os.getpid(), signal.SIGTERM)

    def _insist(self) -> None:
        """Interrupts what the main thread waits for until it waits no more.

        A signal that comes a moment before a call that waits does not end it, and an exception that is raised while
        Python clears something away is printed and forgotten.
        """
        main = threading.main_thread()
        while main.is_alive() and main.ident is not None:
            time.sleep(_INSISTS_SECONDS)
            if self._interruptible:
                signal.pthread_kill(main.ident, self._signal or signal.SIGTERM)

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
        if self._signal or self.event.is_set():
            name = signal.Signals(self._signal).name if self._signal else "a signal"
            raise Stopped(f"It was stopped by {name}; its probes are detached and its commands ended.")
