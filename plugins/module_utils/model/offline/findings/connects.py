# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: connections that do not come about, from the connect(2) calls that were traced.

A connection on a non-blocking socket "fails" with EINPROGRESS: whether it came about shows in the socket's states.
"""

from __future__ import annotations

import re

from ..categories import NETWORK
from ..evidence import Evidence, Failures, Trace, calls_of, counted, failures_of, name_of, number
from .finding import FAIR, STRONG, WEAK, Finding
from .listeners import is_local, listening_ports, port_of

_CONNECT = "syscalls/sys_enter_connect"
_STATES = "sock/inet_sock_set_state"
_UNDER_WAY = ("EINPROGRESS", "EALREADY", "EISCONN", "EINTR", "ERESTARTSYS", "ERESTARTNOINTR", "ERESTARTNOHAND")
_UNREACHABLE = ("ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT")
_REPEATED = 3
_WAITING_US = 2_000_000

# Sockets that libraries try everywhere and do without: name service caches, user databases, the system log …
_OPTIONAL_SOCKETS = re.compile(
    r"(/var)?/run/(nscd/|systemd/|setrans/|dbus/|uuidd/|user/\d+/|avahi-daemon/|cups/|pcscd/)|/dev/log$|/tmp/\.X11|@|$"
)

# errno → (what it means, what to do)
_MEANING: dict[str, tuple[str, list[str]]] = {
    "ECONNREFUSED": (
        "the connections are refused",
        ["Start the service that should listen on {key}, or correct the address that {process} is configured with."],
    ),
    "ETIMEDOUT": (
        "nobody answers",
        ["Check the way to {key}: routing (`ip route get`), firewalls on both ends, and whether the host is up."],
    ),
    "EHOSTUNREACH": (
        "the host cannot be reached",
        ["Check the way to {key}: routing, the neighbour table (`ip neigh`), and firewalls that reject."],
    ),
    "ENETUNREACH": ("there is no route to it", ["Check `ip route` and the interface that should lead to {key}."]),
    "ECONNRESET": ("the other side resets the connections", ["Look into the log of the service behind {key}."]),
    "EACCES": ("the call is not permitted", ["Check the rights of {process} on {key}, and firewall or LSM rules."]),
    "EPERM": ("the call is not permitted", ["Check firewall, cgroup and LSM rules for {process} and {key}."]),
    "EADDRNOTAVAIL": (
        "no local address or port is left for it",
        ["Check the number of connections to {key} (`ss -s`), and `net.ipv4.ip_local_port_range`."],
    ),
    "EAGAIN": ("the listener's queue is full", ["Check why the service behind {key} does not accept any more."]),
    "ENOENT": ("the socket does not exist", ["Start the service that should provide {key}."]),
    "ENOBUFS": ("no buffers are left", ["Check the host's memory and `net.core` limits."]),
}


def find(evidence: Evidence) -> list[Finding]:
    """Failed, unanswered and never established connections."""
    found: list[Finding] = []
    for trace in evidence.traced(_CONNECT):
        found += [_failed(evidence, trace, group) for group in faults(trace)]
        found += _unanswered(trace)
        found += _never_established(evidence, trace)
    return found


def faults(trace: Trace) -> list[Failures]:
    """The failures that are not part of ordinary life."""
    return [group for group in failures_of(trace) if not _ordinary(group)]


def _ordinary(group: Failures) -> bool:
    if group.error in _UNDER_WAY or group.error.startswith("ERESTART"):
        return True
    # getaddrinfo(3) tries a route to every address that it has found; IPv6 without a route is common.
    if group.error in _UNREACHABLE and (group.key.startswith("[") or group.key.endswith(":0")):
        return True
    unix = group.key.startswith(("/", "@")) or not group.key
    return unix and group.error in ("ENOENT", "ECONNREFUSED") and bool(_OPTIONAL_SOCKETS.match(group.key))


def _failed(evidence: Evidence, trace: Trace, group: Failures) -> Finding:
    meaning, plan = _MEANING.get(group.error, (f"the call fails with {group.error}", ["Look into {process}'s log."]))
    seen: list[str] = []
    if group.error == "ECONNREFUSED" and port_of(group.key):
        extra, sentence = _listener(evidence, group.key)
        meaning += extra
        seen = [sentence] if sentence else []
    calls = calls_of(trace, group.pids)
    of_all = f"of the {counted(calls, 'connect call')}" if calls >= group.count else "connect calls"
    return Finding(
        NETWORK,
        f"{group.who} cannot connect to {group.key or 'its target'}: {meaning}"
        f" ({group.error}, {counted(group.count, 'time')} {trace.window})",
        STRONG if group.count >= _REPEATED else WEAK,
        group.count,
        traced=[
            f"{trace.key}: {group.count} {of_all} of {group.who} {trace.window} failed with {group.error}, to"
            f" {group.key or 'an unnamed address'}."
        ],
        seen=seen,
        plan=[step.format(process=group.process, key=group.key or "its target") for step in plan]
        + [f"Then watch `ss -tanp` for {group.process}: connections to {group.key or 'it'} should be established."],
        subjects=[group.process, group.key, port_of(group.key)],
        pids=group.pids,
        addresses=[group.key] if group.error in ("ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH") else [],
    )


def _listener(evidence: Evidence, key: str) -> tuple[str, str]:
    """What the list of listeners says of a refused destination: an addition to the cause, and a sentence."""
    if not is_local(evidence, key):
        return ", so the host answers and no service accepts there", ""
    ports = listening_ports(evidence)
    if not ports:
        return "", ""
    port = port_of(key)
    if port in ports:
        return "", f"`ss -tlnp` lists a listener on port {port} by now, perhaps on another address."
    return f", as nothing listens on port {port} of this host", f"`ss -tlnp` lists no listener on port {port}."


def _unanswered(trace: Trace) -> list[Finding]:
    """Calls that had been waiting for an answer when the trace ended."""
    waiting: dict[tuple[str, str], list[tuple[int, float]]] = {}
    in_flight = trace.result.get("in_flight")
    events = in_flight.get("events") if isinstance(in_flight, dict) else None
    for event in events if isinstance(events, list) else []:
        data = event.get("data") if isinstance(event, dict) else None
        if isinstance(data, dict) and number(data.get("elapsed_us")) >= _WAITING_US:
            place = name_of(data.get("destination"))
            waiting.setdefault((name_of(event.get("process_name")), place), []).append(
                (number(event.get("process_id")), number(data.get("elapsed_us")) / 1e6)
            )
    return [_waits(trace, process, place, calls) for (process, place), calls in waiting.items()]


def _waits(trace: Trace, process: str, place: str, calls: list[tuple[int, float]]) -> Finding:
    pids = sorted({pid for pid, _seconds in calls})
    longest = max(seconds for _pid, seconds in calls)
    group = Failures(process, "", place, "connect", len(calls), pids)
    return Finding(
        NETWORK,
        f"{group.who} waits for {place or 'its target'} to answer: a connection has been under way for {longest:.1f} s",
        STRONG if longest >= 5 else FAIR,
        longest,
        traced=[
            f"{trace.key}: {counted(len(calls), 'connect call')} of {group.who} to {place or 'an unnamed address'} had"
            f" not returned when the trace ended, the longest after {longest:.1f} s."
        ],
        plan=[
            f"Check the way to {place}: routing (`ip route get`), firewalls that drop, and whether the host is up.",
            f"Check whether the service behind {place} still accepts connections.",
        ],
        subjects=[process, place, port_of(place)],
        pids=pids,
        addresses=[place],
    )


def _never_established(evidence: Evidence, trace: Trace) -> list[Finding]:
    """Non-blocking connections that went from SYN_SENT to CLOSE and never to ESTABLISHED, as far as was sampled."""
    closed: dict[str, int] = {}
    established: set[str] = set()
    keys: list[str] = []
    for states in evidence.traced(_STATES):
        keys.append(states.key)
        for data in states.data():
            if data.get("oldstate") == "TCP_SYN_SENT":
                place = _destination(data)
                if data.get("newstate") == "TCP_ESTABLISHED":
                    established.add(place)
                elif data.get("newstate") == "TCP_CLOSE":
                    closed[place] = closed.get(place, 0) + 1
    pending = [group for group in failures_of(trace) if group.error == "EINPROGRESS"]
    return [
        _closed(evidence, trace, group, closed[group.key], keys)
        for group in pending
        if closed.get(group.key, 0) >= 2 and group.key not in established
    ]


def _closed(evidence: Evidence, trace: Trace, group: Failures, closed: int, keys: list[str]) -> Finding:
    addition, sentence = _listener(evidence, group.key)
    local = is_local(evidence, group.key)
    return Finding(
        NETWORK,
        f"{group.who} gets no connection to {group.key}: none of those that were sampled came to be established"
        + (addition if local else ""),
        STRONG if closed >= _REPEATED else FAIR,
        group.count,
        traced=[
            f"{trace.key}: {group.who} began {counted(group.count, 'non-blocking connection')} to {group.key}"
            f" {trace.window}.",
            f"{keys[0]}: of its sampled events {closed} show a connection to {group.key} going from TCP_SYN_SENT to"
            " TCP_CLOSE, and none to TCP_ESTABLISHED.",
        ],
        seen=[sentence] if sentence else [],
        plan=[
            f"Check whether the service behind {group.key} runs and listens there.",
            f"Correct the address that {group.process} is configured with, or start the service.",
        ],
        subjects=[group.process, group.key, port_of(group.key)],
        pids=group.pids,
        addresses=[] if local else [group.key],
    )


def _destination(data: dict[str, object]) -> str:
    if str(data.get("family")) in ("AF_INET6", "10"):
        address = name_of(data.get("daddr_v6"))
        return f"[{address}]:{data.get('dport')}"
    return f"{name_of(data.get('daddr'))}:{data.get('dport')}"


def ruled_out(evidence: Evidence) -> list[str]:
    """What was looked at and is in order."""
    sentences = []
    for trace in evidence.traced(_CONNECT):
        if not faults(trace):
            unanswered = "" if _unanswered(trace) else ", and none was left waiting"
            calls = counted(trace.count, "connect call")
            sentences.append(
                f"no connection failed in a way that matters ({calls} {trace.window}, {trace.key}){unanswered}"
            )
    return sentences
