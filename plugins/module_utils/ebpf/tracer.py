# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs programs and gives their results. Private to the collection.

The programs of a round are attached together, each for its own duration; while they run, user space only looks now and
then at what they cost. Whatever ends a trace (its time, a stop, an exception, the end of the process), nothing stays
attached: all that holds a program are file descriptors of this process.
"""

from __future__ import annotations

import contextlib
import re
import struct
import threading
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Union

from . import kernel, layout, sampling, trees
from .bundle import Bundle
from .bytecode import Object
from .cost import CostWatch
from .errors import EbpfError, HostError
from .loader import LoadedObject
from .memory import MapBudget
from .namespace import pid_namespace
from .programs import Programs
from .request import MAX_SECONDS, ProgramRequest, parse_request
from .scope import Scope, find_scope
from .stopping import Closeable, Closer, open_maps, stop_together
from .syscall_probe import SyscallProbe
from .targets import SyscallTarget, Target, Targets, TracepointTarget
from .tracepoint_probe import TracepointProbe
from .trees import ProcessTrees

if TYPE_CHECKING:
    from .function_probe import FunctionProbe
    from .function_types import FunctionTypes

Progress = Callable[[dict[str, Any]], None]
Probe = Union[SyscallProbe, TracepointProbe, "FunctionProbe"]

# What may go wrong with one program costs that program, not the round: the kernel refuses, a file of /proc is not as it
# was, a structure is not as it should be.
_UNFORESEEN = (EbpfError, OSError, ValueError, LookupError, ArithmeticError, struct.error, re.error)
_LOOK_SECONDS = 0.2
_IN_A_NAMESPACE = (
    "This ran in a PID namespace (a container): only its own processes are counted, under the pids they have in it."
)


class TraceLimits(NamedTuple):
    """Bounds on what one round may ask: seconds, programs, events carried of each program, and what it costs the host.

    `cpu_share`: of one CPU, for all programs together, 0 for no limit; None for a tenth of the
    host's CPUs, and at most four.
    `map_bytes`: memory of the kernel, 0 for no limit; None for what suits the host's.
    """

    seconds: float = MAX_SECONDS
    programs: int = 8
    events: int = 50
    cpu_share: Optional[float] = None
    map_bytes: Optional[int] = None


class _Running:
    """A probe that is attached; times in seconds of the monotonic clock, `started` in nanoseconds since the epoch."""

    def __init__(
        self, index: int, request: ProgramRequest, probe: Probe, scope: Scope, objects: list[LoadedObject]
    ) -> None:
        self.index = index
        self.request = request
        self.probe = probe
        self.scope = scope
        self.objects = objects
        self.began = time.monotonic()
        self.started = time.time_ns()
        self.ends = self.began + request.duration

    def release(self) -> list[LoadedObject]:
        """Gives the objects away, for somebody else to close."""
        objects, self.objects = self.objects, []
        return objects


class Tracer:
    """Traces on this host. One instance serves one diagnosis; keys of results are distinct within it."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        own_roots: Iterable[int] = (),
        stop: Optional[threading.Event] = None,
        limits: Optional[TraceLimits] = None,
        programs: Optional[Programs] = None,
    ) -> None:
        """`own_roots`: pids whose process trees are the diagnosis itself. `stop`: set it and the trace ends early."""
        self._bundle = bundle
        self._roots = tuple(own_roots)
        self._stop = stop or threading.Event()
        self._limits = limits or TraceLimits()
        self._programs = programs or Programs(bundle)
        self._targets: Optional[Targets] = None
        self._types: Optional[FunctionTypes] = None
        self._keys: set[str] = set()
        self._closer = Closer()

    def check(self, programs: list[Any]) -> list[str]:
        """Sentences that say why programs cannot be traced as asked, each once. Attaches nothing."""
        prepared = [self._prepared(program) for program in programs]
        problems = [str(error) for error in prepared if isinstance(error, EbpfError)]
        if len(programs) > self._limits.programs:
            problems.append(f"At most {self._limits.programs} programs run at once, and these are {len(programs)}.")
        return list(dict.fromkeys(problems))

    def run(self, programs: list[Any], progress: Optional[Progress] = None) -> dict[str, dict[str, Any]]:
        """Traces all programs and gives the protocol's `ebpf_results`, in the order of the request.

        Never raises for what a program asks or the host refuses: that is a result with an `error`. Programs that have
        stopped are detached beside what follows; `close` waits for that, and so does the end of the process.
        """
        results: dict[int, dict[str, Any]] = {}
        probes: list[tuple[int, ProgramRequest, Probe]] = []
        for index, program in enumerate(programs):
            prepared = self._prepared(program)
            if index >= self._limits.programs:
                prepared = HostError(f"At most {self._limits.programs} programs run at once; trace it another time.")
            if isinstance(prepared, EbpfError):
                results[index] = failed(program, str(prepared))
            else:
                probes.append((index, *prepared))
        if probes:
            results.update(self._trace(probes, progress or (lambda event: None)))
        return self.keyed([results[index] for index in sorted(results)])

    def keyed(self, results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Results by keys that are distinct among all that this tracer gave."""
        return {self._key(result): result for result in results}

    def close(self) -> None:
        """Returns when all is detached and freed."""
        self._closer.join()

    def _prepared(self, program: Any) -> tuple[ProgramRequest, Probe] | EbpfError:
        try:
            request = parse_request(program, self._limits.seconds)
            find_scope(request.filters)  # again when it is attached, but what is not there is said before
            self._targets = self._targets or Targets(self._bundle)
            target = self._targets.resolve(request)
            return request, self._probe(request, target)
        except EbpfError as error:
            return error
        except _UNFORESEEN as error:
            # A model may write anything, and /proc may vanish under our hands: it costs this program, not the round.
            return HostError(f"The program could not be prepared: {error}.")

    def _probe(self, request: ProgramRequest, target: Target) -> Probe:
        if isinstance(target, SyscallTarget):
            return SyscallProbe(request, target, self._bundle)
        if isinstance(target, TracepointTarget):
            return TracepointProbe(request, target, self._bundle)
        # Much code, of which a request for tracepoints needs nothing.
        from .function_probe import FunctionProbe
        from .function_types import FunctionTypes

        self._types = self._types or FunctionTypes(self._bundle, self._programs, self._stop)
        return FunctionProbe(request, target, self._types.plan(target))

    def _trace(self, probes: list[tuple[int, ProgramRequest, Probe]], progress: Progress) -> dict[int, dict[str, Any]]:
        followed: Optional[ProcessTrees] = None
        running: list[_Running] = []
        results: dict[int, dict[str, Any]] = {}
        watch = CostWatch(self._limits.cpu_share)
        budget = MapBudget(self._limits.map_bytes)
        try:
            try:
                objects = self._provide([probe for _index, _request, probe in probes])
                kernel.raise_memory_lock_limit()
                watch.start()
                followed = ProcessTrees(objects[trees.SOURCE])
                followed.own(self._roots)
            except (EbpfError, OSError) as error:
                return {index: failed(request, _sentence(error)) for index, request, _probe in probes}
            for index, request, probe in probes:
                try:
                    running.append(self._attach(index, request, probe, objects, followed, budget))
                    watch.add(index, running[-1].objects)
                except _UNFORESEEN as error:
                    results[index] = failed(request, _sentence(error, request.target))
            _begin_together(running)
            if running:
                longest = max(one.request.duration for one in running)
                progress({"stage": "trace_running", "text": f"tracing {len(running)} probes for up to {longest:g} s"})
            _prepare_results(running)
            self._wait(running, results, followed, watch, progress)
        finally:
            held: list[Closeable] = [loaded for one in running for loaded in one.release()]
            self._closer.take([*held, *([followed] if followed is not None else []), watch])
        return results

    def _provide(self, probes: list[Probe]) -> dict[str, Object]:
        needed = {trees.SOURCE, *(source for probe in probes for source in probe.sources())}
        return self._programs.provide(sorted(needed), self._stop)

    def _attach(
        self,
        index: int,
        request: ProgramRequest,
        probe: Probe,
        provided: dict[str, Object],
        followed: ProcessTrees,
        budget: MapBudget,
    ) -> _Running:
        head = probe.plan()
        scope = find_scope(request.filters)
        scope.enter(head, followed)
        sizes = {"sample": sampling.sample_slots(head), **sampling.table_sizes(), **probe.sizes()}
        objects: list[LoadedObject] = []

        def load(source: str, more: Mapping[str, int]) -> LoadedObject:
            all_sizes = {**sizes, **more}
            budget.take(provided[source], {"trees"}, all_sizes)
            objects.append(LoadedObject(provided[source], {"trees": followed.map}, all_sizes))
            scope.write(objects[-1].maps)
            return objects[-1]

        try:
            head.started = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            if not self._limits.events:
                head.flags |= layout.COUNT_ONLY
            probe.attach(load, head)
        except BaseException:
            for loaded in objects:
                loaded.close()
            raise
        return _Running(index, request, probe, scope, objects)

    def _wait(
        self,
        running: list[_Running],
        results: dict[int, dict[str, Any]],
        followed: ProcessTrees,
        watch: CostWatch,
        progress: Progress,
    ) -> None:
        """Lets each probe run its time, or as long as it does not cost too much, then reads it."""
        left = sorted(running, key=lambda one: one.ends)
        while left:
            stopped = self._stop.wait(max(0.0, min(watch.due, left[0].ends) - time.monotonic()))
            over = [one for one in left if stopped or one.ends <= time.monotonic()]
            if not over:
                with contextlib.suppress(EbpfError, OSError):  # what it costs is not known, then, and the trace goes on
                    watch.look()
                over = [one for one in left if watch.was_detached(one.index)]
            if over:
                if not stopped:
                    _look_at_calls([one.probe for one in over if not watch.was_detached(one.index)])
                covered = {one.index: watch.ended(one.index) - one.began for one in over}
                stop_together([loaded for one in over for loaded in one.objects])
            for one in over:
                results[one.index] = self._read(one, covered[one.index], followed, watch)
                self._closer.take(one.release())
                if stopped:
                    results[one.index].setdefault("notes", []).append("The trace was stopped before its time.")
                count = results[one.index]["event_count"]
                text = f"{one.request.name}: {one.request.target} fired {count} times"
                progress({"stage": "program_done", "text": text})
            left = [one for one in left if one.index not in results]

    def _read(self, one: _Running, seconds: float, followed: ProcessTrees, watch: CostWatch) -> dict[str, Any]:
        request = one.request
        result: dict[str, Any] = {"program_name": request.name}
        try:
            measured = one.probe.result(sampling.epoch_offset(), self._limits.events)
            keys, notes = watch.result(one.index, seconds, request.duration)
            notes += one.scope.notes(followed.lost())
        except _UNFORESEEN as error:
            return failed(request, f"{request.target} was traced, but what was counted could not be read: {error}")
        result.update({"event_count": measured["event_count"], "events": measured["events"], "summary": ""})
        result.update(
            {
                "type": request.type,
                "target": request.target,
                "attached_to": one.probe.attached_to,
                "started": one.started,
                "duration_s": max(0.001, round(seconds, 3)),
                "filters": request.filters.to_json(),
            }
        )
        result.update(measured)
        result.update(keys)
        result["notes"] += notes
        if not self._limits.events:
            result["notes"].append("No event was to be carried, so there are only counts: in all, by process, by call.")
        if followed.note:
            result["notes"].append(followed.note)
        if pid_namespace()[1]:
            result["notes"].append(_IN_A_NAMESPACE)
        from .summary import summarise  # as in _prepare_results

        result["summary"] = summarise(result)
        return result

    def _key(self, result: dict[str, Any]) -> str:
        """`<program name>_<unix seconds at start>`, with a number behind it where that is taken."""
        base = f"{result['program_name']}_{result['started'] // 10**9}"
        key, number = base, 1
        while key in self._keys:
            number += 1
            key = f"{base}_{number}"
        self._keys.add(key)
        return key


def _begin_together(running: list[_Running]) -> None:
    """Attaching may take a second for each: every probe has its whole time after the last of them is attached."""
    now, now_ns = time.monotonic(), time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    for one in running:
        one.ends = now + one.request.duration
        for maps in open_maps(one.objects):
            sampling.begin_window(maps, now_ns)


def _look_at_calls(probes: list[Probe]) -> None:
    """What seems to be under way is looked at while the programs run: afterwards nobody sees it return.

    On a sick host a look at a thread may wait for that thread; the trace does not.
    """

    def look() -> None:
        for probe in probes:
            with contextlib.suppress(*_UNFORESEEN):  # it is under way, then, as far as is known
                probe.look_at_calls()

    looking = threading.Thread(target=look, name="looking", daemon=True)
    with contextlib.suppress(RuntimeError):  # the host has no room for another thread
        looking.start()
        looking.join(_LOOK_SECONDS)


def _prepare_results(running: list[_Running]) -> None:
    """While the programs run there is time for what takes some: loading what makes results of what they counted."""
    from . import summary  # noqa: F401

    for one in running:
        with contextlib.suppress(*_UNFORESEEN):  # it is tried again, and said, when the result is made
            one.probe.prepare_result()


def _sentence(error: Exception, target: str = "") -> str:
    if isinstance(error, OSError) and not isinstance(error, EbpfError):
        return str(kernel.explain(error, f"attach a program to {target}" if target else "trace"))
    return str(error)


def failed(request: Any, error: str) -> dict[str, Any]:
    """The result of a program that was not attached. `request` may be anything that a model wrote."""
    data = request if isinstance(request, dict) else {}
    if isinstance(request, ProgramRequest):
        data = {"name": request.name, "type": request.type, "target": request.target}
    name = data.get("name") or data.get("target") or "program"
    return {
        "program_name": str(name)[:80],
        "event_count": 0,
        "events": [],
        "summary": f"Nothing is known: {error}",
        "type": data.get("type"),
        "target": data.get("target"),
        "started": time.time_ns(),
        "error": error,
    }
