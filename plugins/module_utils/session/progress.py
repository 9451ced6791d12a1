# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress of a run, for whoever follows it on the controller. Private to the collection.

A module can say nothing before it ends, so it appends lines of JSON to a file that the action plugin reads.
Nothing depends on it: without a file, or with one that cannot be written, a run goes on in silence.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any, Optional

_MAX_LINES = 2000
# The folder belongs to a user, and this may be root: nothing that is there already is written to.
_MADE_HERE = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class ProgressFile:
    """Appends events, each `{"at": seconds since the epoch, "stage": …, "text": …}`."""

    def __init__(self, path: Optional[str]) -> None:
        """`path`: a file to be, in a folder that only the connection's user may enter, or None."""
        self._fd: Optional[int] = None
        self._lines = 0
        self.written = 0  # bytes
        if path:
            try:
                self._fd = os.open(path, _MADE_HERE, 0o644)
                os.fchmod(self._fd, 0o644)  # whatever the mask: the user of the connection is to read it
            except OSError:
                self._fd = None

    def __call__(self, event: dict[str, Any]) -> None:
        """Appends an event as one line, in one write, for it comes from several threads."""
        if self._fd is None or self._lines >= _MAX_LINES:
            return
        self._lines += 1
        line = json.dumps({"at": time.time(), **event}, default=str) + "\n"
        try:
            self.written += os.write(self._fd, line.encode("utf-8", "replace"))
        except OSError:
            self._fd = None
