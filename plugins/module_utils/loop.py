# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: the turns of a diagnosis, from the issue to how it ended.

The loop does no I/O of its own. It asks through one port and collects through another, so that it is the same whether
the host or the controller reaches the model.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Optional

from . import turns
from .conversation import Conversation, OutOfTokens
from .grounding.check import Checker
from .model.port import Answer, Model, ModelError
from .protocol import MAX_COMMANDS, MAX_PROGRAMS, Diagnostic, Parsed, Program, ReplyError, Resolution, parse_reply

Collect = Callable[[list[dict[str, Any]], list[dict[str, Any]], float], dict[str, Any]]
Progress = Callable[[dict[str, Any]], None]

_SETTLE_SECONDS = 2.0
"""What a round costs beside its longest trace: attaching, detaching, decoding."""

_SHORTEST_TRACE = 1.0
_LIMITS = {"round_limit": "rounds", "time_limit": "time", "token_limit": "tokens"}

_SHORTEST_CORRECTION = 5.0
"""Seconds that have to be left for a resolution to be corrected."""


@dataclass(frozen=True)
class LoopLimits:
    """What a diagnosis may cost; times in seconds, output_chars in characters of evidence a round for the model."""

    rounds: int = 5
    seconds: float = 600.0
    output_chars: int = 60_000
    commands: int = MAX_COMMANDS
    programs: int = MAX_PROGRAMS
    trace_seconds: float = 60.0
    answer_seconds: float = 180.0
    repairs: int = 2
    tokens: Optional[int] = None
    """What all requests and answers may come to: as servers count, else as estimated. None: no limit."""
    request_tokens: int = 100_000
    """What one request may come to, so that it fits into what models take in."""
    corrections: int = 1
    """How often a resolution with claims that the evidence does not carry is sent back: 0 or 1."""
    reserve_seconds: float = 60.0
    """Kept back for the last turn, but never more than a fifth of ``seconds``."""


def diagnose(
    *,
    issue: str,
    system_information: dict[str, Any],
    capabilities: dict[str, Any],
    model: Model,
    collect: Collect,
    limits: LoopLimits,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Carry a diagnosis from *issue* to its end; never raises for anything that a model says.

    collect: takes commands, programs and a deadline (a value of *clock*), gives ``command_results``, ``ebpf_results``.
    Returns ``resolution`` (None where none was reached), ``grounding`` (what of it was found in the evidence; None
    without one), ``ended`` (``resolution``, ``round_limit``, ``time_limit``, ``token_limit``, ``model_error``,
    ``unusable_replies``), ``error`` (a sentence, or None), ``rounds``, ``command_results``, ``ebpf_results``,
    ``usage``, ``episode_id``, ``model``. After a limit the resolution is what the model concluded in its last turn, if
    it did.
    """
    return _Diagnosis(model, collect, limits, progress, clock).run(issue, system_information, capabilities)


class _Diagnosis:
    def __init__(
        self, model: Model, collect: Collect, limits: LoopLimits, progress: Progress, clock: Callable[[], float]
    ) -> None:
        self._model = model
        self._collect = collect
        self._limits = limits
        self._progress = progress
        self._clock = clock
        self._deadline = clock() + limits.seconds
        self._last_turn_at = self._deadline - min(limits.reserve_seconds, limits.seconds / 5)
        self._conversation = Conversation(limits.tokens, limits.request_tokens)
        self._next: dict[str, Any] = {}
        self._last_turn: Optional[str] = None
        self._ended: Optional[str] = None
        self._error: Optional[str] = None
        self._resolution: Optional[dict[str, Any]] = None
        self._grounding: Optional[dict[str, Any]] = None
        self._told: dict[str, Any] = {}
        self._rounds: list[dict[str, Any]] = []
        self._command_results: list[dict[str, Any]] = []
        self._ebpf_results: dict[str, dict[str, Any]] = {}
        self._usage = {"calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "calls_without_token_counts": 0}
        self._episode_id: Optional[str] = None
        self._model_seconds = 0.0
        self._repairs = 0

    def run(self, issue: str, system_information: dict[str, Any], capabilities: dict[str, Any]) -> dict[str, Any]:
        allowed = {
            "rounds": self._limits.rounds,
            "seconds": self._limits.seconds,
            "commands_per_round": self._limits.commands,
            "programs_per_round": self._limits.programs,
            "longest_trace_seconds": self._limits.trace_seconds,
        }
        self._next = turns.opening(system_information, capabilities, allowed, issue)
        self._told = {"issue": issue, "system_information": system_information, "ebpf_capabilities": capabilities}
        if self._limits.rounds < 1:
            self._make_last("round_limit")
        try:
            while self._ended is None:
                self._take_turn()
        except ModelError as error:
            out_of_time = self._last_turn is not None and error.kind == "timeout"
            self._end(self._last_turn if out_of_time and self._last_turn else "model_error", error.message)
        except OutOfTokens as error:
            self._end(self._last_turn or "token_limit", str(error))
        return self._result()

    def _take_turn(self) -> None:
        parsed = self._usable_reply()
        if parsed is None:
            return
        if isinstance(parsed.reply, Resolution):
            self._conclude(parsed.reply)
        elif self._time_to_trace() < _SHORTEST_TRACE:
            self._next = {}
            self._make_last("time_limit")
        else:
            self._run_round(parsed.reply, parsed.notes)
            if len(self._rounds) >= self._limits.rounds:
                self._make_last("round_limit")

    def _usable_reply(self) -> Optional[Parsed]:
        """The model's reply to the next turn, after as many repairs as are allowed; None where none could be used."""
        self._repairs = 0
        while True:
            answer = self._ask()
            try:
                return self._parsed(answer)
            except ReplyError as error:
                problem = str(error)
            if self._repairs >= self._limits.repairs:
                replies = f"{self._repairs + 1} replies in a row" if self._repairs else "a reply"
                self._end(
                    self._last_turn or "unusable_replies",
                    f"The model {self._model.name} gave {replies} that could not be used; of the last: {problem}",
                )
                return None
            self._repairs += 1
            self._tell("repair", f"The reply could not be used: {problem}", attempt=self._repairs)
            self._next = turns.repair(problem, self._limits.repairs - self._repairs + 1)
            if self._last_turn:
                self._next["last_turn"] = turns.last_turn(self._last_turn)

    def _parsed(self, answer: Answer) -> Parsed:
        asked_for = {str(result.get("id")) for result in self._command_results}
        try:
            parsed = parse_reply(answer.content, self._limits.commands, self._limits.programs, asked_for)
        except ReplyError as error:
            if answer.finish_reason == "length":
                raise ReplyError(f"The limit of tokens ended the reply; it must be much shorter. {error}") from None
            raise
        if self._last_turn and isinstance(parsed.reply, Diagnostic):
            raise ReplyError(turns.NO_MORE_EVIDENCE)
        return parsed

    def _ask(self) -> Answer:
        """Send the next turn; near the end of the time it becomes the last one."""
        if self._last_turn is None and self._clock() >= self._last_turn_at:
            self._make_last("time_limit")
        messages = self._fitting()
        until = self._deadline if self._last_turn else self._last_turn_at
        timeout = min(self._limits.answer_seconds, max(1.0, until - self._clock()))
        self._tell("model_asked", f"Asking {self._model.name}", timeout=timeout)
        asked = self._clock()
        try:
            answer = self._model.ask(messages, timeout)
        except ModelError as error:
            if error.kind == "timeout" and self._last_turn is None and self._clock() >= self._last_turn_at:
                return self._ask()
            raise
        finally:
            self._model_seconds += self._clock() - asked
        self._conversation.answered(messages, answer)
        self._count(answer)
        return answer

    def _fitting(self) -> list[dict[str, str]]:
        """The next request, within what tokens are left; where they suffice for one turn alone, it is the last one."""
        messages = self._conversation.fits(self._next, last=self._last_turn is not None)
        if messages is None and self._last_turn is None:
            self._make_last("token_limit")
            messages = self._conversation.fits(self._next, last=True)
        if messages is None:
            used = f"{self._conversation.spent} of {self._limits.tokens} were used"
            raise OutOfTokens(f"The tokens of this diagnosis do not suffice for another request: {used}.")
        return messages

    def _conclude(self, reply: Resolution) -> None:
        """Hold a resolution against the evidence; where claims were not found, have it corrected, once."""
        collected = {"command_results": self._command_results, "ebpf_results": self._ebpf_results}
        checker = Checker({**self._told, **collected})
        self._resolution = reply.model_dump()
        self._grounding = {**checker.check(self._resolution), "correction": "not needed"}
        missing = self._grounding["unsupported"]
        if missing:
            outcome = self._corrected(checker, missing)
            self._grounding = {**self._grounding, "correction": outcome}
        self._end(self._last_turn or "resolution", None)

    def _corrected(self, checker: Checker, missing: list[dict[str, Any]]) -> str:
        """Ask once for a resolution without the claims that are missing; what came of it, as one of few words.

        Never the end of a diagnosis: whatever goes wrong here, the resolution that there is stays.
        """
        if not self._limits.corrections or self._deadline - self._clock() < _SHORTEST_CORRECTION:
            return "not asked for"
        self._tell(
            "repair", f"{_counted(len(missing), 'claim')} not found in the evidence; asking to correct", attempt=1
        )
        self._next = turns.correction(missing)
        self._last_turn, before = self._last_turn or "resolution", self._last_turn
        try:
            parsed = self._parsed(self._ask())
        except OutOfTokens:
            return "not asked for"
        except (ModelError, ReplyError):
            return "not answered"
        finally:
            self._last_turn = before
        corrected = parsed.reply.model_dump()
        found = checker.check(corrected)
        if len(found["unsupported"]) > len(missing):
            return "no better"
        self._resolution, self._grounding = corrected, dict(found)
        return "made"

    def _run_round(self, asked: Diagnostic, notes: list[str]) -> None:
        number = len(self._rounds) + 1
        commands = [command.model_dump() for command in asked.commands]
        programs = [self._bounded(program, notes) for program in asked.ebpf_programs]
        self._tell(
            "round_started",
            f"Round {number}: {_counted(len(commands), 'command')}, {_counted(len(programs), 'eBPF program')}",
            reasoning=asked.reasoning,
            commands=commands,
            ebpf_programs=programs,
        )
        started, wall = self._clock(), datetime.now(timezone.utc)
        collected = self._collect(commands, programs, self._last_turn_at)
        took = self._clock() - started
        results = {self._key_of_its_own(key): result for key, result in collected["ebpf_results"].items()}
        self._command_results += collected["command_results"]
        self._ebpf_results.update(results)
        self._rounds.append(
            {
                "round": number,
                "reasoning": asked.reasoning,
                "commands": [command["id"] for command in commands],
                "ebpf_programs": [f"{each['name']} ({each['type']} {each['target']})" for each in programs],
                "started": wall.isoformat(timespec="milliseconds"),
                "duration_s": round(self._model_seconds + took, 3),
                "model_s": round(self._model_seconds, 3),
                "collect_s": round(took, 3),
                "repairs": self._repairs,
            }
        )
        self._model_seconds = 0.0
        self._report({"command_results": collected["command_results"], "ebpf_results": results}, notes)

    def _report(self, evidence: dict[str, Any], notes: list[str]) -> None:
        """Make the evidence of a round the next turn."""
        left = {
            "rounds": self._limits.rounds - len(self._rounds),
            "seconds": max(0, round(self._last_turn_at - self._clock())),
        }
        self._next = self._conversation.evidence(evidence, notes, left, self._limits.output_chars)

    def _bounded(self, program: Program, notes: list[str]) -> dict[str, Any]:
        """A program as it will run: no longer than one trace may be, nor than the time that is left."""
        longest = float(min(self._limits.trace_seconds, int(self._time_to_trace())))
        asked = program.model_dump(exclude_none=True)
        if program.duration > longest:
            asked["duration"] = int(longest) if longest.is_integer() else longest
            why = "the longest trace allowed" if longest == self._limits.trace_seconds else "what the time left allows"
            notes.append(f"The program {program.name} traced for {longest:g} s, {why}, not for {program.duration:g} s.")
        return asked

    def _time_to_trace(self) -> float:
        return self._last_turn_at - self._clock() - _SETTLE_SECONDS

    def _key_of_its_own(self, key: str) -> str:
        """The key of a result, distinct within the diagnosis."""
        number = 1
        own = key
        while own in self._ebpf_results:
            number += 1
            own = f"{key}_{number}"
        return own

    def _make_last(self, why: str) -> None:
        self._last_turn = why
        self._next = {**self._next, "last_turn": turns.last_turn(why)}
        self._tell(
            "last_chance", f"The limit of {_LIMITS[why]} is reached; asking for the best resolution from what is known"
        )

    def _count(self, answer: Answer) -> None:
        self._usage["calls"] += 1
        self._usage["prompt_tokens"] += answer.prompt_tokens or 0
        self._usage["completion_tokens"] += answer.completion_tokens or 0
        if answer.prompt_tokens is None or answer.completion_tokens is None:
            self._usage["calls_without_token_counts"] += 1
        self._episode_id = self._episode_id or answer.episode_id

    def _end(self, how: str, error: Optional[str]) -> None:
        self._ended, self._error = how, error
        self._tell("ended", f"The diagnosis ended: {how.replace('_', ' ')}" + (f" ({error})" if error else ""))

    def _tell(self, stage: str, text: str, **more: Any) -> None:
        self._progress({"stage": stage, "text": text, "round": len(self._rounds) + 1, **more})

    def _result(self) -> dict[str, Any]:
        return {
            "resolution": self._resolution,
            "grounding": self._grounding,
            "ended": self._ended,
            "error": self._error,
            "rounds": self._rounds,
            "command_results": self._command_results,
            "ebpf_results": self._ebpf_results,
            "usage": self._usage,
            "episode_id": self._episode_id,
            "model": self._model.name,
        }


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
