# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a trace: programs stop at once, and are detached while nobody waits. Private to the collection.

To detach a program takes the kernel up to a tenth of a second, one program after another. So programs are first told,
in their plans, to look at nothing more, and what they counted is read; they are detached beside that.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Protocol

from . import kernel, layout, sampling
from .errors import EbpfError
from .kernel import Map
from .loader import LoadedObject


def open_maps(objects: Iterable[LoadedObject]) -> list[dict[str, Map]]:
    """The maps of each object that was not closed for want of something to attach it to."""
    return [loaded.maps for loaded in objects if loaded.maps["plan"].fd >= 0]


def stop_together(objects: Iterable[LoadedObject]) -> None:
    """Stops programs, and returns when none of them runs any more: from then on their maps stand still.

    What was attached last stops first: nothing is captured that is not counted.
    """
    for loaded in reversed(list(objects)):
        try:
            for maps in open_maps([loaded]):
                sampling.add_flag(maps, layout.STOPPED)
        except (EbpfError, OSError):  # the kernel has no memory left, say
            loaded.unload()
    kernel.await_running_programs()


class Closeable(Protocol):
    """What holds something of the kernel."""

    def close(self) -> None:
        """Gives it back."""


class Closer:
    """Closes what holds something of the kernel, in threads of its own."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []

    def take(self, objects: Iterable[Closeable]) -> None:
        """Closes the objects, in their order, sooner or later; nobody else may."""
        taken = list(objects)
        if not taken:
            return
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        # No daemon: a process that ends by itself waits for it, so that nothing is attached any more when it has ended.
        thread = threading.Thread(target=_close, args=(taken,), name="closing")
        try:
            thread.start()
        except RuntimeError:  # the host has no room for another thread
            _close(taken)
        else:
            self._threads.append(thread)

    def join(self) -> None:
        """Waits until all is closed."""
        for thread in self._threads:
            thread.join()


def _close(objects: list[Closeable]) -> None:
    for one in objects:
        one.close()
