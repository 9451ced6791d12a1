# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows what a module does on a host while it runs. Private to the collection, controller side.

A module can say nothing before it ends. It appends to a file in the task's temporary folder, and a thread here reads
what is new. Where that cannot be done (another kind of connection, a user who may not read it), there is no progress,
and nothing else changes.
"""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Optional

# Connections whose exec_command starts a process of its own, so that a second one can run beside the module.
_FOLLOWED = ("ssh", "local")
_POLL_SECONDS = 1.5


class Follower:
    """Reads a progress file on a host over an existing connection."""

    def __init__(self, connection: Any, show: Callable[[dict[str, Any]], None]) -> None:
        """`show` is called, in a thread, with each event as session/progress.py wrote it."""
        self._connection = connection
        self._show = show
        self._done = threading.Event()
        self._read = 0
        self._rest = b""

    def create(self, folder: Optional[str]) -> Optional[str]:
        """Makes the file and gives its path, or None where progress cannot be followed."""
        if not folder or self._connection.transport not in _FOLLOWED:
            return None
        path = f"{folder.rstrip('/')}/progress"
        status, _output, _errors = self._connection.exec_command(f": > {shlex.quote(path)}", sudoable=False)
        return path if status == 0 else None

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
            while not self._done.wait(_POLL_SECONDS):
                self._show_new(path)
            self._show_new(path)
        except Exception:
            # Whatever a connection may raise: the module's own call meets it too, and reports it.
            return

    def _show_new(self, path: str) -> None:
        command = f"tail -c +{self._read + 1} {shlex.quote(path)}"
        status, output, _errors = self._connection.exec_command(command, sudoable=False)
        if status != 0:
            return
        self._read += len(output)
        *lines, self._rest = (self._rest + output).split(b"\n")
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                self._show(event)
