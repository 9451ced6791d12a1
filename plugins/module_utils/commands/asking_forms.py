# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: the words with which a program sends name servers what it was called with, and no more.

Who looks names up needs the network, and what is looked up is sent. `dig -f FILE` sends a file, and `-p PORT` takes it
to whoever listens there: no filter for system calls can tell that from a question. So the sandbox itself, whatever the
policy said, holds the words of these programs against this table, and gives the network to no others. It is stricter
than the programs: what they write joined or in other ways goes without.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from .grants import Grants

SENDING = frozenset({"inet", "inet6"})

_PLAIN = r"[A-Za-z0-9_.:][A-Za-z0-9_.:%/-]*"
# Where name servers answer (8600: Consul's).
_PORT = "53|853|5353|8600"
# For each program: single words, and options with the expression of the word that follows them.
_FORMS: dict[str, tuple[str, dict[str, str]]] = {
    "dig": (
        rf"-[46u]|\+(no)?[a-z]+(=[A-Za-z0-9.:-]+)?|@[A-Za-z0-9._:%-]+|{_PLAIN}",
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
}


def asks(words: Sequence[str]) -> bool:
    """Whether these words, the program's name first, are certain to send nothing that is not among them."""
    single, values = _FORMS[words[0]]
    rest = iter(words[1:])
    return all(
        re.fullmatch(values[word], next(rest, "")) if word in values else re.fullmatch(single, word) for word in rest
    )


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
        f"{words[place]} was not given the network, as what it was called with may send more than these words, or to"
        " where no name server answers."
    ]
