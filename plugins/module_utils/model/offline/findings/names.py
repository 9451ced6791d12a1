# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: host names that do not resolve, and name servers that do not answer."""

from __future__ import annotations

import re

from ..categories import NETWORK
from ..evidence import Evidence, failures_of, name_of, number
from .finding import FAIR, STRONG, Finding

_NOT_FOUND = 2  # getent(1): one or more supplied keys could not be found in the database
_SLOW_SECONDS = 3.0
_NAME_SERVICE = ":53"
_RECEIVE = "syscalls/sys_enter_recvfrom"
_CONNECT = "syscalls/sys_enter_connect"


def find(evidence: Evidence) -> list[Finding]:
    """Names of the issue that do not resolve, or slowly; name servers that refuse."""
    found = [finding for name in _looked_up(evidence) for finding in _lookup(evidence, name)]
    return found + _refusing_servers(evidence)


def _looked_up(evidence: Evidence) -> list[str]:
    return [name.partition("_")[2] for name in evidence.commands if name.startswith("resolve_")]


def _servers(evidence: Evidence) -> list[str]:
    return re.findall(r"^\s*nameserver\s+(\S+)", evidence.output("resolver"), re.M)


def _lookup(evidence: Evidence, name: str) -> list[Finding]:
    result = evidence.commands[f"resolve_{name}"]
    took = result.get("duration_s")
    seconds = float(took) if isinstance(took, (int, float)) else 0.0
    slow = result.get("timed_out") is True or seconds >= _SLOW_SECONDS
    servers = ", ".join(map(name_of, _servers(evidence)))
    asked = f" (asked: {servers})" if servers else ""
    plan = [
        f"Check the name servers of this host{asked}: `dig +time=2 +tries=1 {name}` against each of them.",
        f"Correct the name, or the record of {name} in its zone or in /etc/hosts.",
    ]
    if result.get("exit_code") == _NOT_FOUND or result.get("timed_out") is True:
        how = f"does not resolve on this host within {seconds:.1f} s" if slow else "does not resolve on this host"
        seen = [f"`getent ahosts {name}` found no address ({seconds:.1f} s)."]
        return [Finding(NETWORK, f"The name {name} {how}{asked}", STRONG, 100, seen=seen, plan=plan, subjects=[name])]
    if slow and result.get("exit_code") == 0:
        seen = [f"`getent ahosts {name}` took {seconds:.1f} s."]
        cause = f"Resolving {name} is slow: it took {seconds:.1f} s{asked}"
        return [Finding(NETWORK, cause, FAIR, seconds, seen=seen, plan=plan, subjects=[name])]
    return []


def _refusing_servers(evidence: Evidence) -> list[Finding]:
    """A resolver connects a datagram socket to port 53, which succeeds; the refusal comes with the answer."""
    asking: dict[str, str] = {}
    for trace in evidence.traced(_CONNECT):
        for event in trace.entries("events"):
            data = event.get("data")
            place = name_of(data.get("destination")) if isinstance(data, dict) else ""
            if place.endswith(_NAME_SERVICE):
                asking[name_of(event.get("process_name"))] = place
    found = []
    for trace in evidence.traced(_RECEIVE):
        for group in failures_of(trace):
            server = asking.get(group.process)
            if group.error == "ECONNREFUSED" and server:
                found.append(
                    Finding(
                        NETWORK,
                        f"The name server {server} refuses the queries of {group.who}",
                        STRONG if group.count >= 2 else FAIR,
                        number(group.count),
                        traced=[
                            f"{trace.key}: {group.count} answers that {group.who} waited for {trace.window} came back"
                            f" as ECONNREFUSED; {group.process} had connected to {server}."
                        ],
                        plan=[f"Start the name server at {server}, or correct /etc/resolv.conf."],
                        subjects=[group.process, server],
                        pids=group.pids,
                    )
                )
    return found


def ruled_out(evidence: Evidence) -> list[str]:
    """What was looked at and is in order."""
    names = [name for name in _looked_up(evidence) if evidence.commands[f"resolve_{name}"].get("exit_code") == 0]
    return [f"{name} resolves here" for name in names if not _lookup(evidence, name)]
