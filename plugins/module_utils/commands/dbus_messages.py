# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: messages of D-Bus as they pass, and what of a service manager's answers is masked.

The manager of services tells its environment to whoever may read its properties, which systemctl does for half of what
it shows. It is what every service is given, secrets among it. So its values are masked on their way, in place: no
length changes, and what is no answer about the manager itself passes untouched. (Libraries for D-Bus give values, and
no place in a message where they stand; to put a message together anew would be to vouch for all of it.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

MANAGER = "/org/freedesktop/systemd1"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_PROPERTY = b"Environment\0"
_STRINGS = b"\x02as\0"  # the signature of a variant that holds strings
_FIXED = 16  # bytes of a header before its fields
_MOST = 64 << 20  # bytes of a message; services send far less than the specification's 128 MiB
_MOST_CALLED = 1 << 20  # of one that a caller sends: it is held here, where a command's own memory is not counted
_MOST_ASKED = 4096
_PATH, _INTERFACE, _REPLY_SERIAL = 1, 2, 5
_CALL = 1


class NoMessage(Exception):
    """What was sent is not D-Bus, or more than anybody sends."""


@dataclass
class _Header:
    """`order`: of bytes, for struct; `body`: where it begins, in bytes; `fields`: texts and numbers, by their code."""

    order: str
    kind: int
    serial: int
    body: int
    fields: dict[int, object]


@dataclass
class Passing:
    """Both directions of one connection, from the end of its handshake on.

    `asked`: serials of questions about the manager that are not answered yet; the other two hold what is no whole
    message so far.
    """

    asked: set[int] = field(default_factory=set)
    from_caller: bytearray = field(default_factory=bytearray)
    to_caller: bytearray = field(default_factory=bytearray)

    def call(self, chunk: bytes) -> bytes:
        """What may be passed on of what the caller has sent. Raises NoMessage."""
        self.from_caller += chunk
        passed = bytearray()
        for message in _messages(self.from_caller, _MOST_CALLED):
            header = _parsed(message)
            known = (header.fields.get(_PATH), header.fields.get(_INTERFACE, _PROPERTIES))
            if header.kind == _CALL and known == (MANAGER, _PROPERTIES):
                if len(self.asked) >= _MOST_ASKED:
                    raise NoMessage("too many questions without an answer")
                self.asked.add(header.serial)
            passed += message
        return bytes(passed)

    def answer(self, chunk: bytes) -> bytes:
        """What may be passed on of what the bus has sent, with the manager's environment masked. Raises NoMessage."""
        self.to_caller += chunk
        passed = bytearray()
        for message in _messages(self.to_caller, _MOST):
            header = _parsed(message)
            serial = header.fields.get(_REPLY_SERIAL)
            if isinstance(serial, int) and serial in self.asked:
                self.asked.discard(serial)
                _mask(message, header)
            passed += message
        return bytes(passed)


def _messages(held: bytearray, most: int) -> Iterator[bytearray]:
    """Takes whole messages off the front. Raises NoMessage for one of more bytes than `most`."""
    while len(held) >= _FIXED:
        order = _order(held)
        body, _serial, fields = struct.unpack_from(f"{order}III", held, 4)
        length = _FIXED + _padded(fields, 8) + body
        if length > most:
            raise NoMessage(f"a message of {length} bytes")
        if len(held) < length:
            return
        message = held[:length]
        del held[:length]
        yield message


def _order(message: bytearray) -> str:
    orders = {ord("l"): "<", ord("B"): ">"}
    if message[0] not in orders:
        raise NoMessage("no message begins so")
    return orders[message[0]]


def _padded(number: int, to: int) -> int:
    return -(-number // to) * to


def _parsed(message: bytearray) -> _Header:
    """Of the fields those that are texts or numbers, which all that are looked for are. Raises NoMessage."""
    order = _order(message)
    _body, serial, length = struct.unpack_from(f"{order}III", message, 4)
    fields: dict[int, object] = {}
    at, end = _FIXED, _FIXED + length
    try:
        while (at := _padded(at, 8)) < end:
            code, one, kind, zero = message[at : at + 4]
            at += 4
            if one != 1 or zero:
                raise NoMessage("a field of more than one value")
            size = message[at] if kind == ord("g") else struct.unpack_from(f"{order}I", message, at)[0]
            start = at + (1 if kind == ord("g") else 4)
            if kind in b"sog":
                if start + size >= end + 8:
                    raise NoMessage("a field beyond its header")
                fields[code] = message[start : start + size].decode("utf-8", "replace")
                at = start + size + 1
            elif kind == ord("u"):
                fields[code] = size
                at = start
            else:
                raise NoMessage("a field of another type than the specification's")
    except (ValueError, IndexError, struct.error) as error:
        raise NoMessage(str(error)) from error
    return _Header(order, message[1], serial, _FIXED + _padded(length, 8), fields)


def _mask(message: bytearray, header: _Header) -> None:
    """Puts an x for each byte behind the `=` of the entries of the environment, wherever it is among the properties."""
    at = header.body
    if message.startswith(_STRINGS, at):  # the one property that holds strings and was asked for by itself, perhaps
        _mask_strings(message, header.order, at + len(_STRINGS))
    key = struct.pack(f"{header.order}I", len(_PROPERTY) - 1) + _PROPERTY + _STRINGS
    while (at := message.find(key, at)) >= 0:
        at += len(key)
        _mask_strings(message, header.order, at)


def _mask_strings(message: bytearray, order: str, at: int) -> None:
    at = _padded(at, 4)
    if at + 4 > len(message):
        return
    end = min(at + 4 + struct.unpack_from(f"{order}I", message, at)[0], len(message))
    at += 4
    while (at := _padded(at, 4)) + 4 <= end:
        size = struct.unpack_from(f"{order}I", message, at)[0]
        start, stop = at + 4, min(at + 4 + size, end)
        equals = message.find(b"=", start, stop)
        if equals >= 0:
            message[equals + 1 : stop] = b"x" * (stop - equals - 1)
        at = start + size + 1
