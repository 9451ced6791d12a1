# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The eBPF programs as a task argument. Private to the collection, controller side."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle

_BPF = Path(__file__).resolve().parents[2] / "bpf"


@lru_cache(maxsize=1)
def packed() -> str:
    """The collection's `bpf/` folder as one string. Raises HostError where it is missing."""
    return Bundle.from_directory(_BPF).pack()
