# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: where programs are, and the environment they run in."""

from __future__ import annotations

import os

from .errors import Refused
from .rules.schema import Rule

SEARCHED = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")

# HOME names no directory: nobody's configuration files take part. C.UTF-8: outputs that can be parsed, and UTF-8.
ENVIRONMENT = {
    "PATH": ":".join(SEARCHED),
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "PAGER": "cat",
    "SYSTEMD_PAGER": "cat",
    "SYSTEMD_COLORS": "0",
    "SYSTEMD_LESS": "",
    "GIT_PAGER": "cat",
    "COLUMNS": "200",
    "LINES": "1000",
}


def find(name: str) -> str | None:
    """The path of a program, searched in fixed directories only; None where the host has no such program."""
    for directory in SEARCHED:
        path = os.path.join(directory, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def name_of(word: str) -> str:
    """The program's name; an absolute path is accepted where it leads to the same file as the name does."""
    if "/" not in word:
        return word
    directory, name = os.path.split(word)
    path = find(name)
    if path is not None and os.path.exists(word) and os.path.samefile(path, word) and word.startswith("/"):
        return name
    if path is None and os.path.normpath(directory) in SEARCHED and not os.path.lexists(word):
        return name
    raise Refused(f"`{word}` is not run: only programs in {', '.join(SEARCHED)} are; write the name alone.")


def inserted_for(name: str, rule: Rule) -> list[str]:
    """Words for the program that goes by this name here: `awk` may be gawk, which has an option that mawk has not."""
    path = find(name)
    real = os.path.basename(os.path.realpath(path)) if path else ""
    return rule.get("insert_for", {}).get(real, [])
