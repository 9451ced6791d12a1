# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends entries to systemd's journal, in its own protocol. Private to the collection.

Source of the format: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
"""

from __future__ import annotations

import socket
from pathlib import Path

SOCKET = Path("/run/systemd/journal/socket")
_SECONDS = 1.0
"""How long a journal that is stuck is waited for."""


def is_there(path: Path = SOCKET) -> bool:
    """Whether this host has a journal to send to."""
    return path.is_socket()


def send(fields: dict[str, str], path: Path = SOCKET) -> None:
    """Hands an entry to the journal. Names are capital letters, digits and underscores. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(_SECONDS)
        connection.sendto(b"".join(_field(name, value) for name, value in fields.items()), str(path))


def _field(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "replace")
    if b"\n" in data:
        return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
    return name.encode() + b"=" + data + b"\n"
