# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows what a module does on a host while it runs. Private to the collection, controller side.

A module can say nothing before it ends. It appends to a file in the task's temporary folder, and a thread here reads
what is new. Where that cannot be done (another kind of connection, a user who may not read it) or would cost a login
each time (ssh without multiplexing, or with a password), there is no progress, and nothing else changes.
"""

from __future__ import annotations

import copy
import json
import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Optional

from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.multiplexing import costs_no_login

_LEAST_INTERVAL = 1.5
_POLLS_PER_SECOND = 10  # of all hosts together; each is a process on the controller
_MOST_BYTES = 65536  # of progress read at once; what a host sends is not to be trusted to end


def interval(forks: int) -> float:
    """Seconds between two looks at a host, where so many hosts are looked at at the same time."""
    return max(_LEAST_INTERVAL, forks / _POLLS_PER_SECOND)


def can_be_followed(connection: Any) -> bool:
    """Whether exec_command starts a process of its own, beside the module's, at the cost of hardly anything."""
    return connection.transport == "local" or (connection.transport == "ssh" and costs_no_login(connection))


class Follower:
    """Reads a progress file on a host over an existing connection."""

    def __init__(self, connection: Any, show: Callable[[dict[str, Any]], None], seconds: float) -> None:
        """`show` is called, in a thread, with each event as session/progress.py wrote it; `seconds`: how often."""
        # A copy, because a connection keeps the state of the command that runs (prompts seen, pipes) in itself.
        self._connection = copy.copy(connection)
        self._show = show
        self._seconds = seconds
        self._done = threading.Event()
        self._read = 0
        self._rest = b""

    def place(self, folder: Optional[str]) -> Optional[str]:
        """The path of the file that the module is to make, or None where progress cannot be followed."""
        if not folder or not can_be_followed(self._connection):
            return None
        return f"{folder.rstrip('/')}/progress"

    @contextmanager
    def following(self, path: Optional[str]) -> Iterator[None]:
        """Shows events while the body runs, and what is left of them after it."""
        if path is None:
            yield
            return
        thread = threading.Thread(target=self._follow, args=(path,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join(timeout=10)

    def _follow(self, path: str) -> None:
        try:
            while not self._done.wait(self._seconds):
                self._show_new(path)
            self._show_new(path)
        except Exception:
            # Whatever a connection may raise: the module's own call meets it too, and reports it.
            return

    def _show_new(self, path: str) -> None:
        command = f"tail -c +{self._read + 1} {shlex.quote(path)} | head -c {_MOST_BYTES}"
        status, output, _errors = self._connection.exec_command(command, sudoable=False)
        if status != 0:
            return
        self._read += len(output)
        *lines, rest = (self._rest + output).split(b"\n")
        self._rest = rest[:_MOST_BYTES]
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                self._show(event)
