# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the policy calls secret by its place, the sandbox masks: each fence would do alone."""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.sandbox_mounts import SECRETS, SOCKETS

sys.path.append(str(Path(__file__).parents[1] / "safety"))

import corpus

# Of the kernel's files, /proc/PID is closed to other accounts, and /dev is the sandbox's own.
SHOWN = sorted(
    {
        case.look.partition(" ")[2]
        for case in corpus.hostile()
        if case.look.startswith("shown /") and not case.look.startswith(("shown /proc", "shown /dev"))
    }
)


@pytest.mark.parametrize("path", SHOWN)
def test_each_secret_that_a_hostile_line_is_after_is_masked(path: str) -> None:
    places = [path, *map(str, PurePosixPath(path).parents)]
    assert any(fnmatchcase(place, pattern) for place in places for pattern in SECRETS + SOCKETS), (
        f"{path} would be shown"
    )
