# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: what stands between systemd's programs and xdg-dbus-proxy while they say who they are.

They send all lines of the handshake at once, and a proxy such as Debian 12's 0.1.4 gives up then
(https://github.com/flatpak/xdg-dbus-proxy/issues/21). Here each line waits for the answer to the one before.
Descriptors are not passed: whoever asks for that is told no, as the specification has it. What follows the handshake
are messages (`dbus_messages.py`).
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading

from .dbus_messages import NoMessage, Passing

_LONGEST_LINE = 16384
_MOST_CONNECTIONS = 64
_PATIENCE = 10.0
_CHUNK = 65536


class Relay:
    """Listens at `path` and connects each caller with `proxy`, a socket's path. `close` ends it. Raises OSError."""

    def __init__(self, path: str, proxy: str) -> None:
        self.proxy = proxy
        self.free = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.listening.bind(path)
            os.chmod(path, 0o666)
            self.listening.listen(16)
        except OSError:
            self.listening.close()
            raise
        threading.Thread(target=self._serve, daemon=True, name="bus").start()

    def close(self) -> None:
        """Takes no more callers; those who are connected are left to the proxy's end."""
        # Closing alone would not wake up who waits for callers.
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()

    def _serve(self) -> None:
        while True:
            try:
                caller, _nobody = self.listening.accept()
            except OSError:
                return
            if not self.free.acquire(blocking=False):
                caller.close()
                continue
            threading.Thread(target=self._connected, args=(caller,), daemon=True, name="bus-caller").start()

    def _connected(self, caller: socket.socket) -> None:
        try:
            with caller, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as proxy:
                caller.settimeout(_PATIENCE)
                proxy.settimeout(_PATIENCE)
                proxy.connect(self.proxy)
                left = _shake_hands(caller, proxy)
                if left is not None:
                    _pass_on(caller, proxy, left)
        except (OSError, NoMessage):
            # Whoever is connected notices by itself that the other end is gone.
            return
        finally:
            self.free.release()


def _shake_hands(caller: socket.socket, proxy: socket.socket) -> bytes | None:
    """Line by line up to BEGIN; what the caller has sent beyond that, or None where it is no handshake."""
    sent, answered = bytearray(), bytearray()
    first = caller.recv(1)
    if first != b"\0":
        return None
    proxy.sendall(first)
    while True:
        line = _line(caller, sent)
        if line is None:
            return None
        if line.startswith(b"NEGOTIATE_UNIX_FD"):
            caller.sendall(b"ERROR\r\n")
            continue
        proxy.sendall(line)
        if line == b"BEGIN\r\n":
            return bytes(sent)
        answer = _line(proxy, answered)
        if answer is None:
            return None
        caller.sendall(answer)


def _line(source: socket.socket, held: bytearray) -> bytes | None:
    """The next line with its end; None where there is none or it is too long."""
    while b"\r\n" not in held:
        chunk = source.recv(4096)
        if not chunk or len(held) > _LONGEST_LINE:
            return None
        held += chunk
    end = held.index(b"\r\n") + 2
    line = bytes(held[:end])
    del held[:end]
    return line


def _pass_on(caller: socket.socket, proxy: socket.socket, left: bytes) -> None:
    """Messages in both directions until one of the two is done; `left` is what the caller has sent already."""
    passing = Passing()
    proxy.sendall(passing.call(left))
    poller = select.poll()
    others = {caller.fileno(): (caller, proxy, passing.call), proxy.fileno(): (proxy, caller, passing.answer)}
    for number in others:
        poller.register(number, select.POLLIN)
    while True:
        for number, _event in poller.poll():
            source, target, passed = others[number]
            chunk = source.recv(_CHUNK)
            if not chunk:
                return
            target.sendall(passed(chunk))
