# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a request for a kernel function to the function, or to what stands in for it. Private to the collection."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Optional

from . import tracefs
from .bundle import Bundle
from .errors import RequestError
from .functions import AskedFunction, Functions, FunctionTarget, NotProbed, parse_function, works
from .kernel_files import KernelFiles
from .request import ProgramRequest
from .stand_ins import StandIn, StandIns
from .symbols import close_names
from .targets import LISTED, SyscallTarget, Target, Targets, TracepointTarget


class FunctionTargets:
    """Resolves functions on this host. Reads the kernel's symbols at most once for each instance."""

    def __init__(self, targets: Targets, bundle: Bundle, files: Optional[KernelFiles]) -> None:
        """`targets`: resolves the tracepoints that stand in; `files`: where the kernel's files are, if not in place."""
        known = bundle.data("targets.json")
        self._targets = targets
        self._functions = Functions(known, files)
        self._stand_ins = StandIns(known, bundle.data("syscalls.json")["names"])

    def resolve(self, request: ProgramRequest) -> Target:
        """A function, or what stands in for it where the kernel takes no probe there. Raises as `Targets` does."""
        category, slash, _event = request.target.partition("/")
        if slash and tracefs.mount_point() and any(name.startswith(f"{category}/") for name in self._targets.listed()):
            return self._as_tracepoint(request, request.target)
        if any(sign in request.target for sign in "*?["):
            raise RequestError(f"{request.type} {request.target:.80}: {self._about_wildcard(request.target)}")
        asked = parse_function(request.target)
        self._functions.require_privilege()
        obstacle = self._functions.obstacle()
        if obstacle is None:
            try:
                return self._function(request, asked)
            except NotProbed as refusal:
                if tracefs.mount_point() is None:
                    raise  # probes need no tracefs, stand-ins do
                return self._instead(request, asked, refusal)
        target = self.stand_in(request, obstacle)
        if target is None:
            raise RequestError(
                f"{request.type} {asked}: {obstacle}, and no tracepoint is known that stands in for {asked.name}."
                f"{works(self._tracepoints_near(request, asked))}"
            )
        return target

    def _function(self, request: ProgramRequest, asked: AskedFunction) -> FunctionTarget:
        """The function, with its returns also where only a filter asks for what came of a call."""
        if request.type == "kretprobe" or not request.filters.on_results:
            return self._functions.resolve(request.target, asked, request.type == "kretprobe")
        found = self._functions.resolve(request.target, asked, True)
        told = (
            f"Calls of {found.name} were judged when they returned, as by a kretprobe: a filter asks what came of them."
        )
        return replace(found, note=f"{found.note} {told}" if found.note else told)

    def _as_tracepoint(self, request: ProgramRequest, target: str) -> Target:
        return self._targets.resolve_event(request._replace(type="tracepoint", target=target))._replace(
            note=f"{target} is a tracepoint, so it was traced as one and not as a {request.type}."
        )

    def stand_in(self, request: ProgramRequest, reason: str) -> SyscallTarget | TracepointTarget | None:
        """The tracepoints that a request for a function is served with instead, saying why; None where none is known.

        `reason`: a part of a sentence, without its end. Raises RequestError where they cannot serve its filters.
        """
        asked = parse_function(request.target)
        found = self._found(asked.name, request.type)
        if found is None:
            return None
        targets = [self._resolve_event(request, event) for event in found.events]
        calls = tuple(call for target in targets if isinstance(target, SyscallTarget) for call in target.syscalls)
        target = targets[0]._replace(syscalls=calls) if isinstance(targets[0], SyscallTarget) else targets[0]
        stands = "stands in" if len(found.events) == 1 else "stand in"
        told = [f"{request.type} {asked}: {reason}; {found} {stands}."]
        if found.differs:
            told.append(f"{found.differs[0].upper()}{found.differs[1:]}.")
        if request.type == "kretprobe" and isinstance(target, TracepointTarget):
            told.append("It has no duration, and no returned value but what its record says.")
        return target._replace(note=" ".join(told))

    def _resolve_event(self, request: ProgramRequest, event: str) -> SyscallTarget | TracepointTarget:
        category, _slash, name = event.partition("/")
        if category == "raw_syscalls":
            return self._targets.all_syscalls(name, name == "sys_exit")
        return self._targets.tracepoint(request, event)

    def _found(self, name: str, kind: str) -> Optional[StandIn]:
        return self._stand_ins.find(self._functions.names(name), self._targets.listed(), kind == "kretprobe")

    def _instead(self, request: ProgramRequest, asked: AskedFunction, refusal: NotProbed) -> Target:
        """What serves a request for a function that this kernel, which has kprobes, refuses or has not."""
        at_return = request.type == "kretprobe"
        call = self._stand_ins.system_call(asked.name, self._targets.listed(), at_return)
        if call or self._stand_ins.needed(self._functions.names(asked.name)):
            target = self.stand_in(request, refusal.reason.partition(": ")[0] if call else refusal.reason)
            if target is not None:
                return target
        if asked.module and f"{asked.module}/{asked.name}" in self._targets.listed():
            return self._as_tracepoint(request, f"{asked.module}/{asked.name}")
        near = [f"tracepoint {event}" for event in (self._found(asked.name, request.type) or StandIn(())).events[:2]]
        raise RequestError(f"{request.type} {asked}: {refusal.reason}.{works(near + refusal.close)}")

    def _about_wildcard(self, pattern: str) -> str:
        sentence = "a function is asked for by its full name, each in a program of its own."
        bare = re.split("[:/]", pattern)[-1]
        if "sys_" in bare:
            return f"{sentence}{works(['tracepoint syscalls/sys_enter_*', 'tracepoint syscalls/sys_exit_*'])}"
        found = self._functions.matching(bare) if not self._functions.obstacle() else []
        return f"{sentence} Functions that match are {', '.join(found)}." if found else sentence

    def _tracepoints_near(self, request: ProgramRequest, asked: AskedFunction) -> list[str]:
        """Tracepoints that stand in for functions of close names, and those whose own names are close."""
        near = []
        for name in close_names(asked.name, self._stand_ins.functions, LISTED):
            found = self._found(name, request.type)
            near += [f"tracepoint {found.events[0]} (for {name})"] if found else []
        close = close_names(asked.name, [name.rpartition("/")[2] for name in self._targets.listed()], LISTED)
        near += [
            f"tracepoint {name}" for event in close for name in self._targets.listed() if name.endswith(f"/{event}")
        ]
        return near[:LISTED]
