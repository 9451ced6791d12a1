# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: the schema of a reply as servers take it, and which do not.

That a server refuses it is found out by asking, which costs a request. So it is remembered beyond the diagnosis, in a
file for each model at each server, for a week: servers are updated.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import time
from pathlib import Path
from typing import Any, Optional

from ..protocol_schema import reply_schema

ON_HOST = Path("/var/cache/nannyapi/diagnostics/servers")

_WEEK = 7 * 24 * 3600.0
_SUFFIX = ".takes_no_schema"
_REFUSING = (400, 422)
_ABOUT_IT = ("response_format", "json_schema", "structured output", "guided", "grammar")
"""Words that a failure is about the form. A gateway tells a provider's refusal as a failure of its own."""


@functools.cache
def response_format() -> dict[str, Any]:
    """What a request says of the reply, by the interface of OpenAI.

    Not ``strict``: that allows no choice between two kinds of reply, and no key that may be absent.
    """
    # Servers look for a type at the root; both kinds of reply have this one.
    schema = {"type": "object", **reply_schema()}
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}


def may_be_why(status: int, said: str) -> bool:
    """Whether a request may have been refused for its form."""
    return status in _REFUSING or (status >= 500 and any(word in said.lower() for word in _ABOUT_IT))


class Refusals:
    """Which model at which server takes no schema; `folder`: where that is kept, None for nowhere."""

    def __init__(self, folder: Optional[Path] = None) -> None:
        self._folder = folder

    def known(self, url: str, model: str) -> bool:
        """Whether it was refused within a week."""
        path = self._path(url, model)
        try:
            return path is not None and 0 <= time.time() - path.lstat().st_mtime < _WEEK
        except OSError:
            return False

    def note(self, url: str, model: str) -> None:
        """Keeps that it was refused, as far as that can be kept, and forgets what is too old."""
        path = self._path(url, model)
        if path is None:
            return
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            os.utime(path)
            for other in path.parent.glob(f"*{_SUFFIX}"):
                if time.time() - other.lstat().st_mtime > _WEEK:
                    other.unlink(missing_ok=True)

    def _path(self, url: str, model: str) -> Optional[Path]:
        name = hashlib.sha256(f"{url.partition('?')[0]} {model}".encode("utf-8", "replace")).hexdigest()[:32]
        return self._folder / f"{name}{_SUFFIX}" if self._folder else None
