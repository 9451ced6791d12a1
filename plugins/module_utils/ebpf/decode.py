# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as a person reads them. Private to the collection."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from typing import Any, Optional

# Results that never reach user space (include/linux/errno.h), most of them of calls that are restarted after a signal.
_RESTARTS = {
    512: "ERESTARTSYS",
    513: "ERESTARTNOINTR",
    514: "ERESTARTNOHAND",
    515: "ENOIOCTLCMD",
    516: "ERESTART_RESTARTBLOCK",
    517: "EPROBE_DEFER",
}
_MAX_ERRNO = 4095
_MINOR_BITS = 20  # of a dev_t inside the kernel (include/linux/kdev_t.h)
_STRING_END = b"\0"
NO_POINTER = "null"  # what was returned where a pointer was to be


def error_name(code: int) -> str:
    """The name of an errno, such as ECONNREFUSED; `errno 9999` where it has none."""
    return errno.errorcode.get(code) or _RESTARTS.get(code) or f"errno {code}"


def result(value: int, is_pointer: bool) -> dict[str, Any]:
    """What a call returned: `{"error": name}` for -4095 to -1, else `{"result": value}`, an address in hex."""
    if -_MAX_ERRNO <= value < 0:
        return {"error": error_name(-value)}
    return {"result": hex(value & (2**64 - 1)) if is_pointer else value}


def string(raw: bytes, truncated_at: Optional[int] = None) -> str:
    """A C string; an ellipsis where it filled the whole buffer and so was cut."""
    shown = raw.split(_STRING_END)[0].decode("utf-8", "replace")
    return shown + "…" if truncated_at is not None and len(raw.split(_STRING_END)[0]) >= truncated_at - 1 else shown


def socket_address(raw: bytes) -> dict[str, str]:
    """A `struct sockaddr` as `family` and `address` (`ip:port`, `[ipv6]:port`, a path, `@abstract`)."""
    if len(raw) < 2:
        return {"family": "none", "address": "(empty)"}
    family = struct.unpack_from("=H", raw)[0]
    name = family_name(family)
    if family == socket.AF_INET and len(raw) >= 8:
        port, address = struct.unpack_from("!H4s", raw, 2)
        return {"family": name, "address": f"{ipaddress.IPv4Address(address)}:{port}"}
    if family == socket.AF_INET6 and len(raw) >= 24:
        port, _flow, address = struct.unpack_from("!HI16s", raw, 2)
        return {"family": name, "address": f"[{ipaddress.IPv6Address(address)}]:{port}"}
    if family == socket.AF_UNIX:
        path = raw[2:]
        abstract = path.startswith(_STRING_END)
        shown = path[1:].rstrip(_STRING_END) if abstract else path.split(_STRING_END)[0]
        return {"family": name, "address": ("@" if abstract else "") + shown.decode("utf-8", "replace")}
    return {"family": name, "address": f"({len(raw)} bytes)"}


def family_name(family: int) -> str:
    """The name of an address family, such as AF_INET6."""
    try:
        return socket.AddressFamily(family).name
    except ValueError:
        return f"AF_{family}"


def device(number: int) -> str:
    """A dev_t of the kernel as `major:minor`."""
    return f"{number >> _MINOR_BITS}:{number & (2**_MINOR_BITS - 1)}"


def path_names(raw: bytes) -> tuple[str, bool]:
    """A path from its names, the innermost first, each with its end; whether the last is the root, "/"."""
    names = raw.split(_STRING_END)[:-1] if raw.endswith(_STRING_END) else raw.split(_STRING_END)
    rooted = bool(names) and names[-1] == b"/"
    shown = b"/".join(reversed(names[:-1] if rooted else names)).decode("utf-8", "replace")
    return ("/" + shown if rooted else shown), rooted


def argument(kind: str, value: int) -> Any:
    """A system call's argument by the C type that its tracepoint declares: a number, `0o644`, an address in hex."""
    if kind.endswith("*"):
        return hex(value)
    if kind in ("umode_t", "mode_t"):
        return oct(value & 0xFFFF)
    if kind in ("int", "pid_t", "clockid_t", "key_t", "mqd_t", "timer_t", "const clockid_t", "key_serial_t"):
        return ctypes_int32(value)
    if kind in ("unsigned int", "unsigned", "uid_t", "gid_t", "u32", "uint32_t", "qid_t"):
        return value & 0xFFFFFFFF
    if kind in ("long", "off_t", "loff_t", "ssize_t", "__s64"):
        return value - 2**64 if value >= 2**63 else value
    return value


def ctypes_int32(value: int) -> int:
    """The low 32 bits as a signed number."""
    value &= 0xFFFFFFFF
    return value - 2**32 if value >= 2**31 else value
