# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a fork of a run is ended while it leads a diagnosis. Private to the collection, controller side.

Ansible ends its forks by SIGTERM a moment after an interruption, and leaves them behind when it is killed itself.
Either is an exception here, so that what was begun on a host is ended.
"""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Optional

_PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h


class Interruption:
    """Within it, SIGTERM and the end of the parent process are KeyboardInterrupt, as SIGINT is."""

    def __init__(self) -> None:
        self._before: Any = None
        self._ours = threading.current_thread() is threading.main_thread()
        self._put_off = False

    def __enter__(self) -> Interruption:
        if self._ours:
            self._before = signal.signal(signal.SIGTERM, self._interrupt)
            _signal_at_death_of_parent(signal.SIGTERM)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._ours:
            _signal_at_death_of_parent(0)
            signal.signal(signal.SIGTERM, self._before or signal.SIG_DFL)

    @contextmanager
    def put_off(self) -> Iterator[None]:
        """Within this, SIGTERM waits; a person who interrupts once more is heard."""
        self._put_off = True
        try:
            yield
        finally:
            self._put_off = False

    def _interrupt(self, number: int, frame: Optional[FrameType]) -> None:
        if not self._put_off:
            raise KeyboardInterrupt


def _signal_at_death_of_parent(number: int) -> None:
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # of Linux alone
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
