# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: every built-in command rule, by program name."""

from __future__ import annotations

from . import files, network, processes, system, text
from .schema import Rule

RULES: dict[str, Rule] = {**text.RULES, **files.RULES, **processes.RULES, **network.RULES, **system.RULES}
