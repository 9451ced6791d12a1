# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On whose behalf a controller runs, for the log of actions on a host. Private to the collection, controller side."""

from __future__ import annotations

import os
import platform
import pwd
from collections.abc import Mapping
from typing import Any

# AWX gives both names to its jobs, as extra variables.
_OF_AWX = {"awx_job": ("awx_job_id", "tower_job_id"), "awx_user": ("awx_user_name", "tower_user_name")}


def asked_by(variables: Mapping[str, Any]) -> dict[str, str]:
    """The user and the host that ansible runs as and on, and AWX's job and user where it is AWX."""
    told = {"user": _user(), "host": platform.node()}
    for name, candidates in _OF_AWX.items():
        value = next((variables[each] for each in candidates if variables.get(each)), None)
        if isinstance(value, (str, int)):
            told[name] = str(value)
    return told


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container that runs as whatever number it is given
        return str(os.getuid())
