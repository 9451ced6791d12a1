# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machine this is, and which start of it. Private to the collection."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import Optional

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MACHINE_ID = Path("/etc/machine-id")


def machine() -> str:
    """Tells this machine from others: a hash of its machine-id, which is not to be told itself (machine-id(5))."""
    known = _line(_MACHINE_ID) or platform.node()
    return hashlib.sha256(f"nannyapi.diagnostics {known}".encode("utf-8", "replace")).hexdigest()[:32]


def boot() -> Optional[str]:
    """Another one after each start of the kernel (random(4))."""
    return _line(_BOOT_ID)


def _line(path: Path) -> Optional[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None
