# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a request's target to what is attached. Private to the collection."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, NamedTuple, Optional, Union

from . import tracefs
from .bundle import Bundle
from .errors import HostError, RequestError
from .kernel import machine
from .request import ProgramRequest
from .tracefs import Field, Format

if TYPE_CHECKING:
    from .function_targets import FunctionTargets
    from .functions import FunctionTarget
    from .kernel_files import KernelFiles

LISTED = 5  # names that are told where one is not there
_ENTER, _EXIT = "sys_enter_", "sys_exit_"


class Syscall(NamedTuple):
    """A system call of this kernel: its number, and what its tracepoint says of its arguments."""

    name: str
    number: int
    format: Optional[Format]  # None where the kernel describes it not

    @property
    def arguments(self) -> list[Field]:
        """The fields of its tracepoint that are its arguments, in order."""
        if self.format is None:
            return []
        return [field for field in self.format.fields if field.name not in ("__syscall_nr", "nr")]


class SyscallTarget(NamedTuple):
    """System calls, at entry or at exit. `every`: all there are, also those that the kernel does not describe."""

    event: str
    syscalls: tuple[Syscall, ...]
    at_exit: bool
    every: bool
    note: Optional[str] = None  # why it differs from what was asked


class TracepointTarget(NamedTuple):
    """Any other tracepoint."""

    event: str
    format: Format
    note: Optional[str] = None  # why it differs from what was asked


Target = Union[SyscallTarget, TracepointTarget, "FunctionTarget"]


class Targets:
    """Resolves targets on this host. Reads tracefs and the kernel's symbols at most once for each instance."""

    def __init__(self, bundle: Bundle, files: Optional[KernelFiles] = None) -> None:
        """`files`: where the kernel's files are, if not in their places."""
        self._bundle = bundle
        self._files = files
        self._syscalls = bundle.data("syscalls.json")
        self._functions: Optional[FunctionTargets] = None
        numbers = bundle.data("syscall_numbers.json")
        if machine() not in numbers:
            raise HostError(f"The system calls of {machine()} are not known; known: {', '.join(numbers)}.")
        self.numbers: dict[str, int] = numbers[machine()]
        self._events: Optional[list[str]] = None

    def resolve(self, request: ProgramRequest) -> Target:
        """What a request attaches to. Raises RequestError with what would work instead, or HostError."""
        if request.type != "tracepoint":
            return self.functions().resolve(request)
        return self.resolve_event(request)

    def resolve_event(self, request: ProgramRequest) -> SyscallTarget | TracepointTarget:
        """What a request for a tracepoint attaches to. Raises as `resolve`."""
        category, _slash, event = request.target.partition("/")
        if category == "raw_syscalls" and event in ("sys_enter", "sys_exit"):
            return self.all_syscalls(event, event == "sys_exit")
        if any(sign in request.target for sign in "*?["):
            return self._wildcard(request.target, category, event)
        return self.tracepoint(request, request.target)

    def functions(self) -> FunctionTargets:
        """Who resolves functions; loaded when the first is asked for, for most diagnoses ask for none."""
        from .function_targets import FunctionTargets

        self._functions = self._functions or FunctionTargets(self, self._bundle, self._files)
        return self._functions

    def tracepoint(self, request: ProgramRequest, target: str) -> SyscallTarget | TracepointTarget:
        """A tracepoint by its category and event. Raises RequestError."""
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

    def listed(self) -> list[str]:
        """All tracepoints of this kernel, as category/event."""
        if self._events is None:
            self._events = tracefs.events()
        return self._events

    def _suggestion(self, target: str) -> str:
        """Up to five tracepoints whose names are close, as a sentence."""
        distinct = self._close_events(target)
        return f" The closest names are {', '.join(distinct)}." if distinct else " No name comes close."

    def _close_events(self, target: str) -> list[str]:
        import difflib  # needed only where something is wrong

        listed = self.listed()
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

    def all_syscalls(self, event: str, at_exit: bool) -> SyscallTarget:
        """Every system call, at entry or at exit."""
        return SyscallTarget(event, self._matching(_ENTER + "*"), at_exit, every=True)

    def _matching(self, pattern: str) -> tuple[Syscall, ...]:
        names = [name.rpartition("/")[2] for name in self.listed() if name.startswith("syscalls/")]
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
            return self.all_syscalls("sys_exit" if at_exit else "sys_enter", at_exit)
        try:
            found = self._matching(event)
        except re.error as error:  # some versions of fnmatch make of [z-a] what they do not take themselves
            raise RequestError(f"{target} is no pattern: {error}. Write * for any text in it.") from error
        if not found:
            raise RequestError(f"No system call of this kernel matches {target}.{self._suggestion(target)}")
        return SyscallTarget(event, found, at_exit, every=False)
