# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: what the kernel's TCP counters say of the seconds between two readings.

The counters count since boot, so that only their difference is about now.
"""

from __future__ import annotations

import re

from ..categories import NETWORK
from ..evidence import Evidence, name_of, who
from .finding import FAIR, STRONG, WEAK, Finding

_LOST_SHARE = 0.02
_LOST_LEAST = 20
_MOST_PLACES = 3
_RETRANSMITTED = "tcp/tcp_retransmit_skb"


def differences(evidence: Evidence) -> dict[str, int]:
    """How much each counter of nstat grew between the two readings; empty where there were not two."""
    readings: dict[str, list[int]] = {}
    for line in evidence.lines("tcp_counters"):
        words = line.split()
        if len(words) >= 2 and words[1].isdigit():
            readings.setdefault(words[0], []).append(int(words[1]))
    return {name: both[1] - both[0] for name, both in readings.items() if len(both) == 2}


def waiting(evidence: Evidence) -> list[tuple[str, str, int]]:
    """(destination, process, pid) of connections that wait for a first answer; '' and 0 where not known."""
    found = []
    for line in evidence.lines("unanswered"):
        words = line.split(None, 4)
        if len(words) >= 4:
            user = re.search(r'\(\("([^"]+)",pid=(\d+)', words[4] if len(words) > 4 else "")
            found.append((name_of(words[3]), name_of(user.group(1)) if user else "", int(user.group(2)) if user else 0))
    return found


def find(evidence: Evidence) -> list[Finding]:
    """Overflowing listeners, unanswered SYNs and lost segments."""
    grew = differences(evidence)
    traced = [
        f"{trace.key}: {trace.count} segments were sent again {trace.window}."
        for trace in evidence.traced(_RETRANSMITTED)
        if trace.count
    ]
    return [*_overflow(grew), *_unanswered_syns(evidence, grew, traced), *_lost(grew, traced)]


def _overflow(grew: dict[str, int]) -> list[Finding]:
    dropped = max(grew.get("TcpExtListenOverflows", 0), grew.get("TcpExtListenDrops", 0))
    if dropped < 1:
        return []
    return [
        Finding(
            NETWORK,
            f"A service on this host does not accept connections fast enough: {dropped} were dropped in 5 s because a"
            " listener's queue was full",
            STRONG,
            dropped,
            seen=[f"TcpExtListenOverflows and TcpExtListenDrops of the kernel grew by up to {dropped} in 5 s."],
            plan=[
                "Find the listener with a full queue: `ss -tlnp`, Recv-Q against Send-Q.",
                "Find out why it does not accept, or raise its backlog and `net.core.somaxconn`.",
            ],
        )
    ]


def _unanswered_syns(evidence: Evidence, grew: dict[str, int], traced: list[str]) -> list[Finding]:
    again = grew.get("TcpExtTCPSynRetrans", 0)
    if again < 1:
        return []
    asked = waiting(evidence)
    places = list(dict.fromkeys(place for place, _name, _pid in asked))[:_MOST_PLACES]
    users = list(dict.fromkeys(who(name, [pid]) for _place, name, pid in asked if name))[:_MOST_PLACES]
    whom = ", ".join(places) or "Somebody"
    by = f", as {', '.join(users)} will have noticed" if users else ""
    seen = [f"The kernel's TcpExtTCPSynRetrans grew by {again} between two readings."]
    seen += [f"`ss` lists connections that wait for a first answer: to {whom}."] if places else []
    return [
        Finding(
            NETWORK,
            f"{whom} does not answer connections from this host: {again} SYN were sent again in 5 s{by}",
            FAIR if again >= 3 or places else WEAK,
            again,
            traced=traced,
            seen=seen,
            plan=["Find who is asked in vain: `ss -tanp state syn-sent`.", "Check firewalls and routes on that way."],
            subjects=[*places, *(name for _place, name, _pid in asked if name)],
            pids=[pid for _place, _name, pid in asked if pid][:_MOST_PLACES],
            addresses=places,
        )
    ]


def _lost(grew: dict[str, int], traced: list[str]) -> list[Finding]:
    again, sent = grew.get("TcpRetransSegs", 0), grew.get("TcpOutSegs", 0)
    if again < _LOST_LEAST or again < _LOST_SHARE * sent:
        return []
    return [
        Finding(
            NETWORK,
            f"Packets get lost: {again} of {sent} TCP segments were sent again in 5 s",
            FAIR,
            again,
            traced=traced,
            seen=[f"The kernel's TcpRetransSegs grew by {again}, TcpOutSegs by {sent} between two readings."],
            plan=[
                "Find the connections that suffer: `ss -tin`, retrans.",
                "Check the interface: `ip -s link`, errors.",
            ],
        )
    ]


def ruled_out(evidence: Evidence) -> list[str]:
    """What was looked at and is in order."""
    grew = differences(evidence)
    if not grew or find(evidence):
        return []
    again, sent = grew.get("TcpRetransSegs", 0), grew.get("TcpOutSegs", 0)
    return [f"TCP loses nothing to speak of ({again} of {sent} segments sent again in 5 s, no listener overflowed)"]
