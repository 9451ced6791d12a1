# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report files on the controller, each written whole or not at all. Private to the collection.

Reports hold what hosts printed, so only their owner may read them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from . import text


def file_name(host: str) -> str:
    """A file name for an inventory's host name, which may hold anything.

    Reports are written by processes that do not know of each other. Where a name cannot be a file name, a hash of it
    keeps apart names that differ only in that.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", host).lstrip(".")[:180]
    if safe == host:
        return safe
    return f"{safe or 'host'}-{hashlib.sha256(host.encode(errors='surrogatepass')).hexdigest()[:8]}"


def write_host(directory: Path, report: dict[str, Any]) -> Path:
    """Writes `hosts/<host>.json` and gives its path. Raises OSError."""
    hosts = directory / "hosts"
    hosts.mkdir(mode=0o755, parents=True, exist_ok=True)
    return _write(hosts / f"{file_name(report['host'])}.json", _json(report))


def write_summary(directory: Path, overview: dict[str, Any]) -> list[Path]:
    """Writes `summary.json` and `summary.md` and gives their paths. Raises OSError."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    return [
        _write(directory / "summary.json", _json(overview)),
        _write(directory / "summary.md", text.summary_markdown(overview)),
    ]


def write_preflight(directory: Path, overview: dict[str, Any], markdown: str) -> list[Path]:
    """Writes `preflight.json` and `preflight.md` and gives their paths. Raises OSError."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    return [
        _write(directory / "preflight.json", _json(overview)),
        _write(directory / "preflight.md", markdown),
    ]


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
