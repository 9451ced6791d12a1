# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages between two processes of a run, and file descriptors that one lends the other. Private to the collection.

JSON and nothing else: what the one with fewer privileges says is data to the other.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import threading
from typing import Any, Callable

_LENGTH = struct.Struct("!Q")
_MOST_BYTES = 1 << 28
_MOST_ASKED = 4096


class Broken(Exception):
    """The other process is gone, or says what is no message."""


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Raises Broken."""
    data = json.dumps(message, default=str).encode("utf-8", "replace")
    try:
        connection.sendall(_LENGTH.pack(len(data)) + data)
    except OSError as error:
        raise Broken(str(error)) from error


def receive(connection: socket.socket) -> dict[str, Any]:
    """Waits for a whole message. Raises Broken."""
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    if length > _MOST_BYTES:
        raise Broken(f"a message of {length} bytes")
    try:
        message = json.loads(_exactly(connection, length))
    except (ValueError, RecursionError) as error:
        raise Broken("what it said is no JSON") from error
    if not isinstance(message, dict):
        raise Broken("what it said is no message")
    return message


def _exactly(connection: socket.socket, length: int) -> bytes:
    received = bytearray()
    while len(received) < length:
        try:
            piece = connection.recv(min(length - len(received), 1 << 20))
        except OSError as error:
            raise Broken(str(error)) from error
        if not piece:
            raise Broken("it has ended")
        received += piece
    return bytes(received)


class Borrowing:
    """The borrower's end of a socket that descriptors are lent through; threads take turns."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def __call__(self, asked: dict[str, Any]) -> int:
        """A descriptor. Raises OSError: why the other process could not open it."""
        with self._lock:
            self._connection.send(json.dumps(asked).encode())
            said, descriptors, _flags, _address = socket.recv_fds(self._connection, 16, 1)
        if descriptors:
            return int(descriptors[0])
        code = int(said or errno.EPIPE)
        raise OSError(code, os.strerror(code))


def lend(connection: socket.socket, opened: Callable[[dict[str, Any]], int]) -> None:
    """Answers one request of a `Borrowing` with what `opened` gives, or with why it raised. Raises Broken."""
    try:
        asked = json.loads(connection.recv(_MOST_ASKED) or b"null")
        if not isinstance(asked, dict):
            raise Broken("it has ended")
        try:
            descriptor = opened(asked)
        except OSError as error:
            connection.send(str(error.errno or errno.EIO).encode())
            return
        try:
            socket.send_fds(connection, [b"0"], [descriptor])
        finally:
            os.close(descriptor)
    except (OSError, ValueError, RecursionError) as error:
        raise Broken(str(error)) from error
