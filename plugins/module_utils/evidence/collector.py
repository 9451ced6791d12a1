# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A round of evidence: commands and eBPF programs, at the same time. Private to the collection.

This is the one door through which evidence leaves the host: what goes to the model, into results, records and progress
is redacted here, and what imitates the protocol is marked, before any of it is cut.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Optional, Protocol, Union

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.errors import Refused
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.fence import NoFence
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.launch import Fence
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.runner import Limits, run_commands
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.sandbox import Sandbox
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.verdict import Verdict
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.injection.imitations import unmarked
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.redaction.redactor import Redactor
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.actions import ActionLog, Unrecorded

from .outputs import raw_limit, redacted_results

Progress = Callable[[dict[str, Any]], None]
_COMMANDS_AT_ONCE = 4


class Traces(Protocol):
    """What traces for a round: a Tracer, here or in a process of its own."""

    def run(self, programs: list[Any], progress: Optional[Progress] = None) -> dict[str, dict[str, Any]]:
        """As Tracer.run."""


class Collector:
    """Collects on this host. One instance serves one diagnosis, so that keys of results are distinct within it."""

    def __init__(
        self,
        tracer: Traces,
        policy: Policy,
        limits: Limits,
        *,
        stop: Optional[threading.Event] = None,
        progress: Optional[Progress] = None,
        fence: Optional[Union[Fence, NoFence]] = None,
        redactor: Optional[Redactor] = None,
        actions: Optional[ActionLog] = None,
    ) -> None:
        """`stop`: set it, and commands are ended and traces detached at once.

        `fence`: what commands run in; without one, in this host's sandbox. `redactor`: the diagnosis's own, where
        something else is redacted with it. `actions`: where to put on record what is done, before it is done.
        """
        self._redactor = redactor or Redactor()
        self._fence = fence
        self._actions = actions
        self._unrecorded: set[str] = set()
        self._tracer = tracer
        self._policy = policy
        self._limits = limits
        self._stop = stop or threading.Event()
        self._told = progress or (lambda event: None)

    def collect(
        self, commands: list[dict[str, Any]], programs: list[dict[str, Any]], deadline: Optional[float] = None
    ) -> dict[str, Any]:
        """Runs a round and gives `command_results` and `ebpf_results`, as the protocol has them.

        `deadline`: a value of time.monotonic() after which no command goes on. What cannot be done is a result that
        says why; nothing is raised for it.
        """
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(self._run, commands, deadline)
            try:
                # In this thread, for signals reach no other one, and one that ends the trace must be heard at once.
                traced = self._trace(programs) if programs else {}
            except BaseException:
                self._stop.set()
                raise
            ran = running.result()
        return redacted_results(self._redactor, ran, traced, self._limits.output_bytes)

    def _trace(self, programs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        if self._actions is None:
            return self._run_programs(programs)
        announced, unrecorded = self._announced(programs, self._actions)
        traced = self._run_programs(announced) if announced else {}
        for key, result in traced.items():
            self._actions.program_ended(key, result)
        return {**traced, **unrecorded}

    def _run_programs(self, programs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        named = [_with_filters(each, self._redactor.restored) for each in programs]
        return self._tracer.run(named, self._progress)

    @staticmethod
    def _announced(
        programs: list[dict[str, Any]], actions: ActionLog
    ) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
        """The programs that are on record, and for the others, which must not be attached, results that say so."""
        announced: list[dict[str, Any]] = []
        unrecorded: dict[str, dict[str, Any]] = {}
        for program in programs:
            try:
                actions.program_started(program)
                announced.append(program)
            except Unrecorded as error:
                key = f"{program.get('name')}_{int(time.time())}_{len(unrecorded) + 1}_unrecorded"
                unrecorded[key] = _not_traced(program, str(error))
        return announced, unrecorded

    def _allowed(self, result: dict[str, Any], verdict: Verdict) -> None:
        if self._actions is None:
            return
        sandbox = str(self._fence.describe()["name"]) if self._fence else Sandbox.name
        try:
            self._actions.command_started(result["id"], result["command"], _judged(verdict), sandbox)
        except Unrecorded as error:
            self._unrecorded.add(result["id"])
            raise Refused(str(error)) from None

    def _refused_by(self, result: dict[str, Any]) -> str:
        if result["id"] in self._unrecorded:
            return "record"
        unfenced = isinstance(self._fence, NoFence) and result.get("reason") == self._fence.reason
        return "sandbox" if unfenced else "policy"

    def _progress(self, event: dict[str, Any]) -> None:
        self._told(self._redactor.value(event))

    def _run(self, commands: list[dict[str, Any]], deadline: Optional[float]) -> list[dict[str, Any]]:
        if not commands:
            return []

        def cancelled() -> bool:
            return self._stop.is_set() or (deadline is not None and time.monotonic() >= deadline)

        return run_commands(
            [{**each, "command": self._as_on_the_host(str(each.get("command", "")))} for each in commands],
            policy=self._policy,
            limits=replace(self._limits, output_bytes=raw_limit(self._limits.output_bytes)),
            parallel=_COMMANDS_AT_ONCE,
            cancelled=cancelled,
            on_done=self._done,
            fence=self._fence,
            on_allowed=self._allowed,
        )

    def _as_on_the_host(self, command: str) -> str:
        """A command line as the host knows what it names: without marks, and with what placeholders stand for."""
        return self._redactor.restored(unmarked(command))

    def _done(self, result: dict[str, Any]) -> None:
        if self._actions:
            self._actions.command_done(result, self._refused_by(result))
        how = "refused" if result.get("refused") else f"exit {result.get('exit_code')}"
        self._progress({"stage": "command_done", "text": f"{result.get('command', '')} ({how})"})


def _judged(verdict: Verdict) -> list[dict[str, Any]]:
    """Each simple command's program, with what its rule grants to this use of it."""
    found = []
    for command in verdict.commands():
        grants = command.grants
        granted = {
            "capabilities": sorted(grants.capabilities),
            "network": sorted(grants.network),
            "dbus": list(grants.dbus),
            "reads": list(grants.reads),
        }
        found.append({"program": command.arguments[0], **{name: each for name, each in granted.items() if each}})
    return found


def _not_traced(program: dict[str, Any], error: str) -> dict[str, Any]:
    return {
        "program_name": str(program.get("name") or program.get("target")),
        "event_count": 0,
        "events": [],
        "summary": f"Nothing is known: {error}",
        "type": program.get("type"),
        "target": program.get("target"),
        "started": time.time_ns(),
        "error": error,
    }


def _with_filters(program: dict[str, Any], restored: Callable[[str], str]) -> dict[str, Any]:
    """The program with what the placeholders in its filters stand for: a host's name in a unit's, say."""
    filters = program.get("filters")
    if not isinstance(filters, dict):
        return program
    return {**program, "filters": {k: restored(v) if isinstance(v, str) else v for k, v in filters.items()}}
