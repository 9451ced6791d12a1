# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: listening sockets, from `ss -tlnp`."""

from __future__ import annotations

import re

from ..categories import NETWORK
from ..evidence import Evidence, name_of
from .finding import STRONG, Finding

_PORT = re.compile(r":(\d+)$")
# State, Recv-Q (waiting to be accepted), Send-Q (room), local address, …; ss(8)
_LINE = re.compile(r"^LISTEN\s+(\d+)\s+(\d+)\s+(\S+:\d+)\s+\S+\s*(.*)$")


def port_of(address: str) -> str:
    """The port of `ip:port`; empty where there is none."""
    found = _PORT.search(address)
    return found.group(1) if found else ""


def is_local(evidence: Evidence, address: str) -> bool:
    """Whether `ip:port` is on this host."""
    host = _PORT.sub("", address).strip("[]")
    own = evidence.system.get("addresses")
    return host.startswith("127.") or host in ("::1", "0.0.0.0", "::") or (isinstance(own, list) and host in own)


def listening_ports(evidence: Evidence) -> set[str]:
    """The TCP ports that something listens on; none where that is not known."""
    return {port_of(found.group(3)) for found in map(_LINE.match, evidence.lines("listeners")) if found}


def find(evidence: Evidence) -> list[Finding]:
    """Listeners whose queue of connections to be accepted is full."""
    found = []
    for line in map(_LINE.match, evidence.lines("listeners")):
        if line and 0 < int(line.group(2)) <= int(line.group(1)):
            found.append(_full(int(line.group(1)), int(line.group(2)), line.group(3), line.group(4)))
    return found


def _full(waiting: int, room: int, address: str, users: str) -> Finding:
    process = re.search(r'\(\("([^"]+)",pid=(\d+)', users)
    name = name_of(process.group(1)) if process else "the service"
    pids = [int(process.group(2))] if process else []
    return Finding(
        NETWORK,
        f"{name}{f' (pid {pids[0]})' if pids else ''} does not accept connections on {address} fast enough: its queue"
        f" is full ({waiting} waiting, room for {room})",
        STRONG,
        waiting,
        seen=[f"`ss -tlnp` shows {waiting} connections waiting on {address} where there is room for {room}."],
        plan=[
            f"Find out why {name} does not accept: blocked, out of workers, out of file descriptors, or too slow.",
            "If it is merely busy, raise its backlog and `net.core.somaxconn`.",
        ],
        subjects=[name, address, port_of(address)],
        pids=pids,
    )


def ruled_out(evidence: Evidence) -> list[str]:
    """What was looked at and is in order."""
    ports = listening_ports(evidence)
    return [f"no listener's queue is full ({len(ports)} TCP ports)"] if ports and not find(evidence) else []
