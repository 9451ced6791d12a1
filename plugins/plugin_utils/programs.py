# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The eBPF programs as a task argument. Private to the collection, controller side."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bytecode import for_host
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.programs import ALWAYS

_BPF = Path(__file__).resolve().parents[2] / "bpf"


@lru_cache(maxsize=2)
def packed(choice: str) -> str:
    """What a host needs of the collection's `bpf/`, as one string; `choice`: whether it is to compile, see `Programs`.

    Raises HostError where the folder is missing.
    """
    return for_host(Bundle.from_directory(_BPF), compile_there=choice == ALWAYS).pack()
