# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: running one judged command line without a shell.

Pipelines, `;`, `&&` and `||` are done here. All programs write to one pipe, as to a terminal, so that their output
comes in order; it is read in bounded memory, until they end, their time is over or the diagnosis is stopped.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import Callable, Optional

from .capture import Aside, Captured
from .errors import Refused
from .launch import Fence
from .memory_use import MemoryWatch
from .output import BoundedOutput
from .processes import ProcessFamily
from .programs import find
from .trusted_reader import TrustedReader
from .verdict import JudgedCommand, JudgedGroup, JudgedMember, JudgedPending, JudgedPipeline

MOST_READ = 64 * 1024 * 1024
_TICK = 0.05
# How long output may still come from what a program left behind, after the program itself has ended.
_LINGER = 0.3


@dataclass(frozen=True)
class Limits:
    """Seconds and kept bytes of output for one command line; bytes of memory in all, this host's by default."""

    seconds: float = 30.0
    output_bytes: int = 16384
    memory_bytes: Optional[int] = None


@dataclass(frozen=True)
class Outcome:
    """What a command line left: its output, exit code and how it ended."""

    output: str
    exit_code: int
    truncated_bytes: int
    timed_out: bool
    cancelled: bool
    error: str | None
    notes: tuple[str, ...] = ()
    # The capabilities that each program was started with; nothing where there were none, as is the rule.
    granted: dict[str, list[str]] = field(default_factory=dict)
    # Why a part of the line was refused that could only be judged when what comes before it had run.
    refused: str | None = None


class LineExecutor:
    """Runs the pipelines of one line; use once."""

    def __init__(
        self, limits: Limits, cancelled: Callable[[], bool], fence: Fence, may_read: Callable[[str], None]
    ) -> None:
        """`may_read` raises `Refused` for a path whose content is not shown, and is asked again of what was opened."""
        self.limits = limits
        self.fence = fence
        self.reader = TrustedReader(may_read)
        self.notes: list[str] = []
        self.granted: dict[str, list[str]] = {}
        self.refused: str | None = None
        self.cancelled = cancelled
        self.give_up = time.monotonic() + limits.seconds
        self.shown = BoundedOutput(limits.output_bytes)
        # Where output goes to: to be shown, or to be worked on by the next part of the line.
        self.output: BoundedOutput | Captured = self.shown
        self.errors: int | None = None
        self.family = ProcessFamily()
        self.memory = MemoryWatch(limits.memory_bytes)
        self.stopped: str | None = None
        # Whether somebody still held the output when the programs themselves had ended.
        self.left_behind = False
        self.last: _Started | _NotStarted = _NotStarted(0)

    def run(self, pipelines: list[JudgedPipeline]) -> Outcome:
        """Runs them one after the other as `;`, `&&` and `||` ask for. When it returns nothing of them runs."""
        code = 0
        try:
            code = self._run_list(pipelines)
        finally:
            over = not (self.stopped or self.left_behind or self.family.running())
            remaining = [] if over else self.family.end()
            self.family.reap()
        if self.stopped and isinstance(self.last, _Started):
            code = self.family.exit_code(self.last.pid) or code
        text, left_out = self.shown.text()
        timed_out, cancelled = self.stopped == "timeout", self.stopped == "cancelled"
        return Outcome(
            text,
            code,
            left_out,
            timed_out,
            cancelled,
            self._error(remaining),
            tuple(self.notes),
            self.granted,
            self.refused,
        )

    def _error(self, remaining: list[int]) -> str | None:
        said = {
            None: None,
            "timeout": f"It did not end within {self.limits.seconds:g} s and was ended; the output is what it had"
            " written by then.",
            "cancelled": "The round was over, or the diagnosis was stopped, before it had ended; the output is what it"
            " had written by then.",
            "memory": f"It took more than {self.memory.most >> 20} MiB of memory in all and was ended; ask for less.",
            "flood": f"It wrote more than {MOST_READ // 1024 // 1024} MiB and was ended; ask for less.",
        }[self.stopped]
        if remaining:
            pids = ", ".join(map(str, remaining))
            said = f"{said or ''} Process {pids} could not be ended, as it waits in the kernel."
        return said

    def _run_list(self, pipelines: list[JudgedPipeline]) -> int:
        code = 0
        for pipeline in pipelines:
            joined_by = pipeline.joined_by
            if (joined_by == "&&" and code != 0) or (joined_by == "||" and code == 0):
                continue
            if pipeline.pending is not None:
                code = self._run_pending(pipeline.pending)
            else:
                code = self._run_members(pipeline.commands)
            if self.stopped:
                break
        return code

    def _run_pending(self, pending: JudgedPending) -> int:
        texts = []
        for pipelines in pending.first:
            texts.append(self._captured(pipelines).text()[0])
            if self.stopped:
                return 1
        try:
            return self._run_list(pending.settle(texts))
        except Refused as error:
            return self._late_refusal(str(error)).code

    def _run_members(self, members: list[JudgedMember]) -> int:
        commands = [member for member in members if isinstance(member, JudgedCommand)]
        first = members[0]
        if isinstance(first, JudgedCommand):
            return self._run_pipeline(commands)
        if commands:
            captured = self._captured([JudgedPipeline(";", [first])])
            return 1 if self.stopped else self._run_pipeline(commands, captured.as_file())
        if isinstance(first, JudgedGroup):
            return self._run_list(first.pipelines)
        held = self._run_list(first.condition) == 0
        return 1 if self.stopped else self._run_list(first.then if held else first.otherwise)

    def _captured(self, pipelines: list[JudgedPipeline]) -> Captured:
        """What the pipelines print; what they say besides is shown."""
        before, errors, captured, aside = self.output, self.errors, Captured(), Aside()
        self.output, self.errors = captured, aside.descriptor
        try:
            self._run_list(pipelines)
        finally:
            self.output, self.errors = before, errors
            self.shown.add(aside.take())
        if captured.seen > len(captured.kept):
            self.shown.add(f"[only the first {len(captured.kept)} bytes of what was printed are worked on]\n".encode())
        return captured

    def _run_pipeline(self, commands: list[JudgedCommand], stdin: int = subprocess.DEVNULL) -> int:
        read_end, write_end = os.pipe()
        try:
            members = self._start_all(commands, write_end, stdin)
            os.close(write_end)
            write_end = -1
            self._follow(read_end, [member for member in members if isinstance(member, _Started)])
            self.last = members[-1]
            if isinstance(self.last, _NotStarted):
                return self.last.code
            # None only where it had to be stopped: the signal that ends it will tell.
            code = self.family.exit_code(self.last.pid)
            return 128 + signal.SIGKILL if code is None else code
        finally:
            os.close(read_end)
            if write_end >= 0:
                os.close(write_end)

    def _start_all(self, commands: list[JudgedCommand], collector: int, upstream: int) -> list[_Started | _NotStarted]:
        members: list[_Started | _NotStarted] = []
        errors = collector if self.errors is None else self.errors
        for position, command in enumerate(commands):
            downstream_read, downstream = subprocess.DEVNULL, collector
            if position < len(commands) - 1:
                downstream_read, downstream = os.pipe()
            members.append(self._start(command, upstream, downstream, errors))
            for descriptor in (upstream, downstream):
                if descriptor not in (subprocess.DEVNULL, collector):
                    os.close(descriptor)
            upstream = downstream_read
        return members

    def _start(self, command: JudgedCommand, stdin: int, stdout: int, stderr: int) -> _Started | _NotStarted:
        name = command.arguments[0]
        path = find(name)
        if path is None:
            return self._not_started(127, f"The program `{name}` is not on this host.")
        opened: list[int] = []
        targets = {0: stdin, 1: stdout, 2: stderr}
        try:
            for redirection in command.redirections:
                if redirection.source is not None:
                    # Not to wait for a pipe's other end, should the file have become one.
                    source = os.path.join("/", redirection.source.text)
                    opened.append(os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
                    self.reader.judge_opened(opened[-1])
                    targets[0] = opened[-1]
                elif redirection.duplicate_of is not None:
                    targets[redirection.descriptor] = targets[redirection.duplicate_of]
                else:
                    targets[redirection.descriptor] = subprocess.DEVNULL
            launch = self.fence.launch(
                path, command.arguments, command.grants, self.limits.seconds, self.reader.may_read
            )
            try:
                self.notes += launch.notes
                if launch.capabilities:
                    self.granted[name] = sorted({*self.granted.get(name, []), *launch.capabilities})
                return _Started(self.family.start(launch, name, targets[0], targets[1], targets[2]))
            finally:
                launch.close()
        except Refused as error:
            return self._late_refusal(str(error))
        except OSError as error:
            return self._not_started(126, f"`{name}` could not be started: {error}.")
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def _late_refusal(self, sentence: str) -> _NotStarted:
        # It is told beside the output and not within it, where it would pass for something that the host says.
        self.refused = self.refused or sentence
        return _NotStarted(126)

    def _not_started(self, code: int, sentence: str) -> _NotStarted:
        self.shown.add(sentence.encode() + b"\n")
        return _NotStarted(code)

    def _follow(self, read_end: int, members: list[_Started]) -> None:
        """Reads until all members have ended and nothing more comes, or until it has to stop."""
        os.set_blocking(read_end, False)
        # poll and not select: a process with many descriptors may be given one above 1023.
        poller = select.poll()
        poller.register(read_end, select.POLLIN)
        open_for_reading = True
        ended_at: float | None = None
        while not self._must_stop():
            if open_for_reading:
                if poller.poll(_TICK * 1000):
                    open_for_reading = self._read(read_end)
            else:
                time.sleep(0.005 if ended_at is None else _TICK)
            if all(self.family.exit_code(member.pid) is not None for member in members):
                ended_at = ended_at or time.monotonic()
                if not open_for_reading:
                    return
                if time.monotonic() - ended_at > _LINGER:
                    self.left_behind = True
                    return

    def _read(self, read_end: int) -> bool:
        try:
            chunk = os.read(read_end, 65536)
        except BlockingIOError:
            return True
        self.output.add(chunk)
        return bool(chunk)

    def _must_stop(self) -> bool:
        if self.cancelled():
            self.stopped = "cancelled"
        elif time.monotonic() >= self.give_up:
            self.stopped = "timeout"
        elif self.output.seen > MOST_READ:
            self.stopped = "flood"
        elif self.memory.exceeded(process.pid for process in self.family.leaders):
            self.stopped = "memory"
        return self.stopped is not None


@dataclass(frozen=True)
class _Started:
    pid: int


@dataclass(frozen=True)
class _NotStarted:
    code: int
