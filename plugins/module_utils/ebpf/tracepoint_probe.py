# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe on any tracepoint that is no system call. Private to the collection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from . import kernel, layout, sampling
from .bundle import Bundle
from .errors import HostError
from .loader import Load, LoadedObject
from .record_fields import RecordFields
from .record_key import find_key
from .request import ProgramRequest
from .targets import TracepointTarget

if TYPE_CHECKING:
    from .records import Records

CAPTURE_SOURCE, COUNTER_SOURCE = "tracepoint.c", "raw_counter.c"


class TracepointProbe:
    """One request's programs, maps and, in the end, result: a raw tracepoint counts, a perf event captures."""

    def __init__(self, request: ProgramRequest, target: TracepointTarget, bundle: Bundle) -> None:
        self._target = target
        self._bundle = bundle
        self._shown_by: Optional[Records] = None
        fields = RecordFields(target.format, bundle)
        self._key, self._failure = find_key(fields), fields.failure
        self._head = sampling.plan_head(request)
        self._counter: Optional[LoadedObject] = None
        self._capture: Optional[LoadedObject] = None
        self.attached_to: list[str] = []
        located = [field for field in target.format.fields if field.is_location]
        self._located = sorted(located, key=lambda field: not field.is_text)  # strings first: there is room for two

    def plan(self) -> layout.PlanHead:
        """The plan's shared part, for the size of the sample."""
        return self._head

    def sources(self) -> tuple[str, ...]:
        """The program texts that are needed."""
        return (COUNTER_SOURCE, CAPTURE_SOURCE)

    def sizes(self) -> dict[str, int]:
        """Entries of the maps whose number depends on the request and the host."""
        return {}

    def attach(self, load: Load, head: layout.PlanHead) -> None:
        """Writes the plans and attaches. Raises HostError, OSError."""
        counter, capture = load(COUNTER_SOURCE, {}), load(CAPTURE_SOURCE, {"by_process": 1})
        form = self._target.format
        sampling.write_plan(counter.maps, head)
        capture.load("on_event", kernel.PROG_TRACEPOINT)  # takes a while, in which events would be counted only
        try:
            counter.attach_raw_tracepoint(form.event, "on_event")
            self._counter = counter
            self.attached_to.append(f"raw_tracepoint:{form.event}")
        except OSError:
            # Some events have no tracepoint of their own: then the capturing program counts.
            counter.close()
            capture.close()
            capture = load(CAPTURE_SOURCE, {})
        self._head, self._capture = head, capture
        plan = layout.TracepointPlan(head=head, counts=0 if self._counter else 1)
        plan.record = min(form.record_size, layout.RECORD_BYTES)
        for index, field in enumerate(self._located[: layout.BLOBS]):
            plan.blob[index], plan.relative[index] = field.offset, int(field.is_relative)
            plan.bytes[index] = int(not field.is_text)
        if self._failure is not None:
            plan.failure, plan.failure_bytes = self._failure.offset, self._failure.size
        if self._key is not None:
            plan.key = self._key.plan()
        sampling.write_plan(capture.maps, plan)
        capture.attach_tracepoint(form.identifier, "on_event")
        self.attached_to.append(f"tracepoint:{form.category}/{form.event}")

    @staticmethod
    def look_at_calls() -> None:
        """Nothing: events do not return."""

    def result(self, epoch_offset: int, max_events: int) -> dict[str, Any]:
        """What was counted and captured, as the protocol's keys and ours; to be called after detaching."""
        if self._capture is None:
            raise HostError("The probe was read before it was attached.")
        from .tracepoint_result import TracepointResult  # nothing of it is needed before something was traced

        read = TracepointResult(
            self._target, self._records(), self._key, self._located, self._head, self._capture, self._counter
        )
        return read.read(epoch_offset, max_events)

    def prepare_result(self) -> None:
        """Makes ready what `result` takes, while nothing else is to be done."""
        from . import tracepoint_result  # noqa: F401 - as in `result`

        self._records()

    def _records(self) -> Records:
        """Shows the records; made once."""
        from .records import Records

        self._shown_by = self._shown_by or Records(self._target.format, self._bundle)
        return self._shown_by
