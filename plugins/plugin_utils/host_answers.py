# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host may answer to a controller that leads its diagnosis. Private to the collection, controller side.

A host may be broken or taken over, so that its answers are read like any input: what the loop relies on has its type,
and everything else is carried along as it is.
"""

from __future__ import annotations

from typing import Any, Optional

from ansible_collections.nannyapi.diagnostics.plugins.module_utils import deps
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.diagnosis import SiteError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.loop_state import first_problem

try:
    import pydantic
except ImportError as error:
    pydantic = deps.absent("pydantic", error)

_LONGEST = 200  # characters of what is wrong with an answer


class _Answer(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", strict=True)


class _Found(_Answer):
    imitations: dict[str, int] = pydantic.Field(default_factory=dict)
    notes: list[str] = pydantic.Field(default_factory=list)


class _CommandResult(_Found):
    id: str
    output: str = ""


class _ProgramResult(_Found):
    events: Optional[list[dict[str, Any]]] = None
    events_not_carried: Optional[int] = None
    left_out: dict[str, int] = pydantic.Field(default_factory=dict)


class _ActionLog(_Answer):
    file: Optional[str]
    journal: bool
    lines: int
    unrecorded: int
    problem: Optional[str]


class _Part(_Answer):
    redacted: dict[str, int] = pydantic.Field(default_factory=dict)
    action_log: Optional[_ActionLog] = None


class _Seen(_Part):
    machine: Optional[str] = None
    boot: Optional[str] = None
    sandbox: Optional[dict[str, Any]] = None
    privileges: Optional[dict[str, Any]] = None


class _System(_Found):
    hostname: str


class _Begun(_Seen):
    issue: str
    system_information: _System
    capabilities: dict[str, Any]


class _Round(_Part):
    command_results: list[_CommandResult]
    ebpf_results: dict[str, _ProgramResult]


_KINDS: dict[str, Any] = {"begin": _Begun, "take_up": _Seen, "round": _Round, "end": _Part}


def checked(part: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer to one part of a diagnosis, as it is. Raises SiteError where it is none."""
    try:
        _KINDS[part].model_validate(answer)
    except (pydantic.ValidationError, RecursionError) as error:
        raise SiteError(
            f"What the host answered is no part of a diagnosis: {first_problem(error)[:_LONGEST]}. Look whether"
            " something on it changes what modules return."
        ) from None
    return answer
