# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model is told about the host before it asks anything. Private to the collection.

Read from /proc and /sys alone: no command is run, so that it costs nothing on a host that is in trouble.
"""

from __future__ import annotations

import os
import platform
import socket
import struct
from pathlib import Path
from typing import Any, Optional

_MIB = 1024 * 1024
# File systems that answer at once: asking one whose server is gone would hang for ever.
_LOCAL = frozenset(("btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "vfat", "xfs", "zfs"))
_MAX_DISKS = 20


def system_information() -> dict[str, Any]:
    """Host, OS, kernel, architecture, cores, memory and disks (MiB), uptime (seconds), load, addresses."""
    return {
        "hostname": socket.gethostname(),
        "os": _os_name(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cpus": os.cpu_count(),
        "memory_mib": _memory(),
        "uptime_s": _first_number("/proc/uptime"),
        "load_average": list(os.getloadavg()),
        "disks": _disks(),
        "addresses": _addresses(),
        "pressure": {name: _pressure(name) for name in ("cpu", "io", "memory")},
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _os_name() -> Optional[str]:
    for line in (_read("/etc/os-release") or _read("/usr/lib/os-release")).splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return None


def _first_number(path: str) -> Optional[float]:
    words = _read(path).split()
    return float(words[0]) if words else None


def _memory() -> dict[str, int]:
    """MiB of the lines of /proc/meminfo that tell how full the memory is."""
    wanted = {"MemTotal": "total", "MemAvailable": "available", "SwapTotal": "swap_total", "SwapFree": "swap_free"}
    found = {}
    for line in _read("/proc/meminfo").splitlines():
        name, _colon, value = line.partition(":")
        if name in wanted:
            found[wanted[name]] = int(value.split()[0]) // 1024
    return found


def _disks() -> list[dict[str, Any]]:
    """Local file systems that hold data, each device once."""
    disks, seen = [], set()
    for line in _read("/proc/self/mounts").split("\n"):
        parts = line.split(" ")
        if len(parts) < 4 or parts[2] not in _LOCAL or parts[0] in seen:
            continue
        device, mount, kind, options = parts[:4]
        if kind in ("tmpfs", "overlay") and mount not in ("/", "/tmp", "/run"):
            continue
        seen.add(device)
        usage = _usage(mount.replace("\\040", " "))
        if usage:
            disks.append({"mount": mount, "type": kind, "read_only": "ro" in options.split(","), **usage})
    return disks[:_MAX_DISKS]


def _usage(mount: str) -> Optional[dict[str, Any]]:
    try:
        status = os.statvfs(mount)
    except OSError:
        return None
    if not status.f_blocks:
        return None
    used = status.f_blocks - status.f_bfree
    inodes = 100 * (status.f_files - status.f_ffree) // status.f_files if status.f_files else 0
    return {
        "size_mib": status.f_blocks * status.f_frsize // _MIB,
        "used_percent": round(100 * used / max(1, used + status.f_bavail)),
        "inodes_used_percent": inodes,
    }


def _addresses() -> list[str]:
    """IPv4 addresses of the local routing table, IPv6 ones of /proc/net/if_inet6, without those of loopback."""
    found = []
    previous = ""
    for line in _read("/proc/net/fib_trie").splitlines():
        if "/32 host LOCAL" in line and previous and not previous.startswith("127."):
            found.append(previous)
        previous = line.split()[-1] if line.split() else ""
    for line in _read("/proc/net/if_inet6").splitlines():
        digits = line.split()[0]
        address = socket.inet_ntop(socket.AF_INET6, struct.pack("!16B", *bytes.fromhex(digits)))
        if address != "::1":
            found.append(address)
    return list(dict.fromkeys(found))


def _pressure(name: str) -> Optional[dict[str, float]]:
    """Shares of the last 10 and 60 seconds in which some task waited, in percent (Documentation/accounting/psi.rst)."""
    for line in _read(f"/proc/pressure/{name}").splitlines():
        if line.startswith("some"):
            values = dict(part.split("=") for part in line.split()[1:])
            return {"some_avg10": float(values["avg10"]), "some_avg60": float(values["avg60"])}
    return None
