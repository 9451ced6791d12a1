# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How what was read of a kernel's structs is shown. Private to the collection.

Each way of showing has a name, by which the data in `bpf/types/kernel_types.json` asks for it, and takes what it shows
by role. Those that are required are never missing where a function is called; what could not be read is None.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import stat
import struct
import sys
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple, Optional, Union

from . import decode
from .kernel_names import Names


class Unreadable(NamedTuple):
    """A blob that the kernel could not read."""

    errno: int

    def __str__(self) -> str:
        return f"(unreadable: {decode.error_name(self.errno)})"


_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Raw = Union[int, str, bytes, Unreadable, None]  # text where a number was named before it is shown
Roles = Mapping[str, Raw]


class Show(NamedTuple):
    """A way of showing: None where there is nothing to show."""

    function: Callable[[Roles], Any]
    required: tuple[str, ...] = ("value",)
    optional: tuple[str, ...] = ()

    def __call__(self, roles: Roles) -> Any:
        if any(roles.get(role) is None for role in self.required):
            return None
        return self.function(roles)


def of_names(names: Names) -> Show:
    """Values and flags by name."""
    return Show(lambda roles: names.show(_number(roles, "value")))


def named(name: str) -> Optional[Show]:
    """A way of showing by its name, or None."""
    return _SHOWS.get(name)


def way(name: str) -> Show:
    """A way of showing that there is. Raises KeyError."""
    return _SHOWS[name]


def _number(roles: Roles, role: str) -> int:
    found = roles.get(role)
    return found if isinstance(found, int) else 0


def _bytes(roles: Roles, role: str) -> bytes:
    """What was read as bytes; a number as it is in memory."""
    found = roles.get(role)
    if isinstance(found, int):
        return (found & (2**64 - 1)).to_bytes(8, sys.byteorder)
    return found if isinstance(found, bytes) else b""


def _hex(roles: Roles) -> Optional[str]:
    value = _number(roles, "value")
    return hex(value & (2**64 - 1))


def _two_words(roles: Roles) -> str:
    """A small struct, as it is in two registers."""
    return " ".join(hex(_number(roles, role) & (2**64 - 1)) for role in ("value", "second"))


def _pointer(roles: Roles) -> Optional[str]:
    return _hex(roles) if _number(roles, "value") else None


def _character(roles: Roles) -> Any:
    value = _number(roles, "value") & 0xFF
    return chr(value) if 32 <= value < 127 else value


def _device(roles: Roles) -> str:
    return decode.device(_number(roles, "value"))


def _string(roles: Roles) -> Any:
    found = roles["value"]
    return str(found) if isinstance(found, Unreadable) else decode.string(_bytes(roles, "value"))


def _family(roles: Roles) -> str:
    return decode.family_name(_number(roles, "value"))


def _address(roles: Roles) -> Optional[_Address]:
    """The IP address of a socket; None where it has none. A socket of either family keeps both, one of them unused."""
    family = roles.get("family")
    four = _number(roles, "ipv4") & 0xFFFFFFFF
    six = roles.get("ipv6")
    if family not in (None, socket.AF_INET, socket.AF_INET6):
        return None
    if isinstance(six, bytes) and len(six) == 16 and any(six) and family != socket.AF_INET:
        address = ipaddress.IPv6Address(six)
        return address.ipv4_mapped or address
    if family == socket.AF_INET6 and not four:
        return ipaddress.IPv6Address(0)
    return ipaddress.IPv4Address(four.to_bytes(4, sys.byteorder))


def _endpoint(roles: Roles) -> Optional[str]:
    """Of a port in the network's order, which is how most are kept."""
    return _joined(_address(roles), socket.ntohs(_number(roles, "port") & 0xFFFF))


def _local_endpoint(roles: Roles) -> Optional[str]:
    """Of a port in this machine's order."""
    return _joined(_address(roles), _number(roles, "port"))


def _joined(address: Optional[_Address], port: int) -> Optional[str]:
    if address is None or (not port and not int(address)):
        return None  # of another family, or not bound or connected (yet)
    return f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"


def _host(roles: Roles) -> Optional[str]:
    address = _address(roles)
    return None if address is None or not int(address) else str(address)


def _socket_address(roles: Roles) -> Optional[str]:
    """The start of a `struct sockaddr`, for AF_UNIX with its path; an ellipsis where the end of a name is not known."""
    head, path = _bytes(roles, "head"), roles.get("path")
    family = struct.unpack_from("=H", head)[0] if len(head) >= 2 else 0
    if family in (socket.AF_INET, socket.AF_INET6):
        return decode.socket_address(head)["address"]
    if family != socket.AF_UNIX or not any(head[2:]):
        return None
    if isinstance(path, bytes) and path.strip(b"\0"):
        return decode.string(path)
    abstract = head[2] == 0
    name = head[3 if abstract else 2 :]
    ended = not abstract and b"\0" in name
    return ("@" if abstract else "") + decode.string(name) + ("" if ended else "…")


def _socket_address_family(roles: Roles) -> Optional[str]:
    family = struct.unpack_from("=H", _bytes(roles, "head"))[0]
    return decode.family_name(family) if family else None


def _user_socket_address(roles: Roles) -> Optional[str]:
    found = roles["value"]
    return str(found) if isinstance(found, Unreadable) else decode.socket_address(_bytes(roles, "value"))["address"]


def _path(roles: Roles) -> Optional[str]:
    """A path; what has no place in the tree of files as /proc/PID/fd shows it."""
    names, inode = roles.get("names"), _number(roles, "inode")
    if isinstance(names, Unreadable):
        return str(names)
    if not names:
        return f"inode {inode}" if inode else None
    shown, rooted = decode.path_names(_bytes(roles, "names"))
    kind = stat.S_IFMT(_number(roles, "mode"))
    if rooted or roles.get("mode") is None:
        return shown if rooted else "…/" + shown
    if kind in (stat.S_IFSOCK, stat.S_IFIFO) and inode:
        return f"{'socket' if kind == stat.S_IFSOCK else 'pipe'}:[{inode}]"
    return "…/" + shown if kind else f"anon_inode:{shown}"


def _inode(roles: Roles) -> str:
    """The path of an inode, of several one; without any its number and its device."""
    if isinstance(roles.get("names"), bytes):
        return decode.path_names(_bytes(roles, "names"))[0]
    return f"inode {_number(roles, 'inode')} on device {decode.device(_number(roles, 'device'))}"


def _task(roles: Roles) -> str:
    return f"{decode.string(_bytes(roles, 'comm'))}[{_number(roles, 'pid')}]"


def _exit_code(roles: Roles) -> str:
    code = _number(roles, "value")
    if code & 0x7F:
        return f"killed by {_signal_name(code & 0x7F)}"
    return f"exit status {code >> 8 & 0xFF}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _signal(roles: Roles) -> Any:
    number = _number(roles, "value")
    return _signal_name(number) if number else 0


def _device_operation(roles: Roles) -> str:
    """An operation and the device that it is for, such as `write vda`."""
    operation = roles["operation"]
    return f"{operation!s} {decode.string(_bytes(roles, 'disk'))}".strip()


_SHOWS = {
    "number": Show(lambda roles: roles["value"]),
    "hex": Show(_hex),
    "pointer": Show(_pointer),
    "two_words": Show(_two_words, ("value", "second")),
    "octal": Show(lambda roles: oct(_number(roles, "value") & 0xFFFF)),
    "bool": Show(lambda roles: bool(_number(roles, "value") & 0xFF)),
    "character": Show(_character),
    "device": Show(_device),
    "string": Show(_string),
    "family": Show(_family),
    "endpoint": Show(_endpoint, ("port", "ipv4"), ("ipv6", "family")),
    "local_endpoint": Show(_local_endpoint, ("port", "ipv4"), ("ipv6", "family")),
    "host": Show(_host, ("ipv4",), ("ipv6", "family")),
    "socket_address": Show(_socket_address, ("head",), ("path",)),
    "socket_address_family": Show(_socket_address_family, ("head",)),
    "user_socket_address": Show(_user_socket_address),
    "path": Show(_path, (), ("names", "inode", "mode")),
    "inode": Show(_inode, ("inode", "device"), ("names",)),
    "task": Show(_task, ("comm", "pid")),
    "exit_code": Show(_exit_code),
    "signal": Show(_signal),
    "pages_of_order": Show(lambda roles: 1 << (_number(roles, "value") & 63)),
    "bytes_of_order": Show(lambda roles: os.sysconf("SC_PAGESIZE") << (_number(roles, "value") & 63)),
    "device_operation": Show(_device_operation, ("operation",), ("disk",)),
    "big_endian_16": Show(lambda roles: socket.ntohs(_number(roles, "value") & 0xFFFF)),
}
