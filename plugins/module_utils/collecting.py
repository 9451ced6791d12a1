# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host does for a diagnosis, whoever leads it: says what it is, and collects. Private to the collection.

Needs neither the protocol nor a model, so that a host that only collects has no use for their libraries.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Any, Optional

from .commands.fence import choose
from .commands.policy import Policy
from .commands.runner import Limits
from .ebpf.bundle import Bundle
from .ebpf.own_tree import connection_root
from .ebpf.programs import NEEDED, Programs
from .ebpf.tracer import TraceLimits, Tracer
from .evidence.collector import Collector, Progress
from .evidence.system import system_information
from .injection.imitations import marked
from .redaction.redactor import Redactor
from .session import machine
from .session.actions import ActionLog
from .session.ending import Ending, Stopped
from .tracing import Tracing


@dataclass(frozen=True)
class CollectOptions:
    """How a host collects: seconds, bytes."""

    bundle: Bundle
    trace_seconds: float
    command_seconds: float
    output_bytes: int
    max_cpu_share: Optional[float] = None
    compiler: str = NEEDED
    unsandboxed_commands: bool = False
    privileges: Optional[str] = None


class Host(contextlib.AbstractContextManager["Host"]):
    """This host, for one diagnosis.

    Raises PolicyError where the site's rules cannot be read, PrivilegesError where it cannot trace as it was told to.
    """

    def __init__(
        self, options: CollectOptions, redactor: Redactor, ending: Ending, progress: Progress, actions: ActionLog
    ) -> None:
        self.redactor = redactor
        self._ending = ending
        policy = Policy.for_host()
        self._tracing = _tracing(options, ending)
        self._fence = choose(policy.secret_patterns, options.unsandboxed_commands)
        self._collector = Collector(
            self._tracing,
            policy,
            Limits(seconds=options.command_seconds, output_bytes=options.output_bytes),
            stop=ending.event,
            progress=progress,
            fence=self._fence,
            redactor=redactor,
            actions=actions,
        )

    def __exit__(self, *exception: object) -> None:
        self._fence.close()
        self._tracing.close()

    def survey(self, issue: str) -> dict[str, Any]:
        """What the model is told first, redacted: `issue`, `system_information`, `capabilities`; and as `take_up`.

        What in it imitates the protocol is marked; `imitations` in the system information says how much there was.
        """
        told = {"issue": issue, "system_information": system_information(), "capabilities": self._tracing.survey()}
        shown, imitations = marked(self.redactor.value(told))
        if imitations:
            shown["system_information"]["imitations"] = imitations
        return {**shown, **self.take_up()}

    def take_up(self) -> dict[str, Any]:
        """What may be otherwise in a later run of the same diagnosis: `sandbox`, `privileges`, `machine`, `boot`."""
        told = {"sandbox": self._fence.describe(), "privileges": self._tracing.describe()}
        return {**told, "machine": machine.machine(), "boot": machine.boot()}

    def collect(
        self, commands: list[dict[str, Any]], programs: list[dict[str, Any]], deadline: Optional[float]
    ) -> dict[str, Any]:
        """A round, as Collector has it. Raises Stopped, with what there is, where the run was told to end meanwhile."""
        collected = self._collector.collect(commands, programs, deadline)
        try:
            self._ending.check()
        except Stopped as stopped:
            stopped.collected = collected
            raise
        return collected

    @property
    def redacted(self) -> dict[str, int]:
        """How many different secrets of each kind were redacted so far."""
        return self.redactor.counts

    @property
    def identities(self) -> dict[str, str]:
        """What placeholders of addresses, hosts and users stand for: for a file on this host alone."""
        return self.redactor.identities


def _tracing(options: CollectOptions, ending: Ending) -> Tracing:
    programs = Programs(options.bundle, options.compiler)
    tracer = Tracer(
        options.bundle,
        own_roots=[os.getpid(), connection_root()],
        stop=ending.event,
        limits=TraceLimits(seconds=options.trace_seconds, cpu_share=options.max_cpu_share),
        programs=programs,
    )
    return Tracing(tracer, programs, ending, options.privileges)
