# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracing by a process with the privileges that it takes, and no others. Private to the collection.

The process is forked at the start of a run. It has no part in talking to a model and runs no command; what it is asked
for and what it answers is JSON.
"""

from __future__ import annotations

import contextlib
from typing import Any, Optional

from .ebpf import borrowing, kernel
from .ebpf.bundle import Bundle
from .ebpf.bytecode import SOURCES
from .ebpf.errors import EbpfError
from .ebpf.lending import lend
from .ebpf.programs import NEVER, Programs
from .ebpf.tracer import Progress, Tracer, failed
from .least_privilege import LEAST, ROOT, Privileges, PrivilegesError, decide
from .session.apart import Apart, ApartError, CallError
from .session.ending import Ending

_GONE = "It was not traced: {reason}."


class Tracing:
    """A tracer, and as whom it traces. `close` it, or use it as a context manager."""

    def __init__(self, tracer: Tracer, programs: Programs, ending: Ending, wanted: Optional[str] = None) -> None:
        """`wanted`: one of least_privilege.CHOICES, None for what this host is set to. Raises PrivilegesError."""
        self._tracer = tracer
        self._programs = programs
        self.privileges = decide(wanted)
        self._apart: Optional[Apart] = None
        if self.privileges.mode == LEAST:
            try:
                self._apart = self._begin(ending)
            except (ApartError, OSError) as error:
                reason = f"A process for tracing alone could not be made ({error})."
                if self.privileges.required:
                    raise PrivilegesError(reason) from error
                self.privileges = Privileges(ROOT, reason)

    def _begin(self, ending: Ending) -> Apart:
        return Apart(
            "nannyapi-trace",
            {
                "check": lambda argument, progress: self._tracer.check(argument),
                "run": self._tracer.run,
                "survey": lambda argument, progress: _survey(bool(argument)),
            },
            user=self.privileges.user,
            keep=self.privileges.keep,
            groups=self.privileges.groups,
            ending=ending,
            lend=lend,
            before=self._while_root,
            borrow=borrowing.borrow_from,
        )

    def _while_root(self) -> None:
        """What the process does before it gives up being root: what depends on the collection and the host alone."""
        kernel.raise_memory_lock_limit()
        with contextlib.suppress(EbpfError, OSError):  # a trace will try once more, and say what is wrong
            self._programs.compile_what_is_not_carried(SOURCES)

    @property
    def pid(self) -> int:
        """Of the process that traces, where it is one of its own; else 0."""
        return self._apart.pid if self._apart else 0

    def describe(self) -> dict[str, Any]:
        """As whom it traces, as data."""
        return self.privileges.describe()

    def check(self, programs: list[Any]) -> list[str]:
        """As Tracer.check."""
        if self._apart is None:
            return self._tracer.check(programs)
        try:
            return [str(problem) for problem in self._apart.call("check", programs)]
        except (ApartError, CallError) as error:
            return [_GONE.format(reason=error)]

    def run(self, programs: list[Any], progress: Optional[Progress] = None) -> dict[str, dict[str, Any]]:
        """As Tracer.run."""
        if self._apart is None:
            return self._tracer.run(programs, progress)
        try:
            traced = self._apart.call("run", programs, progress or (lambda event: None))
        except (ApartError, CallError) as error:
            return self._tracer.keyed([failed(program, _GONE.format(reason=error)) for program in programs])
        return {str(key): dict(result) for key, result in traced.items()}

    def survey(self, attach: bool = True) -> dict[str, Any]:
        """As capability.survey, of what the process that traces can do."""
        if self._apart is not None:
            with contextlib.suppress(ApartError, CallError):
                return dict(self._apart.call("survey", attach))
        return _survey(attach)

    def close(self) -> None:
        """Returns when nothing is attached any more."""
        if self._apart is None:
            self._tracer.close()
        else:
            self._apart.close()


def _survey(attach: bool) -> dict[str, Any]:
    from .ebpf.capability import survey  # much code, of which a trace alone needs nothing

    return survey(attach)


def survey_as_traced(ending: Ending) -> tuple[dict[str, Any], dict[str, Any]]:
    """As whom this host is traced, and what can be traced so. Raises PrivilegesError."""
    bundle = Bundle({})
    programs = Programs(bundle, NEVER)
    with contextlib.closing(Tracing(Tracer(bundle), programs, ending)) as tracing:
        surveyed = tracing.survey()
        return tracing.describe(), surveyed
