# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which fields of a tracepoint's record something is made of. Private to the collection."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any, Optional

from .bundle import Bundle
from .tracefs import Field, Format

SOURCE = "tracepoints.json"
SOCKET_ADDRESS = 28  # bytes of a struct sockaddr_in6, as the tcp and udp tracepoints keep either kind
_LARGEST_NUMBER = 8  # bytes
# What is derived of a record's fields: the fields it takes, the first ones always.
ENDPOINTS = {"source": ("saddr", "sport"), "destination": ("daddr", "dport")}


class RecordFields:
    """What is known of the records of one tracepoint before any is seen."""

    def __init__(self, form: Format, bundle: Bundle) -> None:
        self.form = form
        self.known: Mapping[str, Any] = bundle.data(SOURCE)
        self._target = f"{form.category}/{form.event}"
        self.device = next((field for field in form.fields if field.type == "dev_t"), None)
        self.keys: list[list[str]] = [rule["key"] for rule in self.known["keys"] if self.is_of(rule)]
        self.in_interrupts = self.is_of(self.known["interrupts"])
        failures = (rule["field"] for rule in self.known["failures"] if self.is_of(rule))
        found = [field for name in failures for field in self.fields_of(name) if field.size <= _LARGEST_NUMBER]
        # A number that is 0 where nothing has failed.
        self.failure: Optional[Field] = found[0] if found else None

    def is_of(self, rule: Mapping[str, Any]) -> bool:
        """Whether a rule of the data is about this tracepoint."""
        # Most patterns begin otherwise, and making a regular expression of each takes a while.
        return any(
            self._target.startswith(pattern.partition("*")[0]) and fnmatch.fnmatchcase(self._target, pattern)
            for pattern in rule["match"]
        )

    def fields_of(self, name: str) -> list[Field]:
        """The fields that something shown is made of, in no order; none where the record does not have it."""
        fields = {field.name: field for field in self.form.fields}
        if name in fields:
            return [fields[name]]
        if name in ENDPOINTS:
            address, port = ENDPOINTS[name]
            if address in fields and fields[address].size == SOCKET_ADDRESS:
                return [fields[address]]
            if address in fields and port in fields:
                return [fields[one] for one in (address, port, f"{address}_v6", "family") if one in fields]
        if name == "device" and self.device is not None:
            return [self.device]
        return [fields["rwbs"]] if name == "operation" and "rwbs" in fields else []
