# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether one more command over a connection costs a login. Private to the collection, controller side."""

from __future__ import annotations

import re
import shlex
from typing import Any

_ARGUMENTS = ("ssh_args", "ssh_common_args", "ssh_extra_args")  # in the order in which the connection gives them to ssh
_SECRETS = ("password", "private_key_passphrase", "pkcs11_provider")
_MASTERS = ("yes", "true", "ask", "auto", "autoask")


def costs_no_login(connection: Any) -> bool:
    """Whether ssh sends commands over one connection that stays, and nothing has to be typed for it.

    What only ssh's own configuration file says is not known here, and counts as no.
    """
    if any(_option(connection, name) for name in _SECRETS) or getattr(connection._play_context, "password", None):
        return False
    arguments: list[str] = []
    for name in _ARGUMENTS:
        try:
            arguments += shlex.split(str(_option(connection, name) or ""))
        except ValueError:
            return False
    return multiplexed(arguments)


def multiplexed(arguments: list[str]) -> bool:
    """Whether ssh with these arguments keeps one connection open for the commands to come (ssh_config(5))."""
    set_to: dict[str, str] = {}
    for position, argument in enumerate(arguments):
        if argument.startswith("-o"):
            setting = argument[2:] or " ".join(arguments[position + 1 : position + 2])
        elif argument.startswith("-S"):
            setting = "ControlPath=" + (argument[2:] or " ".join(arguments[position + 1 : position + 2]))
        else:
            continue
        found = re.match(r"\s*(\w+)(?:\s*=\s*|\s+)(.*)", setting)
        if found:  # the first of several holds
            set_to.setdefault(found[1].lower(), found[2].strip(" \"'").lower())
    return (
        set_to.get("controlmaster") in _MASTERS
        and set_to.get("controlpersist", "no") not in ("no", "false")
        and set_to.get("controlpath") != "none"
    )


def _option(connection: Any, name: str) -> Any:
    try:
        return connection.get_option(name)
    except KeyError:  # this version of the connection does not have it
        return None
