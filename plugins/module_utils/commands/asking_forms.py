# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: the words with which a program asks name servers or routers, and sends nothing else.

Who looks names up needs the network, and what is looked up is sent. `dig -f FILE` sends a file, `-p PORT` takes it to
whoever listens there, and `+opcode` makes an order of a question; `traceroute -U -p PORT` speaks to a service. No
filter for system calls can tell that from a question. So the sandbox itself, whatever the policy said, holds the words
of these programs against this table, and gives the network to no others. It is stricter than the programs: what they
write joined or in other ways goes without.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from .grants import Grants
from .rules.network import DIG_SWITCHES, DIG_VALUES

_PROBES = ("traceroute", "traceroute6", "mtr")
SENDING = frozenset({"inet", "inet6"})

_PLAIN = r"[A-Za-z0-9_.:][A-Za-z0-9_.:%/-]*"
# Where name servers answer (8600: Consul's).
_PORT = "53|853|5353|8600"
_NUMBER = r"\d{1,5}(\.\d{1,3})?"
# By a handshake nothing is said to who answers there.
_TO_ANY_PORT_BY_TCP = {"-p": "-T", **dict.fromkeys(("-P", "--port"), "-[46nbrwzjc]*T[46nbrwzjc]*|--tcp")}
_TRACEROUTE = (
    rf"-[46nIT]|{_PLAIN}",
    {"-i": _PLAIN, **dict.fromkeys(("-w", "-q", "-m", "-p"), _NUMBER)},
)
# For each program: single words, and options with the expression of the word that follows them.
_FORMS: dict[str, tuple[str, dict[str, str]]] = {
    "dig": (
        rf"-[46u]|\+(no)?({DIG_SWITCHES})|\+({DIG_VALUES})|@[A-Za-z0-9._:%-]+|{_PLAIN}",
        {"-p": _PORT, **dict.fromkeys(("-t", "-c", "-q", "-x", "-b"), _PLAIN)},
    ),
    "host": (
        rf"-[46adrsTUv]+|{_PLAIN}",
        {"-p": _PORT, **dict.fromkeys(("-t", "-W", "-R", "-c"), _PLAIN)},
    ),
    "nslookup": (
        r"-(no)?(debug|recurse|vc)|-all|-(type|query|querytype|class|timeout|retry|domain)=[A-Za-z0-9.-]+"
        rf"|-port=({_PORT})|{_PLAIN}",
        {},
    ),
    "traceroute": _TRACEROUTE,
    "traceroute6": _TRACEROUTE,
    "tracepath": (rf"-[46bn]|{_PLAIN}", {"-m": _NUMBER}),
    "mtr": (
        rf"-[46nbrwTzjc]+|--(report|report-wide|no-dns|show-ips|tcp|aslookup|json)|{_PLAIN}",
        dict.fromkeys(
            ("-c", "--report-cycles", "-i", "--interval", "-m", "--max-ttl", "-P", "--port"),
            _NUMBER,
        ),
    ),
}


def asks(words: Sequence[str]) -> bool:
    """Whether these words, the program's name first, are certain to send nothing that is not among them."""
    single, values = _FORMS[words[0]]
    if words[0] in _PROBES and not all(_by_tcp(word, words) for word in words):
        return False
    rest = iter(words[1:])
    return all(
        re.fullmatch(values[word], next(rest, "")) if word in values else re.fullmatch(single, word) for word in rest
    )


def _by_tcp(word: str, words: Sequence[str]) -> bool:
    needed = _TO_ANY_PORT_BY_TCP.get(word)
    return needed is None or any(re.fullmatch(needed, other) for other in words)


def bounded_asking(words: Sequence[str], grants: Grants) -> tuple[Grants, list[str]]:
    """The grants, without the network where a program of the table might send something else, and remarks.

    The program may stand behind another one that runs it, such as timeout.
    """
    if not grants.network & SENDING:
        return grants, []
    place = next((place for place, word in enumerate(words) if word in _FORMS), None)
    if place is None or asks(words[place:]):
        return grants, []
    return replace(grants, network=grants.network - SENDING), [
        f"{words[place]} was not given the network, as what it was called with may send more than a question, or to"
        " where no name server answers."
    ]
