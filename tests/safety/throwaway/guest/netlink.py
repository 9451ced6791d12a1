# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel says of the network by netlink, without what counts or ages by itself."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

_NETFILTER = 12
_REQUEST, _DUMP, _DONE, _ERROR = 1, 0x300, 3, 2
_CLONED = 0x200
_PERMANENT = 0x80
# What is asked for: message, length of its header, attributes that count or age (linux/if_link.h, rtnetlink.h, …).
_ASKED = {
    "links": (18, 16, {7, 23, 26}),
    "addresses": (22, 8, {6}),
    "routes": (26, 12, {12}),
    "neighbours": (30, 12, {3, 4}),
    "rules": (34, 12, set()),
    "queues": (38, 20, {3, 4, 7}),
}


def network() -> dict[str, object]:
    """What each request is answered, as comparable values."""
    found: dict[str, object] = {}
    for name, (kind, header, ageing) in _ASKED.items():
        answers = []
        for body in _ask(socket.NETLINK_ROUTE, kind, _DUMP, bytes(header)):
            if name == "routes" and struct.unpack_from("=I", body, 8)[0] & _CLONED:
                continue
            if name == "neighbours" and not struct.unpack_from("=H", body, 8)[0] & _PERMANENT:
                continue
            answers.append((body[:header], tuple(_attributes(body[header:], ageing))))
        found[name] = tuple(sorted(answers))
    return found


def firewall_generation() -> object:
    """The number that nf_tables gives each of its rule sets; None where the kernel has none."""
    for body in _ask(_NETFILTER, (10 << 8) | 16, 0, bytes(4)):
        for kind, value in _attributes(body[4:], set()):
            if kind == 1:
                return value
    return None


def _ask(protocol: int, kind: int, flags: int, body: bytes) -> Iterator[bytes]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as asked:
        asked.settimeout(5)
        asked.send(struct.pack("=IHHII", 16 + len(body), kind, _REQUEST | flags, 1, 0) + body)
        while True:
            data = asked.recv(1 << 20)
            while data:
                length, answered, _flags, _number, _port = struct.unpack_from("=IHHII", data)
                if answered in (_DONE, _ERROR):
                    return
                yield data[16:length]
                data = data[(length + 3) & ~3 :]
            if not flags & _DUMP:
                return


def _attributes(data: bytes, left_out: set[int]) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            return
        if kind & 0x3FFF not in left_out:
            yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3 :]
