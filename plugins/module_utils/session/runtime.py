# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python that a module needs, where the task's own lacks libraries. Private to the collection."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

from ansible.module_utils.common.respawn import has_respawned, respawn_module

RUNTIME_PYTHON = Path("/opt/nannyapi/diagnostics/venv/bin/python")
# respawn_module writes the arguments to a pipe that nobody reads yet: beyond a pipe's buffer (64 KiB) it would hang.
_MAX_ARGUMENTS = 56 * 1024


def missing_libraries(asks_model: bool) -> list[str]:
    """What this Python lacks of what a diagnosis needs. `asks_model`: for the protocol and requests, too."""
    wanted = ("pydantic", "bashlex", "httpx") if asks_model else ("bashlex",)
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if all(importlib.util.find_spec(name) is None for name in ("seccomp", "pyseccomp")):
        missing.append("seccomp")
    # Distributions still ship pydantic 1, which the protocol cannot use.
    if asks_model and "pydantic" not in missing and importlib.metadata.version("pydantic").startswith("1."):
        missing.append("pydantic 2")
    return missing


def respawn_where_libraries_are(parameters: dict[str, Any], asks_model: bool = True) -> None:
    """Starts the module anew under the runtime's Python where libraries of a diagnosis are missing.

    Does not return if it does so. `parameters`: the module's arguments, for their size. `asks_model`: whether the
    libraries for the protocol and for requests are wanted too.
    """
    if has_respawned() or not os.access(RUNTIME_PYTHON, os.X_OK) or not missing_libraries(asks_model):
        return
    if len(json.dumps(parameters, default=str)) > _MAX_ARGUMENTS:
        return
    respawn_module(str(RUNTIME_PYTHON))
