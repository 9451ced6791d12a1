# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: the turns of a diagnosis, from the issue to how it ended.

The loop does no I/O of its own. It asks through one port, collects through another, and hands through a third what is
to be kept for a run that goes on where this one is ended. So it is the same whether the host or the controller reaches
the model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Optional

from . import turns
from .conversation import Conversation, OutOfTokens
from .grounding.check import Checker
from .injection import echo, imitations
from .json_text import without_surrogates
from .loop_state import Ended, Limit, Reply, State, read_state
from .model.port import Answer, Model, ModelError
from .model.settings import OFFLINE
from .protocol import MAX_COMMANDS, MAX_PROGRAMS, Diagnostic, Parsed, Program, ReplyError, Resolution, parse_reply

Collect = Callable[[list[dict[str, Any]], list[dict[str, Any]], float], dict[str, Any]]
Progress = Callable[[dict[str, Any]], None]
Checkpoint = Callable[[dict[str, Any]], None]
Admission = Callable[[float], AbstractContextManager[None]]

_SETTLE_SECONDS = 2.0
"""What a round costs beside its longest trace: attaching, detaching, decoding."""

_SHORTEST_TRACE = 1.0
_LIMITS = {"round_limit": "rounds", "time_limit": "time", "token_limit": "tokens", "evidence_limit": "evidence"}

_LEAST_EVIDENCE = 3_000
"""Bytes that have to be left for another round: fewer hold little more than what was asked for."""

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
    evidence_bytes: Optional[int] = None
    """Bytes of evidence that the model is shown, of all rounds together. None: no limit but that of each round."""
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
    checkpoint: Checkpoint = lambda state: None,
    resumed: Optional[dict[str, Any]] = None,
    notes: Sequence[str] = (),
    admission: Admission = lambda seconds: nullcontext(),
) -> dict[str, Any]:
    """Carry a diagnosis from *issue* to its end; never raises for anything that a model says.

    collect: takes commands, programs and a deadline (a value of *clock*), gives ``command_results``, ``ebpf_results``.
    checkpoint: is given the state (plain JSON, to be written or copied before it returns) at the beginning, after each
    answer, after each complete round and at the end. resumed: such a state, to go on from, once more through JSON or
    not; issue, system_information and capabilities are then those in it. What was collected in a complete round is not
    collected again, and an answer that was not acted on is not asked for again. *limits* are those of the whole
    diagnosis: what it used before counts, but there is always time for a last turn. notes: sentences that the model
    gets with the evidence of the next round. admission: is entered for each request; may wait for at most so many
    seconds, which are the diagnosis's and not the answer's, and raise ModelError of kind ``not_admitted``.

    Returns ``resolution`` (None where none was reached), ``grounding`` (what of it was found in the evidence; None
    without one), ``ended`` (``resolution``, ``round_limit``, ``time_limit``, ``token_limit``, ``evidence_limit``,
    ``model_error``, ``unusable_replies``), ``error`` (a sentence, or None), ``rounds``, ``command_results``,
    ``ebpf_results``, ``usage``, ``episode_id``, ``model``. After a limit the resolution is what the model concluded in
    its last turn, if it did. Raises StateError for a state that no loop can have left, and what checkpoint and collect
    raise.
    """
    if resumed is None:
        state = State.model_construct(
            issue=issue, system_information=system_information, capabilities=capabilities, model=model.name
        )
    else:
        state = read_state(resumed)
    diagnosis = _Diagnosis(state, model, collect, limits, progress, checkpoint, admission, clock)
    if resumed is None:
        diagnosis.open()
    else:
        diagnosis.go_on(notes)
    return diagnosis.run()


class _Diagnosis:
    def __init__(
        self,
        state: State,
        model: Model,
        collect: Collect,
        limits: LoopLimits,
        progress: Progress,
        checkpoint: Checkpoint,
        admission: Admission,
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._pending = state.pending
        self._model = model
        self._collect = collect
        self._limits = limits
        self._progress = progress
        self._keep = checkpoint
        self._admission = admission
        self._clock = clock
        self._began = clock() - state.spent_s
        reserve = min(limits.reserve_seconds, limits.seconds / 5)
        self._deadline = max(self._began + limits.seconds, clock() + reserve)
        self._last_turn_at = self._deadline - reserve
        self._conversation = Conversation(limits.tokens, limits.request_tokens, model.overhead)
        self._checker: Optional[Checker] = None
        self._printed: Optional[echo.Evidence] = None

    def open(self) -> None:
        """Make the first turn."""
        allowed = {
            "rounds": self._limits.rounds,
            "seconds": self._limits.seconds,
            "commands_per_round": self._limits.commands,
            "programs_per_round": self._limits.programs,
            "longest_trace_seconds": self._limits.trace_seconds,
        }
        if self._limits.evidence_bytes is not None:
            allowed["evidence_bytes"] = self._limits.evidence_bytes
        state = self._state
        self._pending.turn = turns.opening(state.system_information, state.capabilities, allowed, state.issue)

    def go_on(self, notes: Sequence[str]) -> None:
        """Take up a diagnosis where it was ended, with the limits of this run."""
        state, pending = self._state, self._pending
        self._conversation.restore(state.talk, state.collected())
        state.model = self._model.name
        pending.notes = [*pending.notes, *notes]
        if state.resolution is not None and not pending.correcting:
            return
        if state.ended:
            pending.repairs = 0
        state.ended = state.error = None
        # The limits may be others now: whether it is the last turn is found out anew.
        pending.last_turn = None
        pending.turn.pop("last_turn", None)
        if pending.answer is None and not pending.turn and state.talk.messages:
            # A diagnostic for which there was no time.
            pending.answer = Reply(content=state.talk.messages[-1]["content"])
        if "remaining" in pending.turn:
            pending.turn["remaining"] = self._remaining()
            self._conversation.now_left(self._remaining())

    def run(self) -> dict[str, Any]:
        if self._state.ended is None and not self._pending.correcting:
            self._last_where_no_round_is_left()
        self._checkpoint()
        while self._state.ended is None:
            try:
                self._step()
            except ModelError as error:
                self._not_answered(error)
            except OutOfTokens as error:
                self._not_asked(error)
        self._checkpoint()
        return self._state.result()

    def _step(self) -> None:
        """Act on an answer, which is asked for where there is none."""
        if self._pending.answer is None:
            with self._admission(max(0.0, self._deadline - self._clock())):
                answer = self._ask()
            if answer is None:
                return  # it is asked again, as another request
            self._pending.answer = Reply(content=without_surrogates(answer.content), finish_reason=answer.finish_reason)
            self._checkpoint()
        if self._pending.correcting:
            self._correct(self._pending.answer)
        else:
            self._act(self._pending.answer)

    def _checkpoint(self) -> None:
        self._state.spent_s = round(self._clock() - self._began, 3)
        self._state.talk = self._conversation.talk()
        self._keep(self._state.as_json())

    def _act(self, answer: Reply) -> None:
        try:
            parsed = self._parsed(answer)
        except ReplyError as error:
            self._repair(str(error))
            return
        if isinstance(parsed.reply, Resolution):
            self._conclude(parsed.reply)
        elif self._time_to_trace() < _SHORTEST_TRACE:
            self._say({})
            self._make_last("time_limit")
        else:
            self._run_round(parsed.reply, [*parsed.notes, *self._pending.notes])
            self._last_where_no_round_is_left()
            self._checkpoint()

    def _say(self, turn: dict[str, Any], repairs: int = 0) -> None:
        """Make *turn* the next one: the answer before it was acted on."""
        self._pending.turn, self._pending.answer, self._pending.repairs = turn, None, repairs

    def _repair(self, problem: str) -> None:
        """Have a reply that cannot be used mended, as often as that is allowed."""
        repairs = self._pending.repairs
        if repairs >= self._limits.repairs:
            replies = f"{repairs + 1} replies in a row" if repairs else "a reply"
            self._end(
                self._pending.last_turn or "unusable_replies",
                f"The model {self._model.name} gave {replies} that could not be used; of the last: {problem}",
            )
            return
        self._tell("repair", f"The reply could not be used: {problem}", attempt=repairs + 1)
        self._say(turns.repair(problem, self._limits.repairs - repairs), repairs + 1)
        if self._pending.last_turn:
            self._pending.turn["last_turn"] = turns.last_turn(self._pending.last_turn)

    def _parsed(self, answer: Reply) -> Parsed:
        asked_for = {str(result.get("id")) for result in self._state.command_results}
        try:
            parsed = parse_reply(answer.content, self._limits.commands, self._limits.programs, asked_for)
        except ReplyError as error:
            if answer.finish_reason == "length":
                raise ReplyError(f"The limit of tokens ended the reply; it must be much shorter. {error}") from None
            raise
        if self._is_last() and isinstance(parsed.reply, Diagnostic):
            raise ReplyError(turns.NO_MORE_EVIDENCE)
        copied = None if self._model.name == OFFLINE else self._hosts_words().problem(parsed.reply.model_dump())
        if copied:
            raise ReplyError(copied)
        return parsed

    def _hosts_words(self) -> echo.Evidence:
        """What a reply is not to be a copy of; the offline diagnostician's words are known, and could be planted."""
        if self._printed is None:
            told = {"system_information": self._state.system_information, "issue": self._state.issue}
            self._printed = echo.Evidence([told, *self._state.collected()])
        return self._printed

    def _is_last(self) -> bool:
        return self._pending.correcting or self._pending.last_turn is not None

    def _ask(self) -> Optional[Answer]:
        """Send the next turn; near the end of the time it becomes the last one. None where it has become that now."""
        if not self._is_last() and self._clock() >= self._last_turn_at:
            self._make_last("time_limit")
        messages = self._fitting()
        until = self._deadline if self._is_last() else self._last_turn_at
        timeout = min(self._limits.answer_seconds, max(1.0, until - self._clock()))
        self._tell("model_asked", f"Asking {self._model.name}", timeout=timeout)
        asked = self._clock()
        try:
            answer = self._model.ask(messages, timeout)
        except ModelError as error:
            if error.kind == "timeout" and not self._is_last() and self._clock() >= self._last_turn_at:
                return None
            raise
        finally:
            self._pending.model_seconds += self._clock() - asked
        self._conversation.answered(messages, answer)
        self._count(answer)
        return answer

    def _fitting(self) -> list[dict[str, str]]:
        """The next request, within what tokens are left; where they suffice for one turn alone, it is the last one."""
        messages = self._conversation.fits(self._pending.turn, last=self._is_last())
        if messages is None and not self._is_last():
            self._make_last("token_limit")
            messages = self._conversation.fits(self._pending.turn, last=True)
        if messages is None:
            if self._limits.tokens is None:
                most = self._limits.request_tokens
                raise OutOfTokens(
                    f"The next request would come to more than {most} tokens, which is as much as one may."
                )
            used = f"{self._conversation.spent} of {self._limits.tokens} were used"
            raise OutOfTokens(f"The tokens of this diagnosis do not suffice for another request: {used}.")
        return messages

    def _not_answered(self, error: ModelError) -> None:
        if self._pending.correcting:
            self._settle("not answered")
            return
        out_of_time = self._pending.last_turn if error.kind == "timeout" else None
        if error.kind == "not_admitted":
            out_of_time = self._pending.last_turn or "time_limit"
        self._end(out_of_time or "model_error", error.message)

    def _not_asked(self, error: OutOfTokens) -> None:
        if self._pending.correcting:
            self._settle("not asked for")
        else:
            self._end(self._pending.last_turn or "token_limit", str(error))

    def _conclude(self, reply: Resolution) -> None:
        """Hold a resolution against the evidence; where claims were not found, have it corrected, once."""
        self._state.resolution = reply.model_dump()
        self._state.grounding = dict(self._check(self._state.resolution))
        missing = self._state.grounding["unsupported"]
        if not missing:
            self._settle("not needed")
        elif not self._limits.corrections or self._deadline - self._clock() < _SHORTEST_CORRECTION:
            self._settle("not asked for")
        else:
            self._tell(
                "repair", f"{_counted(len(missing), 'claim')} not found in the evidence; asking to correct", attempt=1
            )
            self._say(turns.correction(missing))
            self._pending.correcting = True

    def _correct(self, answer: Reply) -> None:
        """Take the corrected resolution if it is no worse.

        Never the end of a diagnosis: whatever goes wrong here, the resolution that there is stays.
        """
        try:
            corrected = self._parsed(answer).reply.model_dump()
        except ReplyError:
            self._settle("not answered")
            return
        found = self._check(corrected)
        before = self._state.grounding or {}
        if len(found["unsupported"]) > len(before["unsupported"]):
            self._settle("no better")
        else:
            self._state.resolution, self._state.grounding = corrected, dict(found)
            self._settle("made")

    def _check(self, resolution: dict[str, Any]) -> dict[str, Any]:
        if self._checker is None:
            state = self._state
            told = {"issue": state.issue, "system_information": state.system_information}
            collected = {"command_results": state.command_results, "ebpf_results": state.ebpf_results}
            self._checker = Checker({**told, "ebpf_capabilities": state.capabilities, **collected})
        return self._checker.check(resolution)

    def _settle(self, correction: str) -> None:
        """End with the resolution that there is; *correction*: what came of asking for a better one, in few words."""
        self._state.grounding = {**(self._state.grounding or {}), "correction": correction}
        self._pending.correcting = False
        self._end(self._pending.last_turn or "resolution", None)

    def _run_round(self, asked: Diagnostic, notes: list[str]) -> None:
        number = len(self._state.rounds) + 1
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
        self._state.command_results += collected["command_results"]
        self._state.ebpf_results.update(results)
        asking = self._pending.model_seconds
        self._state.rounds.append(
            {
                "round": number,
                "reasoning": asked.reasoning,
                "commands": [command["id"] for command in commands],
                "ebpf_programs": [f"{each['name']} ({each['type']} {each['target']})" for each in programs],
                "started": wall.isoformat(timespec="milliseconds"),
                "duration_s": round(asking + took, 3),
                "model_s": round(asking, 3),
                "collect_s": round(took, 3),
                "repairs": self._pending.repairs,
            }
        )
        self._pending.model_seconds, self._pending.notes = 0.0, []
        evidence = {"command_results": collected["command_results"], "ebpf_results": results}
        self._printed = None
        notes = [*notes, *imitations.noted(evidence)]
        turn = self._conversation.evidence(
            evidence, notes, self._remaining(), self._limits.output_chars, self._evidence_left()
        )
        left = self._evidence_left()
        if left is not None:
            turn["remaining"]["evidence_bytes"] = left
        self._say(turn)

    def _remaining(self) -> dict[str, Any]:
        left = self._evidence_left()
        return {
            "rounds": self._rounds_left(),
            "seconds": max(0, round(self._last_turn_at - self._clock())),
            **({} if left is None else {"evidence_bytes": left}),
        }

    def _evidence_left(self) -> Optional[int]:
        """Bytes of evidence that the model may still be shown; None for any number."""
        most = self._limits.evidence_bytes
        return None if most is None else max(0, most - self._conversation.shown_bytes)

    def _last_where_no_round_is_left(self) -> None:
        left = self._evidence_left()
        if self._rounds_left() < 1:
            self._make_last("round_limit")
        elif left is not None and left < _LEAST_EVIDENCE:
            self._make_last("evidence_limit")

    def _rounds_left(self) -> int:
        return max(0, self._limits.rounds - len(self._state.rounds))

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
        while own in self._state.ebpf_results:
            number += 1
            own = f"{key}_{number}"
        return own

    def _make_last(self, why: Limit) -> None:
        self._pending.last_turn = why
        self._pending.turn = {**self._pending.turn, "last_turn": turns.last_turn(why)}
        self._tell(
            "last_chance", f"The limit of {_LIMITS[why]} is reached; asking for the best resolution from what is known"
        )

    def _count(self, answer: Answer) -> None:
        usage = self._state.usage
        usage["calls"] += 1
        usage["prompt_tokens"] += answer.prompt_tokens or 0
        usage["completion_tokens"] += answer.completion_tokens or 0
        if answer.prompt_tokens is None or answer.completion_tokens is None:
            usage["calls_without_token_counts"] += 1
        self._state.episode_id = self._state.episode_id or answer.episode_id

    def _end(self, how: Ended, error: Optional[str]) -> None:
        self._state.ended, self._state.error = how, error
        self._tell("ended", f"The diagnosis ended: {how.replace('_', ' ')}" + (f" ({error})" if error else ""))

    def _tell(self, stage: str, text: str, **more: Any) -> None:
        self._progress({"stage": stage, "text": text, "round": len(self._state.rounds) + 1, **more})


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
