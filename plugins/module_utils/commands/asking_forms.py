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
from typing import NamedTuple

from .grants import Grants
from .rules.network import DIG_SWITCHES, DIG_VALUES

SENDING = frozenset({"inet", "inet6"})

_PLAIN = r"[A-Za-z0-9_.:][A-Za-z0-9_.:%/-]*"
# Where name servers answer (8600: Consul's).
_PORT = "53|853|5353|8600"
_HOST = r"[A-Za-z0-9_.:][A-Za-z0-9_.:%-]*"  # tracepath takes HOST/PORT
_NUMBER = r"\d{1,5}(\.\d{1,3})?"


class _Form(NamedTuple):
    """Expressions: of single words, of the words that follow options, of a word that must be there with an option."""

    single: str
    values: dict[str, str]
    needs: tuple[tuple[str, str], ...] = ()


# To a port of one's choice by TCP alone: with a handshake nothing is said to who answers there.
_TRACEROUTE = _Form(
    rf"-[46nIT]|{_PLAIN}", {"-i": _PLAIN, **dict.fromkeys(("-w", "-q", "-m", "-p"), _NUMBER)}, (("-p", "-T"),)
)
_FORMS: dict[str, _Form] = {
    "dig": _Form(
        rf"-[46u]|\+(no)?({DIG_SWITCHES})|\+({DIG_VALUES})|@[A-Za-z0-9._:%-]+|{_PLAIN}",
        {"-p": _PORT, **dict.fromkeys(("-t", "-c", "-q", "-x", "-b"), _PLAIN)},
    ),
    "host": _Form(
        # -t takes the type also in the same word.
        rf"-[46adrsTUv]+(t[A-Za-z0-9=]+)?|-t[A-Za-z0-9=]+|{_PLAIN}",
        {"-p": _PORT, **dict.fromkeys(("-t", "-W", "-R", "-c"), _PLAIN)},
    ),
    "nslookup": _Form(
        r"-(no)?(debug|recurse|vc)|-all|-(type|query|querytype|class|timeout|retry|domain)=[A-Za-z0-9.-]+"
        rf"|-port=({_PORT})|{_PLAIN}",
        {},
    ),
    "traceroute": _TRACEROUTE,
    "traceroute6": _TRACEROUTE,
    "tracepath": _Form(rf"-[46bn]|{_HOST}", {"-m": _NUMBER}),
    "mtr": _Form(
        rf"-[46nbrwTjc]+|--(report|report-wide|no-dns|show-ips|tcp|json)|{_PLAIN}",
        dict.fromkeys(
            ("-c", "--report-cycles", "-i", "--interval", "-m", "--max-ttl", "-P", "--port"),
            _NUMBER,
        ),
        tuple((option, "-[46nbrwjc]*T[46nbrwjc]*|--tcp") for option in ("-P", "--port")),
    ),
}


def asks(words: Sequence[str]) -> bool:
    """Whether these words, the program's name first, are certain to send nothing that is not among them."""
    form = _FORMS[_name(words[0])]
    if any(option in words and not any(re.fullmatch(need, word) for word in words) for option, need in form.needs):
        return False
    rest = iter(words[1:])
    return all(
        re.fullmatch(form.values[word], next(rest, "")) if word in form.values else re.fullmatch(form.single, word)
        for word in rest
    )


def _name(word: str) -> str:
    return word.rpartition("/")[2] if word.startswith("/") else word


def bounded_asking(words: Sequence[str], grants: Grants) -> tuple[Grants, list[str]]:
    """The grants, without the network where a program of the table might send something else, and remarks.

    The program may stand behind another one that runs it, such as timeout.
    """
    if not grants.network & SENDING:
        return grants, []
    place = next((place for place, word in enumerate(words) if _name(word) in _FORMS), None)
    if place is None or asks(words[place:]):
        return grants, []
    return replace(grants, network=grants.network - SENDING), [
        f"{words[place]} was not given the network, as what it was called with may send more than a question, or to"
        " where no name server answers."
    ]
