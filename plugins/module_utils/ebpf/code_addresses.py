# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of kernel code as functions. Private to the collection."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from .kernel_files import KernelFiles

_CODE = b"tTwW"  # types of symbols that are code (nm(1)); w and W are weak ones
_FARTHEST = 1 << 18  # bytes behind a symbol's beginning: what is farther is in no function that has a name


def name_addresses(files: KernelFiles, addresses: Iterable[int]) -> dict[int, str]:
    """`tcp_sendmsg+0x1c`, with ` [module]` behind it where it is in one; only for those in code that has a name.

    The kernel's symbols are read once, in pieces, and none is kept but the nearest below each address. None is named
    where the kernel hides its addresses (kernel.kptr_restrict).
    """
    wanted = sorted(address for address in set(addresses) if address)
    nearest: list[tuple[int, bytes]] = [(0, b"")] * len(wanted)
    if not wanted:
        return {}
    try:
        for piece in files.symbols():
            for line in piece.split(b"\n"):
                first, space, rest = line.partition(b" ")
                if not space:
                    continue
                start = int(first, 16)
                at = bisect_left(wanted, start)
                if at < len(wanted) and start > nearest[at][0]:
                    nearest[at] = start, rest
    except (OSError, ValueError):
        return {}
    names: dict[int, str] = {}
    below = (0, b"")
    for address, found in zip(wanted, nearest):
        below = max(below, found, key=lambda symbol: symbol[0])
        start, rest = below
        if start and rest[:1] in _CODE and address - start < _FARTHEST:
            name, _tab, module = rest[2:].partition(b"\t")
            offset = f"+{address - start:#x}" if address > start else ""
            home = f" {module.decode('ascii', 'replace')}" if module else ""
            names[address] = f"{name.decode('ascii', 'replace')}{offset}{home}"
    return names
