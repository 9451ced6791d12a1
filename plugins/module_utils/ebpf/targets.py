# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a request's target to what is attached. Private to the collection."""

from __future__ import annotations

import difflib
import fnmatch
import platform
import re
from dataclasses import dataclass, replace
from typing import Optional, Union

from . import tracefs
from .bundle import Bundle
from .errors import HostError, RequestError
from .functions import LISTED, AskedFunction, Functions, FunctionTarget, NotProbed, parse_function, works
from .kernel_files import KernelFiles
from .request import ProgramRequest
from .stand_ins import StandIn, StandIns
from .symbols import close_names
from .tracefs import Format

_ENTER, _EXIT = "sys_enter_", "sys_exit_"


@dataclass(frozen=True)
class Syscall:
    """A system call of this kernel: its number, and what its tracepoint says of its arguments."""

    name: str
    number: int
    format: Optional[Format]  # None where the kernel describes it not


@dataclass(frozen=True)
class SyscallTarget:
    """System calls, at entry or at exit. `every`: all there are, also those that the kernel does not describe."""

    event: str
    syscalls: tuple[Syscall, ...]
    at_exit: bool
    every: bool
    note: Optional[str] = None  # why it differs from what was asked


@dataclass(frozen=True)
class TracepointTarget:
    """Any other tracepoint."""

    event: str
    format: Format
    note: Optional[str] = None  # why it differs from what was asked


Target = Union[SyscallTarget, TracepointTarget, FunctionTarget]


class Targets:
    """Resolves targets on this host. Reads tracefs and the kernel's symbols at most once for each instance."""

    def __init__(self, bundle: Bundle, files: Optional[KernelFiles] = None) -> None:
        """`files`: where the kernel's files are, if not in their places."""
        known = bundle.data("targets.json")
        self._syscalls = bundle.data("syscalls.json")
        self._functions = Functions(known, files)
        self._stand_ins = StandIns(known, self._syscalls["names"])
        numbers = bundle.data("syscall_numbers.json")
        if platform.machine() not in numbers:
            raise HostError(f"The system calls of {platform.machine()} are not known; known: {', '.join(numbers)}.")
        self.numbers: dict[str, int] = numbers[platform.machine()]
        self._events: Optional[list[str]] = None

    def resolve(self, request: ProgramRequest) -> Target:
        """What a request attaches to. Raises RequestError with what would work instead, or HostError."""
        if request.type != "tracepoint":
            return self._function(request)
        category, _slash, event = request.target.partition("/")
        if category == "raw_syscalls" and event in ("sys_enter", "sys_exit"):
            return self._all_syscalls(event, event == "sys_exit")
        if any(sign in request.target for sign in "*?["):
            return self._wildcard(request.target, category, event)
        return self._tracepoint(request, request.target)

    def _tracepoint(self, request: ProgramRequest, target: str) -> SyscallTarget | TracepointTarget:
        category, _slash, event = target.partition("/")
        found = self._format(target)
        if category != "syscalls" and request.filters.on_results:
            raise RequestError(
                f"The filters errors_only and min_duration_us are for what returns; the tracepoint {target} has"
                " no result and no duration."
            )
        if category == "syscalls":
            return SyscallTarget(event, (self._syscall(event),), event.startswith(_EXIT), every=False)
        return TracepointTarget(event, found)

    def _format(self, target: str) -> Format:
        category, _slash, event = target.partition("/")
        valid = all(part.replace("_", "").replace("-", "").isalnum() for part in (category, event))
        found = tracefs.read_format(category, event) if valid else None
        if found is None:
            raise RequestError(f"This kernel has no tracepoint {target}.{self._suggestion(target)}")
        if category == "ftrace" or not found.identifier:
            raise RequestError(f"{target} describes a record of ftrace itself; no program can be attached to it.")
        return found

    def _listed(self) -> list[str]:
        if self._events is None:
            self._events = tracefs.events()
        return self._events

    def _suggestion(self, target: str) -> str:
        """Up to five tracepoints whose names are close, as a sentence."""
        distinct = self._close_events(target)
        return f" The closest names are {', '.join(distinct)}." if distinct else " No name comes close."

    def _close_events(self, target: str) -> list[str]:
        listed = self._listed()
        event = target.rpartition("/")[2]
        same_event = [name for name in listed if name.rpartition("/")[2] == event]
        close = same_event + difflib.get_close_matches(target, listed, n=LISTED, cutoff=0.6)
        close += [name for name in listed if event and event in name.rpartition("/")[2]]
        return list(dict.fromkeys(close))[:LISTED]

    def _syscall(self, event: str) -> Syscall:
        name = event[len(_EXIT if event.startswith(_EXIT) else _ENTER) :]
        name = self._syscalls["names"].get(name, name)
        if name not in self.numbers:
            raise RequestError(
                f"The number of the system call {name} is not known here; trace raw_syscalls/sys_enter instead."
            )
        described = tracefs.read_format("syscalls", _ENTER + event[len(_EXIT if event.startswith(_EXIT) else _ENTER) :])
        return Syscall(name, self.numbers[name], described)

    def _all_syscalls(self, event: str, at_exit: bool) -> SyscallTarget:
        return SyscallTarget(event, self._matching(_ENTER + "*"), at_exit, every=True)

    def _matching(self, pattern: str) -> tuple[Syscall, ...]:
        names = [name.rpartition("/")[2] for name in self._listed() if name.startswith("syscalls/")]
        found = []
        for name in fnmatch.filter(names, pattern):
            try:
                found.append(self._syscall(name))
            except RequestError:
                continue  # newer than our table: counted by its number where every system call is asked for
        return tuple(found)

    def _wildcard(self, target: str, category: str, event: str) -> SyscallTarget:
        if category != "syscalls" or not event.startswith(("sys_enter_", "sys_exit_")):
            raise RequestError(
                f"A wildcard is possible in syscalls/sys_enter_… and syscalls/sys_exit_… only, not in {target}: name"
                f" each tracepoint in a program of its own.{self._suggestion(target.replace('*', ''))}"
            )
        at_exit = event.startswith(_EXIT)
        if event in ("sys_enter_*", "sys_exit_*"):
            return self._all_syscalls("sys_exit" if at_exit else "sys_enter", at_exit)
        found = self._matching(event)
        if not found:
            raise RequestError(f"No system call of this kernel matches {target}.{self._suggestion(target)}")
        return SyscallTarget(event, found, at_exit, every=False)

    def _function(self, request: ProgramRequest) -> Target:
        """A function, or what stands in for it where the kernel takes no probe there."""
        category, slash, _event = request.target.partition("/")
        if slash and tracefs.mount_point() and any(name.startswith(f"{category}/") for name in self._listed()):
            return self._as_tracepoint(request, request.target)
        if any(sign in request.target for sign in "*?["):
            raise RequestError(f"{request.type} {request.target:.80}: {self._about_wildcard(request.target)}")
        asked = parse_function(request.target)
        self._functions.require_privilege()
        obstacle = self._functions.obstacle()
        if obstacle is None:
            try:
                return self._functions.resolve(request.target, asked, request.type == "kretprobe")
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

    def _as_tracepoint(self, request: ProgramRequest, target: str) -> Target:
        return replace(
            self.resolve(replace(request, type="tracepoint", target=target)),
            note=f"{target} is a tracepoint, so it was traced as one and not as a {request.type}.",
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
        target = replace(targets[0], syscalls=calls) if isinstance(targets[0], SyscallTarget) else targets[0]
        stands = "stands in" if len(found.events) == 1 else "stand in"
        told = [f"{request.type} {asked}: {reason}; {found} {stands}."]
        if found.differs:
            told.append(f"{found.differs[0].upper()}{found.differs[1:]}.")
        if request.type == "kretprobe" and isinstance(target, TracepointTarget):
            told.append("It has no duration, and no returned value but what its record says.")
        return replace(target, note=" ".join(told))

    def _resolve_event(self, request: ProgramRequest, event: str) -> SyscallTarget | TracepointTarget:
        category, _slash, name = event.partition("/")
        if category == "raw_syscalls":
            return self._all_syscalls(name, name == "sys_exit")
        return self._tracepoint(request, event)

    def _found(self, name: str, kind: str) -> Optional[StandIn]:
        return self._stand_ins.find(self._functions.names(name), self._listed(), kind == "kretprobe")

    def _instead(self, request: ProgramRequest, asked: AskedFunction, refusal: NotProbed) -> Target:
        """What serves a request for a function that this kernel, which has kprobes, refuses or has not."""
        at_return = request.type == "kretprobe"
        call = self._stand_ins.system_call(asked.name, self._listed(), at_return)
        if call or self._stand_ins.needed(self._functions.names(asked.name)):
            target = self.stand_in(request, refusal.reason.partition(": ")[0] if call else refusal.reason)
            if target is not None:
                return target
        if asked.module and f"{asked.module}/{asked.name}" in self._listed():
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
        close = close_names(asked.name, [name.rpartition("/")[2] for name in self._listed()], LISTED)
        near += [f"tracepoint {name}" for event in close for name in self._listed() if name.endswith(f"/{event}")]
        return near[:LISTED]
