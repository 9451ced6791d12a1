# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: the words with which a program that may also change the network only lists.

Listing the firewall takes NET_ADMIN, with which it can be changed as well, and no filter for system calls can tell one
netlink message from another. So the sandbox itself, whatever the policy said, holds the words that a program is started
with against this table, and gives NET_ADMIN to no others. It is stricter than the programs: what they abbreviate or
write in other ways is no listing form, and goes without.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .grants import Grants
from .module_loading import would_load

BOUNDED = "NET_ADMIN"

_NAME = r"[A-Za-z0-9_.][A-Za-z0-9_.-]*"
_TABLE = "filter|nat|mangle|raw|security"


@dataclass(frozen=True)
class _Forms:
    """What may follow a program's name. `one_of`: options without which it does not list; empty: it always does.

    `letters`: short options without a value, which may stand together. `values`: options with the expression of the
    word that follows them. `operands`: an expression for all of them, joined by a space.
    """

    letters: str = ""
    flags: frozenset[str] = frozenset()
    values: dict[str, str] = field(default_factory=dict)
    operands: str = ""
    one_of: frozenset[str] = frozenset()


_IPTABLES = _Forms(
    letters="LSnvx46w",
    flags=frozenset({"--list", "--list-rules", "--numeric", "--verbose", "--exact", "--line-numbers", "--wait"}),
    values={"-t": _TABLE, "--table": _TABLE},
    operands=rf"(?:{_NAME}(?: \d{{1,5}})?)?",
    one_of=frozenset({"-L", "-S", "--list", "--list-rules"}),
)
_IPTABLES_SAVE = _Forms(letters="c", flags=frozenset({"--counters"}), values={"-t": _TABLE, "--table": _TABLE})
_NFT = _Forms(
    letters="nasjySNutpT",
    flags=frozenset({"--numeric", "--handle", "--stateless", "--json", "--terse"}),
    # nft joins its operands to a command line of its own: nothing but plain names may come through.
    operands=rf"list {_NAME}(?: {_NAME}){{0,4}}",
)
_ADDRESS = r"[0-9A-Fa-f.:]+(?:/[0-9A-Fa-f.:]+)?"
_CONNTRACK = _Forms(
    flags=frozenset({"-L", "-S", "-C", "-n", "--dump", "--stats", "--count"}),
    values={
        **dict.fromkeys(("-p", "--proto", "-f", "--family", "--state"), _NAME),
        **dict.fromkeys(("-s", "--src", "-d", "--dst"), _ADDRESS),
        "-o": rf"{_NAME}(?:,{_NAME})*",
    },
    operands="(?:conntrack|expect)?",
    one_of=frozenset({"-L", "-S", "-C", "--dump", "--stats", "--count"}),
)
_FORMS = {
    "iptables": _IPTABLES,
    "ip6tables": _IPTABLES,
    "iptables-save": _IPTABLES_SAVE,
    "ip6tables-save": _IPTABLES_SAVE,
    "nft": _NFT,
    "conntrack": _CONNTRACK,
}
PROGRAMS = frozenset(_FORMS)
"""Those that the table knows. To no other is NET_ADMIN given."""


def lists(words: Sequence[str]) -> bool:
    """Whether these words, the program's name first, are certain to list and to change nothing."""
    forms = _FORMS.get(words[0]) if words else None
    if forms is None:
        return False
    given: set[str] = set()
    operands: list[str] = []
    rest = iter(words[1:])
    for word in rest:
        if word in forms.values:
            if not re.fullmatch(forms.values[word], next(rest, "")):
                return False
        elif word in forms.flags:
            given.add(word)
        elif forms.letters and re.fullmatch(f"-[{forms.letters}]+", word):
            given.update(f"-{letter}" for letter in word[1:])
        elif word.startswith("-"):
            return False
        else:
            operands.append(word)
    if forms.one_of and not given & forms.one_of:
        return False
    return re.fullmatch(forms.operands, " ".join(operands)) is not None


def bounded(path: str, words: Sequence[str], grants: Grants) -> tuple[Grants, list[str]]:
    """The grants, without NET_ADMIN unless these words only list what the kernel has, and remarks for the result."""
    if BOUNDED not in grants.capabilities:
        return grants, []
    without = replace(grants, capabilities=grants.capabilities - {BOUNDED})
    if not lists(words):
        return without, [f"{words[0]} was not given {BOUNDED}, as what it was called with is no plain listing."]
    module = would_load(path, words)
    if module:
        return without, [
            f"{words[0]} was not given {BOUNDED}, as the kernel would load {module} to answer it; that module is not"
            " loaded, so there is nothing to list."
        ]
    return grants, []
