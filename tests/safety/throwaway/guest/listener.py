# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens for what a line sends: at 127.0.0.1:7999, and at the only way to any address but the host's own."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

PORT = 7999
_ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"
_ETH_P_IP = 0x0800


class Listener:
    """Counts what arrives; `outside` is the device behind which all other addresses are."""

    def __init__(self, outside: str) -> None:
        self._arrived: list[str] = []
        tcp = socket.create_server(("127.0.0.1", PORT), backlog=50)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", PORT))
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
        wire.bind((outside, _ETH_P_IP))
        for target, listening in ((self._tcp, tcp), (self._udp, udp), (self._wire, wire)):
            threading.Thread(target=target, args=(listening,), daemon=True).start()

    def take(self) -> list[str]:
        """What arrived since the last time, in words."""
        taken, self._arrived = self._arrived, []
        return taken

    def _tcp(self, listening: socket.socket) -> None:
        while True:
            accepted = listening.accept()[0]
            self._arrived.append(f"a connection to port {PORT}")
            with accepted, suppress(OSError):
                accepted.settimeout(0.2)
                accepted.recv(1000)
                accepted.sendall(_ANSWER)

    def _udp(self, listening: socket.socket) -> None:
        while True:
            listening.recv(1000)
            self._arrived.append(f"a datagram at port {PORT}")

    def _wire(self, listening: socket.socket) -> None:
        while True:
            data, (_device, _protocol, kind, _hardware, _address) = listening.recvfrom(2000)
            # What went out at the other end comes in here; to all or to many is not to somebody.
            if kind != socket.PACKET_OUTGOING and len(data) >= 20 and data[16] < 224:
                self._arrived.append(f"a packet to {socket.inet_ntoa(data[16:20])}")
