# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: the processes of one command line, from start to certain end.

Every program is started as the leader of its own session, with a mark in its environment. Leaders are not reaped
before all is over, so that their ids cannot go to somebody else's processes in between. At the end whatever bears a
leader's session or the mark is ended, so that grandchildren go too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import uuid
from typing import IO, Union

from .launch import Launch
from .programs import ENVIRONMENT

MARK = "NANNYAPI_COMMAND"
_Target = Union[int, IO[bytes]]


class ProcessFamily:
    """The programs of a command line and all that they start."""

    def __init__(self) -> None:
        # Told apart by who started it, also where several diagnoses run at once.
        self.mark = f"{os.getpid()}-{uuid.uuid4().hex}"
        self.leaders: list[subprocess.Popen[bytes]] = []
        self.codes: dict[int, int] = {}

    def start(self, launch: Launch, name: str, stdin: _Target, stdout: _Target, stderr: _Target) -> int:
        """Starts what stands for the program `name`; its process id. Raises OSError."""
        path, *words = launch.arguments
        process = subprocess.Popen(
            [name if launch.is_program else path, *words],
            executable=path,
            pass_fds=launch.descriptors,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd="/",
            env={**ENVIRONMENT, MARK: self.mark},
            start_new_session=True,
        )
        self.leaders.append(process)
        return process.pid

    def exit_code(self, pid: int) -> int | None:
        """The exit code as a shell gives it (128 and the signal's number where one ended it), None while it runs."""
        if pid not in self.codes:
            # WNOWAIT leaves it a zombie: its id stays taken.
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return None
            self.codes[pid] = ended.si_status if ended.si_code == os.CLD_EXITED else 128 + ended.si_status
        return self.codes[pid]

    def running(self) -> bool:
        """Whether a program that was started here still runs."""
        return any(self.exit_code(process.pid) is None for process in self.leaders)

    def end(self, patience: float = 0.5) -> list[int]:
        """Ends every process of the family: asked first, forced after `patience` seconds. The ids that remain."""
        remaining = self._members()
        self._signal(remaining, signal.SIGTERM)
        for waited in (patience, 2.0):
            give_up = time.monotonic() + waited
            while remaining and time.monotonic() < give_up:
                time.sleep(0.02)
                remaining = self._members()
            if not remaining:
                break
            self._signal(remaining, signal.SIGKILL)
        return remaining

    def reap(self) -> None:
        """Takes the exit codes of the programs, so that no zombie stays; groups that outlived theirs are ended."""
        for process in self.leaders:
            if self.exit_code(process.pid) is None:
                continue
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @staticmethod
    def _signal(pids: list[int], number: signal.Signals) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def _members(self) -> list[int]:
        sessions = {process.pid for process in self.leaders}
        mark = f"{MARK}={self.mark}".encode()
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit() and _is_member(int(name), sessions, mark):
                found.append(int(name))
        return found


def _is_member(pid: int, sessions: set[int], mark: bytes) -> bool:
    """Whether a living process belongs to one of the sessions or bears the mark."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as opened:
            # The command name, in parentheses, may hold anything.
            state, _parent, _group, session = opened.read().rpartition(b")")[2].split()[:4]
        if state in (b"Z", b"X"):
            return False
        if int(session) in sessions:
            return True
        with open(f"/proc/{pid}/environ", "rb") as opened:
            return mark in opened.read().split(b"\0")
    except (OSError, ValueError):
        return False
