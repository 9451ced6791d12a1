# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report files on the controller, each written whole or not at all. Private to the collection."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from . import text


def file_name(host: str) -> str:
    """A file name for an inventory's host name, which may hold anything."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", host).lstrip(".")
    return (safe or "host")[:200]


def write_reports(directory: Path, reports: list[dict[str, Any]], overview: dict[str, Any]) -> list[Path]:
    """Writes `hosts/<host>.json`, `summary.json` and `summary.md`; gives their paths. Raises OSError.

    Reports hold what hosts printed, so only their owner may read them.
    """
    hosts = directory / "hosts"
    hosts.mkdir(mode=0o755, parents=True, exist_ok=True)
    written, taken = [], set()
    for report in reports:
        name = file_name(report["host"])
        while name in taken:  # two names that differ only in what a file name cannot hold
            name += "_"
        taken.add(name)
        written.append(_write(hosts / f"{name}.json", _json(report)))
    written.append(_write(directory / "summary.json", _json(overview)))
    written.append(_write(directory / "summary.md", text.summary_markdown(overview)))
    return written


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, indent=1, default=str) + "\n"


def _write(path: Path, content: str) -> Path:
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path
