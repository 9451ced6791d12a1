# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a diagnosis needs of the host, looked at there. Private to the collection.

Everything is found out by the code that a diagnosis uses: what is said here to work is what was seen to work.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Optional

from .. import deps
from ..commands import fence
from ..commands.errors import PolicyError
from ..commands.policy import SITE_FILE, Policy
from ..ebpf.capability import survey
from ..least_privilege import LEAST, PrivilegesError, decide
from ..session.ending import Ending
from ..session.log_file import ACTIONS
from ..session.record import RECORDS
from ..session.runtime import missing_libraries
from ..tracing import survey_as_traced
from .verdicts import FAILED, LIMITED, OK, Check, not_tried

_SETUP = "Run the playbook nannyapi.diagnostics.setup on this host."
_BECOME = "Add become: true to the task or the play."
_FREE_BYTES = 64 * 1024 * 1024
"""Room for the records and logs of some diagnoses; one record has some hundred kilobytes."""


class HostChecks:
    """The checks of this host. `asks_model`: the loop will run here. `dry`: nothing is to be attached or started."""

    def __init__(self, *, asks_model: bool, dry: bool) -> None:
        self._asks_model = asks_model
        self._dry = dry
        self._surveyed: Optional[tuple[dict[str, Any], dict[str, Any]]] = None

    def run(self, names: list[str]) -> dict[str, Check]:
        """The named checks, in the order given."""
        return {name: getattr(self, f"_{name}")() for name in names}

    def capabilities(self) -> dict[str, Any]:
        """What eBPF the host can do, as the model is told at the beginning of a diagnosis. Raises PrivilegesError."""
        return self._survey()[1]

    def _survey(self) -> tuple[dict[str, Any], dict[str, Any]]:
        if self._surveyed is None:
            if self._dry:
                self._surveyed = decide().describe(), survey(attach=False)
            else:
                self._surveyed = survey_as_traced(Ending())
        return self._surveyed

    def _setup(self) -> Check:
        missing = missing_libraries(self._asks_model)
        if missing:
            where = f"{sys.executable} has no {' and no '.join(missing)}"
            return Check(FAILED, f"{where}, which a diagnosis needs on this host.", _SETUP)
        return Check(OK, f"{sys.executable} has the libraries that a diagnosis needs on this host.")

    def _privileges(self) -> Check:
        if os.geteuid() != 0:
            return Check(FAILED, f"The task runs as uid {os.geteuid()}, and a diagnosis needs root.", _BECOME)
        try:
            told, _capabilities = self._survey()
        except PrivilegesError as error:
            return Check(FAILED, str(error), "Take the setting away, or mend what it says is missing.")
        if told["mode"] == LEAST:
            held = ", ".join(told["capabilities"])
            return Check(OK, f"The account {told['account']} traces, with {held} and no other capability.")
        return Check(LIMITED, f"Root itself traces. {told['reason'] or ''}".strip(), "See docs/privileges.md.")

    def _probes(self) -> Check:
        try:
            types = self._survey()[1]["probe_types"]
        except PrivilegesError as error:
            return not_tried(str(error))
        tracepoint = types["tracepoint"]
        if not tracepoint["available"]:
            return Check(FAILED, f"Tracepoints cannot be traced. {tracepoint['reason']}", tracepoint["remedy"])
        without = [name for name in ("kprobe", "kretprobe") if not types[name]["available"]]
        if without:
            first = types[without[0]]
            said = f"Tracepoints can be traced; no {' and no '.join(without)}. {first['reason']}"
            return Check(LIMITED, said, first["remedy"])
        how = " An empty program was attached and taken off." if not self._dry else ""
        return Check(OK, f"Tracepoints, kprobes and kretprobes can be traced.{how}")

    def _sandbox(self) -> Check:
        if self._dry:
            return not_tried("Whether the sandbox works is known by starting it, which check mode does not.")
        told = fence.survey()
        if told["name"] == "none":
            return Check(FAILED, f"No command would be run: {told['reason']}", _SETUP)
        lacks = [
            what
            for what, there in (
                ("no filter of system calls", told.get("seccomp")),
                ("no reading of files that only root may read", told.get("trusted_reader")),
                ("no questions to the system bus, such as systemctl status", told.get("dbus_filter")),
            )
            if not there
        ]
        named = f"{told['name']} {told.get('version') or ''}".strip()
        if lacks:
            return Check(LIMITED, f"Commands run in {named}, with {', '.join(lacks)}.", _SETUP)
        return Check(OK, f"A command that does nothing was run in {named}.")

    def _policy(self) -> Check:
        try:
            deps.require("bashlex")
            Policy.for_host()
        except (PolicyError, deps.MissingLibrary) as error:
            return Check(FAILED, str(error), f"Mend {SITE_FILE}, for example by the role commands, or remove it.")
        own = f"with this site's rules in {SITE_FILE}" if os.path.lexists(SITE_FILE) else "the built-in one"
        return Check(OK, f"The policy for commands can be read: {own}.")

    def _records(self) -> Check:
        for folder in (RECORDS, ACTIONS.parent):
            problem = _unwritable(folder)
            if problem:
                remedy = (
                    "Diagnoses go on without, as far as the journal takes the log; free space, or mount it writable."
                )
                return Check(LIMITED, problem, remedy)
        return Check(OK, f"Records go to {RECORDS}, the log of actions to {ACTIONS}.")


def _unwritable(folder: Path) -> Optional[str]:
    """Why nothing, or not much, could be written to a folder that may not be there yet; None where it could."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        status = os.statvfs(there)
    except OSError as error:
        return f"{there} cannot be looked at: {error.strerror}."
    if status.f_flag & os.ST_RDONLY or not os.access(there, os.W_OK):
        return f"Nothing can be written to {folder}."
    free = status.f_bavail * status.f_frsize
    if free < _FREE_BYTES or (status.f_files and not status.f_favail):
        return f"There is hardly room for {folder}: {free // 1024} KiB are free."
    return None
