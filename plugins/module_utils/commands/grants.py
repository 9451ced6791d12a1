# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: what one simple command is granted beyond nothing at all.

A rule says it (`capability`, `network` and `dbus` in `rules/schema.py`), the verdict carries it, the sandbox gives it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .options import Arguments
from .rules.schema import Rule

CAPABILITIES = ("DAC_READ_SEARCH", "SYS_PTRACE", "SYSLOG", "NET_ADMIN")
FAMILIES = ("inet", "inet6", "netlink", "packet", "unix", "vsock")


@dataclass(frozen=True)
class Grants:
    """What a use of a program needs; empty is the rule, not the exception.

    - `capabilities`: of `CAPABILITIES`, without the prefix `CAP_`.
    - `network`: address families of `FAMILIES` in which it may make sockets.
    - `dbus`: methods that it may call on the system bus, as `interface.method`.
    - `reads`: paths whose content it shows, each judged; the trusted reader may open these, and nothing else.
    - `speaks`: whether it may use what it is granted to say something to other hosts; the policy goes by it.
    """

    capabilities: frozenset[str] = frozenset()
    network: frozenset[str] = frozenset()
    dbus: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    speaks: bool = False


NOTHING = Grants()


def granted(rule: Rule, arguments: Arguments, reads: list[str]) -> Grants:
    """What the rule grants to this use, given its options and operands and the paths it was found to read."""
    network = _named(rule.get("network", {}), arguments)
    resolves = any(".Resolve" in method for method in rule.get("dbus", []))
    capabilities = _named(rule.get("capability", {}), arguments) | _on_operands(
        rule.get("capability_on", {}), arguments
    )
    return Grants(
        frozenset() if arguments.has(rule.get("capability_without", "")) else capabilities,
        network,
        tuple(rule.get("dbus", [])),
        tuple(dict.fromkeys(reads)),
        bool(resolves or network & {"inet", "inet6"}) and not _is_local(rule.get("local", {}), arguments),
    )


def _is_local(uses: dict[str, str], arguments: Arguments) -> bool:
    """Whether this is one of the uses in which only this host is asked."""
    operands = " ".join(arguments.operands)
    return any(
        (not given or arguments.has(given)) and re.fullmatch(expression, operands) for given, expression in uses.items()
    )


def _on_operands(uses: dict[str, str], arguments: Arguments) -> frozenset[str]:
    """All names of the uses whose expression every operand matches as a whole; none without operands."""
    return frozenset(
        name
        for expression, names in uses.items()
        if arguments.operands and all(re.fullmatch(expression, operand) for operand in arguments.operands)
        for name in names.split()
    )


def _named(uses: dict[str, str], arguments: Arguments) -> frozenset[str]:
    """All names of the uses that fit; the use `""` is every use."""
    return frozenset(
        name for given, names in uses.items() if not given or arguments.has(given) for name in names.split()
    )
