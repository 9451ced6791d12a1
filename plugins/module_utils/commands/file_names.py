# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: the file names that the patterns of one command line stand for.

They are looked up by root, before anything is fenced in. So what is looked at for one line is bounded, however the
patterns are written: `/*/*/*/*/x*` would else be a walk through the whole tree, and through `/proc/PID/root` for ever.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import time
from collections.abc import Iterator

from .errors import Refused

# Where commands run.
WORKING_DIRECTORY = "/"
MOST_NAMES = 2000
MOST_NAMES_OF_A_LINE = 10_000
MOST_LOOKED_AT = 100_000
MOST_SECONDS = 5.0


class FileNames:
    """Expands the patterns of one line, in the root directory, where commands run; use it for that line alone."""

    def __init__(self) -> None:
        self.names = 0
        self.looked_at = 0
        self.seconds = 0.0
        self.until = 0.0

    def matching(self, pattern: str, written: str) -> list[str]:
        """The names, sorted; none where nothing matches. Raises `Refused`, which names the pattern as `written`.

        As in a shell a leading dot is matched by a dot alone, and `**` is nothing special.
        """
        started = time.monotonic()
        self.until = started + MOST_SECONDS - self.seconds
        found: list[str] = []
        try:
            for name in self._below("/" if pattern.startswith("/") else "", pattern.lstrip("/").split("/")):
                found.append(name)
                self.names += 1
                if len(found) > MOST_NAMES or self.names > MOST_NAMES_OF_A_LINE:
                    most = MOST_NAMES if len(found) > MOST_NAMES else MOST_NAMES_OF_A_LINE
                    raise Refused(f"`{written}` stands for more than {most} files; name fewer of them.")
        except _TooMuch:
            raise Refused(
                f"`{written}` looks through too many directories; name them, or use find with -maxdepth and -name."
            ) from None
        finally:
            self.seconds += time.monotonic() - started
        return sorted(found)

    def _below(self, prefix: str, parts: list[str]) -> Iterator[str]:
        part, rest = parts[0], parts[1:]
        if not glob.has_magic(part):
            if rest:
                yield from self._below(f"{prefix}{part}/", rest)
            elif os.path.lexists(os.path.join(WORKING_DIRECTORY, prefix, part)):
                yield prefix + part
            return
        for name in self._entries(prefix, part, bool(rest)):
            if rest:
                yield from self._below(f"{prefix}{name}/", rest)
            else:
                yield prefix + name

    def _entries(self, prefix: str, part: str, directories: bool) -> list[str]:
        found = []
        try:
            with os.scandir(os.path.join(WORKING_DIRECTORY, prefix)) as entries:
                for entry in entries:
                    self.looked_at += 1
                    if self.looked_at > MOST_LOOKED_AT or time.monotonic() > self.until:
                        raise _TooMuch
                    if entry.name.startswith(".") and not part.startswith("."):
                        continue
                    if fnmatch.fnmatchcase(entry.name, part) and (not directories or entry.is_dir()):
                        found.append(entry.name)
        except OSError:
            # What may not be looked at matches nothing, as in a shell.
            return found
        return found


class _TooMuch(Exception):
    """More was to be looked at than is for one line."""
