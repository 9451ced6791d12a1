# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host remembers between the rounds of a diagnosis that the controller leads. Private to the collection.

Each round is a process of its own, and the same secret must have the same placeholder in all of them. No secret is in
what is kept, as `redaction/memory.py` says; addresses, hosts and users are, readable by root alone.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, Optional

from ..redaction.memory import Memory
from ..redaction.redactor import Redactor
from . import record

# The second is in memory, for a host whose disk cannot be written: that one may be what is to be diagnosed.
PLACES = (record.RECORDS, Path("/run/nannyapi-diagnostics"))
_SUFFIX = ".between_rounds"
_KEPT = 50


class Forgotten(Exception):
    """A round of a diagnosis that this host knows nothing of; the message is a sentence."""


def keep(identifier: str, redactor: Redactor, places: Collection[Path] = PLACES) -> None:
    """Keeps what the next round has to know. Raises OSError where no place can be written to."""
    content = {"memory": redactor.remembered().as_json(), "identities": redactor.identities}
    for number, place in enumerate(places, 1):
        try:
            _replace(place / f"{identifier}{_SUFFIX}", json.dumps(content))
            return
        except OSError:
            if number == len(places):
                raise


def recall(identifier: str, also: Collection[str], places: Collection[Path] = PLACES) -> Redactor:
    """The redactor of a diagnosis as its last round left it. Raises Forgotten."""
    content = _content(identifier, places)
    if content is None:
        raise Forgotten(
            f"This host knows nothing of the diagnosis {identifier}, which it took part in before: what was redacted in"
            " its earlier rounds would be mistaken for something else in this one. Start a new diagnosis."
        )
    return Redactor(also, Memory.from_json(content["memory"]), content["identities"])


def forget(identifier: str, places: Collection[Path] = PLACES) -> None:
    """Removes what was kept."""
    for place in places:
        with contextlib.suppress(OSError):
            (place / f"{identifier}{_SUFFIX}").unlink(missing_ok=True)


def prune(places: Collection[Path] = PLACES) -> None:
    """Removes what was kept for the oldest of the diagnoses that nobody ended for good."""
    for place in places:
        with contextlib.suppress(OSError):
            for old in sorted(entry for entry in place.iterdir() if entry.suffix == _SUFFIX)[:-_KEPT]:
                old.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        PLACES[-1].rmdir()


def _replace(path: Path, text: str) -> None:
    """Writes a file, whole or not at all, readable by its owner alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "replace"))
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _content(identifier: str, places: Collection[Path]) -> Optional[dict[str, Any]]:
    for place in places:
        try:
            content = json.loads((place / f"{identifier}{_SUFFIX}").read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(content, dict) and {"memory", "identities"} <= content.keys():
            return content
    return None
