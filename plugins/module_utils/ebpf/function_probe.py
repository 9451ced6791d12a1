# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe on a kernel function: its entries, or its returns paired with them. Private to the collection.

fentry and fexit are used where the kernel takes them: what they skip is known, and they drop no return, unless another
program is attached to the function meanwhile. Where it does not take them, a kprobe and a kretprobe of a perf event
take their place, and the result says what they cannot know.
"""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Any, Optional

from . import calling, calls, kernel, latency, layout, sampling, steps, under_way
from .errors import EbpfError, HostError, RequestError
from .function_types import PlannedFunction
from .functions import FunctionTarget
from .kernel import Map
from .loader import Load, LoadedObject
from .refusals import explain_refusal
from .request import ProgramRequest

SOURCE = "function.c"
_IN_FLIGHT_SHOWN = 20
_FEWEST_CALLS, _MOST_CALLS = 1024, 16384  # calls under way that there is room for
# Texts that tell calls apart by what is written there; a path has numbers besides.
_KEY_TEXTS = frozenset(
    (layout.READ_KERNEL_STRING, layout.READ_USER_STRING, layout.READ_KERNEL_BYTES, layout.READ_USER_BYTES)
)
_NEVER_FAILS = {
    layout.RESULT_NONE: "nothing, as far as is known here",
    layout.RESULT_VALUE: "a number that is no error",
    layout.RESULT_BOOL: "true or false",
}
_GUARDED = (5, 12)  # from here on the kernel does not run a program of fentry within itself
_COUNTS_SKIPPED = (6, 7)  # from here on the kernel counts how often it skipped the program of a kprobe


class FunctionProbe:
    """One request's programs, maps and, in the end, result."""

    def __init__(self, request: ProgramRequest, target: FunctionTarget, planned: PlannedFunction) -> None:
        """Raises RequestError where only failures are asked for, of a function of which none is known."""
        if request.filters.errors_only and planned.capture.returns.kind in _NEVER_FAILS:
            raise RequestError(
                f"The filter errors_only is for what returns an error, and {target.name} returns"
                f" {_NEVER_FAILS[planned.capture.returns.kind]}. Trace it without that filter."
            )
        self._target = target
        self._planned = planned
        self._capture = planned.capture
        self._head = sampling.plan_head(request, layout.AT_EXIT if target.at_return else 0)
        self._loaded: Optional[LoadedObject] = None
        self._by_tracing = False
        self._over: under_way.Known = frozenset()
        self._notes: list[str] = []
        self.attached_to: list[str] = []

    def plan(self) -> layout.PlanHead:
        """The plan's shared part, for the size of the sample."""
        return self._head

    def sizes(self) -> dict[str, int]:
        """Entries of the maps whose number depends on the request and the host."""
        return {"in_flight": _calls_under_way() if self._target.at_return else 1}

    def sources(self) -> tuple[str, ...]:
        """The program texts that are needed."""
        return (SOURCE,)

    def attach(self, load: Load, head: layout.PlanHead) -> None:
        """Writes the plan and attaches. Raises HostError, OSError."""
        loaded = load(SOURCE, {})
        self._loaded, self._head = loaded, head
        try:
            self._attach_tracing(loaded)
            self._by_tracing = True
        except (EbpfError, OSError) as error:
            loaded.unload()
            self._attach_kprobe(loaded)
            self._notes.append(f"Attached by kprobe, as fentry was not possible: {_reason(error)}")

    # The return is attached first: a call that enters before its return is watched would look like one that never
    # returns.

    def _attach_tracing(self, loaded: LoadedObject) -> None:
        type_id = self._planned.type_id
        if type_id is None:
            raise HostError(self._planned.why_no_type_id)
        if kernel.release() < _GUARDED:
            raise HostError("before Linux 5.12 nothing keeps such a program from running within itself.")
        sampling.write_plan(loaded.maps, self._plan(calling.tracing(self._planned.arguments)))
        self.attached_to = [f"fentry:{self._target.name}"]
        if self._target.at_return:
            loaded.attach_tracing(kernel.ATTACH_FEXIT, type_id, "on_return")
            self.attached_to.append(f"fexit:{self._target.name}")
        loaded.attach_tracing(kernel.ATTACH_FENTRY, type_id, "on_entry")

    def _attach_kprobe(self, loaded: LoadedObject) -> None:
        sampling.write_plan(loaded.maps, self._plan(calling.registers()))
        self.attached_to = []
        if self._target.at_return:
            self._open_kprobe(loaded, True, "on_return")
        self._open_kprobe(loaded, False, "on_entry")
        self.attached_to.reverse()

    def _open_kprobe(self, loaded: LoadedObject, at_return: bool, function: str) -> None:
        symbol = self._target.symbol
        try:
            try:
                loaded.attach_kprobe(symbol, at_return, function)
            except FileNotFoundError:
                if not self._target.only_one:
                    raise
                # Some stable kernels do not find a function by its module's name before it.
                loaded.attach_kprobe(self._target.name, at_return, function)
                symbol = self._target.name
        except OSError as error:
            raise HostError(explain_refusal(symbol, error)) from error
        self.attached_to.append(f"{'kretprobe' if at_return else 'kprobe'}:{symbol}")

    def _plan(self, context: layout.ContextLayout) -> layout.FunctionPlan:
        capture = self._capture
        plan = layout.FunctionPlan(head=self._head, context=context)
        plan.arguments = min(self._planned.arguments, layout.START_RESULT)
        plan.result, plan.result_size = capture.returns.kind, capture.returns.size
        plan.key_parts = len(capture.key)
        plan.key[: len(capture.key)] = list(capture.key)
        if capture.key_blob is not None:
            plan.key_text = capture.key_blob + 1
            plan.text_is_key = int(capture.blobs[capture.key_blob].how in _KEY_TEXTS)
        steps.write(plan, capture)
        if self._planned.path is not None:
            for name, offset in vars(self._planned.path).items():
                setattr(plan.path, name, offset)
        return plan

    @staticmethod
    def prepare_result() -> None:
        """Nothing: what reads a result of a function is what plans its trace."""

    def look_at_calls(self) -> None:
        """Finds calls whose return was dropped, while returns are seen still."""
        if self._loaded is not None and self._target.at_return:
            self._over = under_way.over(
                self._loaded.maps["in_flight"],
                lambda call: under_way.is_in_function(call, self._target.name),
                needs_proof=True,
            )

    def result(self, epoch_offset: int, max_events: int) -> dict[str, Any]:
        """What was counted and captured, as the protocol's keys and ours; to be called after detaching."""
        if self._loaded is None:
            raise HostError("The probe was read before it was attached.")
        maps = self._loaded.maps
        events = sampling.read_sample(maps, self._head, layout.FunctionEvent.from_buffer_copy)
        carried = sampling.spread([self._event(event, epoch_offset) for event in events], max_events)
        listed = sampling.processes(maps)
        count = sampling.total(maps, layout.TOTAL_EVENTS)
        # What is counted are returns, or entries where returns are not watched.
        missed = self._loaded.missed("on_return" if self._target.at_return else "on_entry")
        result: dict[str, Any] = {
            "event_count": count,
            "events": carried,
            "exact": self._is_exact(missed, maps),
            "missed": missed or 0,
            "own_events": sampling.total(maps, layout.TOTAL_OWN),
            "events_not_carried": max(0, count - len(carried)),
            "by_process": listed[: calls.LISTED],
            "by_process_other": sampling.total(maps, layout.TOTAL_OTHER_PROCESS)
            + sum(entry["count"] for entry in listed[calls.LISTED :]),
        }
        if self._capture.key or self._capture.key_blob is not None:
            labels = self._labels(maps["labels"])
            result.update(calls.keys(maps["by_key"], lambda raw: self._shown_key(raw, labels), count))
        if self._target.at_return:
            result.update(self._returns(maps, epoch_offset))
            result["exact"] = result["exact"] and not result["returns_missed"]
        target = [self._target.note] if self._target.note else []
        idle = [calls.IDLE] if any(entry["process_id"] == 0 for entry in listed) else []
        result["notes"] = [*target, *self._capture.notes, *self._notes, *idle, *self._doubts(maps)]
        return result

    def _is_exact(self, missed: Optional[int], maps: dict[str, Map]) -> bool:
        if self._head.least and sampling.total(maps, layout.TOTAL_NOT_PAIRED):
            return False  # how long these took is not known
        if self._drops_unseen(maps):
            return False
        return missed == 0 and (self._by_tracing or kernel.release() >= _COUNTS_SKIPPED)

    def _drops_unseen(self, maps: dict[str, Map]) -> bool:
        """Whether a kretprobe counted without its entries, of which alone it shows that it dropped a return."""
        judged = self._head.least or self._head.flags & layout.ERRORS_ONLY
        return self._target.at_return and not self._by_tracing and not judged and sampling.is_thinned(maps)

    def _returns(self, maps: dict[str, Map], epoch_offset: int) -> dict[str, Any]:
        labels = self._labels(maps["labels"])
        durations = calls.latencies(maps["latency"])
        pending, dropped, ended = self._pending(maps["in_flight"], epoch_offset)
        overwritten = sampling.total(maps, layout.TOTAL_NOT_RETURNED)
        # Nothing is left of these calls but that they began. Of a function that returns at all, a return was lost: a
        # kretprobe drops them when many are in it, and fexit when another program is attached there meanwhile.
        returns_at_all = sampling.total(maps, layout.TOTAL_RETURNS) > 0
        lost = overwritten + (0 if self._by_tracing else ended)
        dropped += lost if returns_at_all else 0
        returns: dict[str, Any] = {
            "failures": calls.failures(maps["failures"], lambda _failure, raw: {"key": self._shown_key(raw, labels)}),
            "failures_other": sampling.total(maps, layout.TOTAL_OTHER_FAILURE),
            "latency_us": latency.summarise(durations),
            "in_flight": pending,
            "returns_missed": dropped,
            "never_returned": overwritten + ended - (lost if returns_at_all else 0),
        }
        if self._capture.returns.kind not in (layout.RESULT_NONE, layout.RESULT_VALUE):
            if self._capture.returns.kind == layout.RESULT_ALLOCATION:
                returns["null_is_failure"] = True
            returns["by_result"] = calls.results(maps["by_result"])
        return returns

    def _event(self, event: layout.FunctionEvent, epoch_offset: int) -> dict[str, Any]:
        data = self._data(event)
        if self._target.at_return:
            data["duration_us"] = round(event.duration / 1000, 1)
        at = event.timestamp + (event.duration if self._target.at_return else 0)
        return sampling.shown_event(event, at + epoch_offset, self._target.name, data)

    def _data(self, event: layout.FunctionEvent, returned: bool = True) -> dict[str, Any]:
        values = [
            event.value[index] if event.readable >> index & 1 else None for index in range(len(self._capture.fields))
        ]
        texts = [event.text[index].read() for index in range(len(self._capture.blobs))]
        result = event.result if self._target.at_return and returned else None
        return self._capture.render(list(event.argument), values, texts, result)

    def _labels(self, labels: Map) -> dict[bytes, bytes]:
        read = {raw: layout.Text.from_buffer_copy(value).read() for raw in labels for value in labels.values(raw)}
        return {raw: text for raw, text in read.items() if isinstance(text, bytes)}

    def _shown_key(self, raw: bytes, labels: dict[bytes, bytes]) -> str:
        parts = struct.unpack(f"={layout.KEY_PARTS}Q", raw)[: len(self._capture.key)]
        return self._capture.render_key(parts, labels.get(raw))

    def _pending(self, calls_under_way: Map, epoch_offset: int) -> tuple[dict[str, Any], int, int]:
        """What entered and had not returned; how many returns were dropped; how many threads ended in the function."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        events, dropped, ended = [], 0, 0
        for key in calls_under_way:
            for raw in calls_under_way.values(key):
                event = layout.FunctionEvent.from_buffer_copy(raw)
                if not calls.is_alive(event.thread, event.pid_tgid):
                    ended += 1
                    continue
                if (key, event.timestamp) in self._over:
                    dropped += 1
                    continue
                if now - event.timestamp < self._head.least:
                    continue
                shown = self._event(event, epoch_offset)
                shown["timestamp"] = event.timestamp + epoch_offset
                shown["data"] = self._data(event, returned=False)
                shown["data"]["elapsed_us"] = round((now - event.timestamp) / 1000, 1)
                events.append(shown)
        events.sort(key=lambda event: int(event["timestamp"]))
        return {"count": len(events), "events": events[:_IN_FLIGHT_SHOWN]}, dropped, ended

    def _doubts(self, maps: dict[str, Map]) -> list[str]:
        notes = []
        if not self._by_tracing and kernel.release() < _COUNTS_SKIPPED:
            notes.append(
                "The kernel skips the program of a kprobe while another one runs on the same CPU, and does not say how"
                " often: the count may be too low."
            )
        if self._drops_unseen(maps):
            notes.append(
                "A kretprobe drops returns of calls beyond those that it has room for, which is not seen where only"
                " returns are counted: the count may be too low."
            )
        lost = sampling.total(maps, layout.TOTAL_NOT_PAIRED)
        if lost:
            what = "they are not counted" if self._head.least else "their arguments are not known"
            notes.append(f"{lost} calls were under way beyond what there was room for: {what}.")
        skipped = self._loaded.missed("on_entry") if self._loaded and self._target.at_return else 0
        if skipped:
            notes.append(
                f"The kernel skipped the program at {skipped} entries: of those calls only the return is known."
            )
        return notes


def _reason(error: EbpfError | OSError) -> str:
    return str(error) if isinstance(error, EbpfError) else str(kernel.explain(error, "attach by fentry"))


def _calls_under_way() -> int:
    """Room for calls under way: a thread is seldom in a function more than twice."""
    try:
        threads = int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[2])
    except (OSError, ValueError, IndexError):
        threads = 0
    return max(_FEWEST_CALLS, min(_MOST_CALLS, 2 * threads))
