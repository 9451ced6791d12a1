# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The full record of a diagnosis, a file on the host. Private to the collection."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

RECORDS = Path("/var/lib/nannyapi/diagnostics")
_KEPT = 50  # the newest; a record is some hundred kilobytes
_NAME = re.compile(r"^\d{8}T\d{6}Z-[0-9a-f]{8}\.json$")
_MAP = ".identities"


def new_id() -> str:
    """An id that sorts by time, such as `20260131T020304Z-1f2e3d4c`."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + "-" + uuid.uuid4().hex[:8]


def write(identifier: str, record: dict[str, Any], directory: Path = RECORDS) -> Path:
    """Writes a record, whole or not at all, readable by its owner alone, and drops the oldest. Raises OSError."""
    path = _write_whole(directory / f"{identifier}.json", record)
    for old in sorted(entry for entry in directory.iterdir() if _NAME.match(entry.name))[:-_KEPT]:
        old.unlink(missing_ok=True)
        old.with_suffix(_MAP).unlink(missing_ok=True)
    return path


def write_map(identifier: str, identities: dict[str, str], directory: Path = RECORDS) -> Path:
    """Writes what placeholders stand for beside the record; it goes with the record, and nowhere else."""
    return _write_whole(directory / f"{identifier}{_MAP}", identities)


def _write_whole(path: Path, data: dict[str, Any]) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")  # mode 0600
    try:
        with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
            json.dump(data, file, ensure_ascii=False, indent=1, default=str)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path
