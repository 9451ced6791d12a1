# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the model answers, by which prompt, and whether its replies can be used. Private to the collection.

By real requests, sent as a diagnosis sends them, from where its loop will run. What a reply asks for is not run.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from .. import turns
from ..injection.imitations import marked
from ..model.port import Answer, Model, ModelError
from ..model.prompt import PROMPT_VERSION
from ..model.settings import OFFLINE, Settings
from ..protocol import MAX_COMMANDS, MAX_PROGRAMS, Diagnostic, Parsed, ReplyError, parse_reply
from ..redaction.redactor import Redactor
from .verdicts import CATEGORIES, FAILED, LIMITED, OK, Check, not_tried

_FUNCTION = "tensorzero::function_name::"
_VERSION = re.compile(r"\bprompt ([0-9a-f]{8})\b")
_LIMITS = {
    "rounds": 5,
    "seconds": 600,
    "commands_per_round": MAX_COMMANDS,
    "programs_per_round": MAX_PROGRAMS,
    "longest_trace_seconds": 60,
}
_REPAIRS = 1
_SHOWN = 200
_INSTALL = (
    "Run the role nannyapi.diagnostics.gateway_function on the gateway's host, and start the gateway anew: it reads its"
    " prompt when it starts."
)
_SCHEMA = (
    "Have the server keep to schemas/reply.schema.json (at a TensorZero gateway, json_mode: strict of the variant), or"
    " take a model that does."
)

Admission = Callable[[float], AbstractContextManager[None]]


def admitted(_seconds: float) -> AbstractContextManager[None]:
    """Lets every request pass at once."""
    return nullcontext()


class ModelChecks:
    """The checks of the model of `settings`.

    make: gives the model, anew for each conversation. seconds: how long an answer may take. admission: entered for
    each request, as in loop.py. redact: what is redacted besides secrets, of what the host tells of itself.
    """

    def __init__(
        self,
        settings: Settings,
        make: Callable[[], Model],
        seconds: float,
        admission: Admission = admitted,
        redact: tuple[str, ...] = (),
    ) -> None:
        self._settings = settings
        self._make = make
        self._seconds = seconds
        self._admission = admission
        self._redact = redact

    def answers(self) -> dict[str, Check]:
        """``model`` and ``prompt``, found out by one request."""
        if self._settings.model == OFFLINE:
            own = "The diagnostician of the collection answers"
            return {
                "model": Check(OK, f"{own}: no endpoint and no key are needed."),
                "prompt": Check(OK, f"{own}, which has no prompt."),
            }
        began = time.monotonic()
        try:
            answer = self._ask(self._make(), [turns.as_message(turns.preflight())])
        except ModelError as error:
            remedy = (
                "See docs/model.md; the settings come from the task, NANNYAPI_MODEL and its like, or the host's file."
            )
            failed = Check(FAILED, error.message, remedy)
            return {"model": failed, "prompt": not_tried("The model did not answer.")}
        seconds = time.monotonic() - began
        named = answer.model or self._settings.model
        return {"model": Check(OK, f"{named} answered within {seconds:.1f} s."), "prompt": self._prompt(answer, named)}

    def _prompt(self, answer: Answer, named: str) -> Check:
        """By which prompt it answered: a gateway's function has its own, which may be an old one."""
        if not self._settings.model.startswith(_FUNCTION):
            return Check(OK, f"The prompt goes with every request: version {PROMPT_VERSION}.")
        said = _VERSION.search(answer.content)
        if said and said[1] == PROMPT_VERSION:
            return Check(
                OK, f"The gateway's function has this collection's prompt, version {PROMPT_VERSION} ({named})."
            )
        if said:
            found = f"The gateway's function has the prompt {said[1]}, and this collection's is {PROMPT_VERSION}."
            return Check(FAILED, found, _INSTALL)
        begins = answer.content[:_SHOWN]
        if not _is_reply(answer.content):
            found = f"What answers is not the function of this collection: its answer begins with {begins!r}."
            return Check(FAILED, found, _INSTALL)
        found = (
            f"The answer does not say by which prompt it was given, although {PROMPT_VERSION} asks for that: the"
            f" gateway's is another one, or the model did not follow it. The answer begins with {begins!r}."
        )
        return Check(LIMITED, found, _INSTALL)

    def reply(self, category: str, told: dict[str, Any]) -> Check:
        """Whether the first reply to an issue of the category can be used.

        told: ``system_information`` and ``capabilities`` of the host, as a diagnosis begins with.
        """
        model = self._make()
        messages = [turns.as_message(self._opening(category, told))]
        problem = ""
        for attempt in range(_REPAIRS + 1):
            try:
                answer = self._ask(model, messages)
            except ModelError as error:
                return Check(FAILED, error.message, "See the check of the model.")
            try:
                return _judged(parse_reply(answer.content), problem)
            except ReplyError as error:
                problem = str(error)
                repair = turns.as_message(turns.repair(problem, _REPAIRS - attempt))
                messages += [turns.as_echo(answer.content), repair]
        return Check(FAILED, f"No reply could be used, also after it was told what was wrong. {problem}", _SCHEMA)

    def _opening(self, category: str, told: dict[str, Any]) -> dict[str, Any]:
        shown, _imitations = marked(Redactor(self._redact).value(told))
        return turns.opening(shown["system_information"], shown["capabilities"], _LIMITS, CATEGORIES[category])

    def _ask(self, model: Model, messages: list[dict[str, str]]) -> Answer:
        with self._admission(self._seconds):
            return model.ask(messages, self._seconds)


def _is_reply(content: str) -> bool:
    try:
        parse_reply(content)
    except ReplyError:
        return False
    return True


def _judged(parsed: Parsed, problem: str) -> Check:
    """`problem`: why the reply before this one could not be used, if there was one."""
    reply = parsed.reply
    if not isinstance(reply, Diagnostic):
        found = "It concluded at once, without asking for evidence."
        return Check(LIMITED, found, "Take a model that follows the prompt, or look at the gateway's prompt.")
    programs = ", ".join(f"{program.type} {program.target}" for program in reply.ebpf_programs)
    asked = f"It asked for {len(reply.commands)} commands and {len(reply.ebpf_programs)} eBPF programs"
    if problem:
        return Check(LIMITED, f"{asked}, at the second attempt. Its first reply could not be used: {problem}", _SCHEMA)
    if not programs:
        return Check(LIMITED, f"{asked}.", "Take a model that follows the prompt, which asks for both.")
    return Check(OK, f"{asked} ({programs}).")
