# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: running a round's commands, several at a time, each judged first."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import Any, Callable

from .errors import Refused
from .execute import Limits, LineExecutor, Outcome
from .fence import NoFence, choose
from .launch import Fence
from .policy import Policy
from .verdict import Verdict

Result = dict[str, Any]

# A judgement looks at files; on a file system that does not answer it may never come back.
_GRACE = 5.0


def run_commands(
    commands: list[dict[str, Any]],
    *,
    policy: Policy,
    limits: Limits,
    parallel: int = 4,
    cancelled: Callable[[], bool] = lambda: False,
    on_done: Callable[[Result], None] | None = None,
    fence: Fence | NoFence | None = None,
    on_allowed: Callable[[Result, Verdict], None] | None = None,
) -> list[Result]:
    """The protocol's command results, in the order of `commands` (`{"id", "command", …}` each).

    They run in `fence`; without one in this host's sandbox, and where it has none that works, they are refused.

    `parallel` commands run at a time, each within `limits`. `cancelled` is polled at least five times a second; once
    it is true every process that was started here is ended. `on_done` is called in the caller's thread. A refused
    command has `refused`, `reason` and `exit_code` None; so has one of which a part was refused when it was known, and
    `output` is then what the rest printed. `on_allowed` is called right before a command is run, in a
    thread of the command's own, with a result that is still empty; it raises Refused, and the command is not run.
    Never raises for what a command is or does.
    """
    if fence is not None:
        return _Round(commands, policy, limits, cancelled, on_done, fence, on_allowed).run(parallel)
    with contextlib.closing(choose(policy.secret_patterns, unsandboxed=False)) as found:
        return _Round(commands, policy, limits, cancelled, on_done, found, on_allowed).run(parallel)


class _Round:
    def __init__(
        self,
        commands: list[dict[str, Any]],
        policy: Policy,
        limits: Limits,
        cancelled: Callable[[], bool],
        on_done: Callable[[Result], None] | None,
        fence: Fence | NoFence,
        on_allowed: Callable[[Result, Verdict], None] | None,
    ) -> None:
        self.commands = commands
        self.fence = fence
        self.policy = policy
        self.limits = limits
        self.cancelled = cancelled
        self.on_done = on_done
        self.on_allowed = on_allowed
        self.results: list[Result | None] = [None] * len(commands)
        self.done: queue.SimpleQueue[tuple[int, Result]] = queue.SimpleQueue()
        self.started: dict[int, float] = {}

    def run(self, parallel: int) -> list[Result]:
        waiting = list(range(len(self.commands)))
        while waiting or self.started:
            while waiting and len(self.started) < max(1, parallel):
                self._start(waiting.pop(0))
            self._wait()
        return [result for result in self.results if result is not None]

    def _start(self, index: int) -> None:
        if self.cancelled():
            self._finish(index, self._unanswered(index, "The diagnosis was stopped before this command was started."))
            return
        self.started[index] = time.monotonic()
        threading.Thread(target=self._work, args=(index,), daemon=True, name=f"command-{index}").start()

    def _work(self, index: int) -> None:
        try:
            result = self._judge_and_run(index)
        except Exception as error:
            # A thread that dies without a word would be waited for until its time is over.
            result = self._unanswered(index, f"The command could not be run ({type(error).__name__}: {error}).")
        self.done.put((index, result))

    def _wait(self) -> None:
        try:
            index, result = self.done.get(timeout=0.1)
        except queue.Empty:
            self._give_up_stuck()
        else:
            if index in self.started:
                self._finish(index, result)

    def _give_up_stuck(self) -> None:
        for index, started in list(self.started.items()):
            if time.monotonic() - started > self.limits.seconds + _GRACE:
                reason = "The command is stuck in the kernel, perhaps on a file system that does not answer."
                self._finish(index, {**self._unanswered(index, reason), "timed_out": True})

    def _finish(self, index: int, result: Result) -> None:
        started = self.started.pop(index, None)
        if started is not None:
            result["duration_s"] = round(time.monotonic() - started, 3)
        self.results[index] = result
        if self.on_done is not None:
            self.on_done(result)

    def _judge_and_run(self, index: int) -> Result:
        verdict = self.policy.judge(str(self.commands[index].get("command", "")))
        if not verdict.allowed:
            return {**self._empty(index), "refused": True, "reason": verdict.reason}
        if isinstance(self.fence, NoFence):
            return {**self._empty(index), "refused": True, "reason": self.fence.reason}
        if self.on_allowed is not None:
            try:
                self.on_allowed(self._empty(index), verdict)
            except Refused as error:
                return {**self._empty(index), "refused": True, "reason": str(error)}
        outcome = LineExecutor(self.limits, self.cancelled, self.fence, self.policy.paths.may_read).run(
            verdict.pipelines
        )
        return {**self._empty(index), **_as_result(outcome)}

    def _empty(self, index: int) -> Result:
        command = self.commands[index]
        line = str(command.get("command", ""))
        name = str(command.get("id") or f"command_{index + 1}")
        return {"id": name, "command": line, "output": "", "exit_code": None}

    def _unanswered(self, index: int, error: str) -> Result:
        return {**self._empty(index), "error": error}


def _as_result(outcome: Outcome) -> Result:
    result: Result = {"output": outcome.output, "exit_code": outcome.exit_code}
    if outcome.truncated_bytes:
        result["truncated_bytes"] = outcome.truncated_bytes
    if outcome.timed_out:
        result["timed_out"] = True
    if outcome.cancelled:
        result["cancelled"] = True
    if outcome.error:
        result["error"] = outcome.error
    if outcome.refused:
        # Beside the output: what ran before is evidence.
        result.update(exit_code=None, refused=True, reason=outcome.refused)
    if outcome.granted:
        result["granted"] = outcome.granted
    if outcome.notes:
        result["notes"] = list(outcome.notes)
    return result


__all__ = ["Limits", "run_commands"]
