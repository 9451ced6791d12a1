# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host of a diagnosis, reached by Ansible. Private to the collection, controller side."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Optional

from ansible.errors import AnsibleConnectionFailure, AnsibleError

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.diagnosis import SiteError
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.host_answers import checked

# How long the host is kept for this diagnosis while the model is asked: as long as an answer may take, and some more.
LEASE_SECONDS = 240.0
# A module that looks for its libraries takes its arguments along by way of a pipe, which has 64 KiB.
_MOST_ARGUMENTS = 52 * 1024

_TOLD = ("issue", "system_information", "capabilities")
_MAY_CHANGE = ("sandbox", "privileges", "machine", "boot")

Execute = Callable[[dict[str, Any]], dict[str, Any]]


class RemoteHost:
    """What `collecting.Host` is, by way of the module diagnosis_collect, a call for each part."""

    def __init__(self, execute: Execute, identifier: str, arguments: dict[str, Any], programs: str) -> None:
        """`execute` runs the module; `arguments`: those of every part; `programs`: the eBPF programs, packed."""
        self._execute = execute
        self._arguments = {**arguments, "diagnosis_id": identifier}
        self._programs = programs
        self.redacted: dict[str, int] = {}
        self.identities: dict[str, str] = {}  # stay on the host, which keeps them in a file
        self.action_log: Optional[dict[str, Any]] = None
        self._begun = False

    def survey(self, issue: str) -> dict[str, Any]:
        """What the host is and can do. Raises SiteError, and AnsibleConnectionFailure where it cannot be reached."""
        self._begun = True  # even where its answer gets lost
        self._arguments["issue"] = issue
        told = self._part({"part": "begin"})
        return {name: told.get(name) for name in (*_TOLD, *_MAY_CHANGE)}

    def take_up(self) -> dict[str, Any]:
        """What may be otherwise in a later run of the same diagnosis. Raises as survey does."""
        self._begun = True
        told = self._part({"part": "take_up"})
        return {name: told.get(name) for name in _MAY_CHANGE}

    def collect(
        self, commands: list[dict[str, Any]], programs: list[dict[str, Any]], deadline: Optional[float]
    ) -> dict[str, Any]:
        """A round. Raises SiteError, also where the host cannot be reached any more."""
        collected: dict[str, Any] = {"command_results": [], "ebpf_results": {}}
        for asked in self._portions(commands, programs):
            left = max(1.0, (deadline or 0.0) - time.monotonic())
            patience = min(float(self._arguments["lock_timeout"]), left)
            try:
                part = self._part({"part": "round", **asked, "seconds": left, "lock_timeout": patience})
            except AnsibleConnectionFailure as error:
                said = f"The host could not be reached any more: {' '.join(str(error).split())}"
                raise SiteError(said, collected) from error
            except SiteError as error:
                raise SiteError(str(error), collected) from error
            collected["command_results"] += part["command_results"]
            collected["ebpf_results"].update(part["ebpf_results"])
        return collected

    def end(self, resumable: bool) -> None:
        """Frees the host. Raises what stands in the way, which the lease survives by minutes."""
        if self._begun:
            self._part({"part": "end", "resumable": resumable})

    def _portions(self, commands: list[dict[str, Any]], programs: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """A round as arguments, in one call unless its commands are extraordinarily long."""
        asked = {"commands": list[dict[str, Any]](), "programs": programs, "_bpf": self._programs if programs else None}
        for command in commands:
            more = {**asked, "commands": [*asked["commands"], command]}
            if asked["commands"] and _size({**self._arguments, **more}) > _MOST_ARGUMENTS:
                yield asked
                more = {"commands": [command], "programs": [], "_bpf": None}
            asked = more
        yield asked

    def _part(self, arguments: dict[str, Any]) -> dict[str, Any]:
        given = {**self._arguments, "lease_seconds": LEASE_SECONDS, **arguments}
        try:
            result = self._execute({name: value for name, value in given.items() if value is not None})
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:  # its disk is full, or it does not ask for a password in time
            raise SiteError(f"The host could not do its part: {' '.join(str(error).split())}") from error
        if result.get("failed") or result.get("unreachable"):
            raise SiteError(str(result.get("msg") or "The host did its part of the diagnosis without saying how."))
        checked(str(given["part"]), result)
        self.redacted = dict(result.get("redacted") or self.redacted)
        self._note(result.get("action_log"))
        return result

    def _note(self, told: Optional[dict[str, Any]]) -> None:
        """Adds up what the parts say of their lines in the log of actions."""
        if not told:
            return
        nothing = {"file": told["file"], "journal": True, "lines": 0, "unrecorded": 0, "problem": None}
        before = self.action_log or nothing
        self.action_log = {
            "file": before["file"] and told["file"],
            "journal": before["journal"] and told["journal"],
            "lines": before["lines"] + told["lines"],
            "unrecorded": before["unrecorded"] + told["unrecorded"],
            "problem": before["problem"] or told["problem"],
        }


def _size(arguments: dict[str, Any]) -> int:
    """Bytes of arguments as they are written into a program's text."""
    return len(repr(json.dumps(arguments)))
