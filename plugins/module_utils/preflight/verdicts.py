# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check comes to, and the names of all checks. Private to the collection."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Optional

OK, LIMITED, FAILED, NOT_TRIED = "ok", "limited", "failed", "not tried"
"""A diagnosis goes well; goes, with less; does not go. The last: this run had no way to know."""

HOST_CHECKS = ("setup", "privileges", "probes", "sandbox", "policy", "records")
MODEL_CHECKS = ("model", "prompt")
CATEGORIES = {
    "network": "application randomly fails to connect to database",
    "process": "a service keeps being restarted, and nobody knows what ends its process",
    "file_io": "an application says that it cannot open its files, and reading the others is slow",
    "performance": "the host has become slow, and load is far above the usual",
    "memory": "memory grows until processes are killed for want of it",
}
"""The categories of issues that the prompt's table of programs has, each with an issue in a person's words."""

CHECKS = (*HOST_CHECKS, *MODEL_CHECKS, *CATEGORIES)


@dataclass(frozen=True)
class Check:
    """A verdict, the sentence that says what was found, and, unless all is well, the one that says what mends it."""

    verdict: str
    found: str
    remedy: Optional[str] = None

    def as_data(self) -> dict[str, Any]:
        """For a result."""
        return asdict(self)


def not_tried(why: str) -> Check:
    """Of what this run did not look at."""
    return Check(NOT_TRIED, why)
