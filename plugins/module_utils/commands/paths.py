# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: whether a file's content may be shown.

A path is judged as it is written and with its links resolved. Between the judgement and the reading the file may
change: this is a fence against what a model asks for, not against somebody who is root on the host already.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator

from .errors import Refused
from .secrets import PUBLIC_PATHS, SECRET_PATHS

MOST_FILES_IN_A_TREE = 20000
_SWAPPED = "what processes had in memory"


class PathJudge:
    """Judges paths by what is secret; a site may name more (`also_secret`, file name patterns as expressions)."""

    def __init__(self, also_secret: list[tuple[str, str]] | None = None) -> None:
        self.secret = [(re.compile(expression), what) for expression, what in SECRET_PATHS]
        self.public = [re.compile(expression) for expression in PUBLIC_PATHS]
        self.also_secret = [(re.compile(expression), what) for expression, what in also_secret or []]
        self.swaps = _swap_files()

    def may_read(self, path: str) -> None:
        """Raises `Refused` where the content of `path` is not to be shown."""
        for name in _names(path):
            what = self._secret(name)
            if what:
                raise Refused(
                    f"`{path}` is not shown: {what}. Its name, owner and mode may be: `ls -l {path}` or `stat {path}`."
                )
        _refuse_special(path)

    def may_read_tree(self, path: str) -> None:
        """Raises `Refused` where something below `path` is not to be shown, or the tree is too large to know."""
        self.may_read(path)
        whole = _names(path)[-1]
        if whole == "/" or re.match(r"/(proc|sys|dev)(/|$)", whole):
            raise Refused(f"`{path}` is not read as a whole; name a directory below it, or files by a pattern.")
        for count, name in enumerate(_files_below(whole)):
            if count >= MOST_FILES_IN_A_TREE:
                raise Refused(f"`{path}` holds more than {MOST_FILES_IN_A_TREE} files; name a smaller directory.")
            what = self._secret(name)
            if what:
                raise Refused(
                    f"`{path}` is not read as a whole, because of `{name}` ({what}); name a smaller directory, or the"
                    " files by a pattern."
                )

    def mentions_secret(self, text: str) -> str | None:
        """What secret file a word names, if it names one; for values that a program might take for a file."""
        if "/" not in text:
            return None
        return next((what for what in map(self._secret, _names(text)) if what), None)

    def _secret(self, path: str) -> str | None:
        if path in self.swaps:
            return _SWAPPED
        for expression, what in self.also_secret:
            if expression.fullmatch(path):
                return what
        if any(expression.fullmatch(path) for expression in self.public):
            return None
        return next((what for expression, what in self.secret if expression.fullmatch(path)), None)


def _swap_files() -> frozenset[str]:
    """The files that the kernel swaps to, which hold what any process had in memory."""
    try:
        with open("/proc/swaps", encoding="utf-8", errors="replace") as table:
            listed = [line.split(maxsplit=1)[0] for line in table.read().splitlines()[1:] if line.strip()]
    except OSError:
        return frozenset()
    return frozenset(re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), name) for name in listed)


def _names(path: str) -> list[str]:
    """The path as it is written, made absolute, and what it leads to."""
    if "\0" in path:
        raise Refused("A path with a NUL in it names no file.")
    # Commands run in the root directory.
    written = "/" + os.path.normpath("/" + path).lstrip("/")
    try:
        return [written, os.path.realpath(os.path.join("/", path))]
    except OSError:
        # A link that may not be followed, such as /proc/PID/root of a confined process, leads nowhere for us.
        return [written]


def _refuse_special(path: str) -> None:
    try:
        mode = os.stat(os.path.join("/", path)).st_mode
    except (OSError, ValueError):
        # The program says itself what is wrong with it.
        return
    if path == "/dev/null" or stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return
    raise Refused(f"`{path}` is not an ordinary file; pipes, sockets and devices are not read.")


def _files_below(directory: str) -> Iterator[str]:
    for parent, directories, names in os.walk(directory):
        for name in (*directories, *names):
            yield os.path.join(parent, name)
