# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""reports/safety.json, into which each part of the safety tests writes its own key."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

REPORT = Path(__file__).parents[2] / "reports" / "safety.json"


def merge(key: str, values: dict[str, Any]) -> None:
    """Puts `values` under `key`, and leaves what other parts wrote, there and elsewhere."""
    REPORT.parent.mkdir(exist_ok=True)
    with open(REPORT, "a+", encoding="utf-8") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        opened.seek(0)
        report = json.loads(opened.read() or "{}")
        report[key] = {**report.get(key, {}), **values}
        opened.truncate(0)
        opened.write(json.dumps(report, indent=2, sort_keys=True) + os.linesep)
