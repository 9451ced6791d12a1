# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the controller's Python has what it needs to lead a diagnosis. Private to the collection, controller side."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from typing import Optional

LIBRARIES = ("httpx", "pydantic")


def missing() -> Optional[str]:
    """A sentence that says what is missing and how to get it, or None."""
    absent = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if not absent and importlib.metadata.version("pydantic").startswith("1."):
        absent = ["pydantic 2 (there is version 1)"]
    if not absent:
        return None
    return (
        f"With model_access: controller the diagnosis is led by the controller's Python, {sys.executable}, which has no"
        f" {' and no '.join(absent)}. Install what the collection's meta/ee-requirements.txt lists for it, with"
        f" {sys.executable} -m pip install -r, or use an execution environment that was built with this collection."
    )
