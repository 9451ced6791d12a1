# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Program requests, checked. Private to the collection.

A request is the protocol's `ebpf_programs` entry as plain data. What is wrong with it is said in a sentence that a
model can act on.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Optional, Union

from .errors import RequestError

TYPES = ("tracepoint", "kprobe", "kretprobe")
FILTERS = ("pid", "children", "comm", "uid", "cgroup", "unit", "container", "errors_only", "min_duration_us")
MIN_SECONDS, MAX_SECONDS = 1, 300
_MAX_MICROSECONDS = MAX_SECONDS * 1e6
_COMM_BYTES = 15  # TASK_COMM_LEN without its terminator
_DIGITS = r"[0-9]{1,20}"
_UNIT = r"[A-Za-z0-9:_.\\@-]{1,255}"  # systemd.unit(5)
_CONTAINER = r"[0-9a-f]{12,64}"


class Filters(NamedTuple):
    """What an event must match; None where anything does. `comm` may end in `*`.

    `children`: those of `pid` too. `cgroup`: a path, or an id. `unit`, `container`: stand for their cgroups.
    """

    pid: Optional[int] = None
    children: Optional[bool] = None
    comm: Optional[str] = None
    uid: Optional[int] = None
    cgroup: Optional[Union[str, int]] = None
    unit: Optional[str] = None
    container: Optional[str] = None
    errors_only: Optional[bool] = None
    min_duration_us: Optional[float] = None

    @property
    def on_results(self) -> bool:
        """Whether an event can be judged only by what came of it."""
        return bool(self.errors_only or self.min_duration_us)

    def to_json(self) -> dict[str, Any]:
        """The filters that are set."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class ProgramRequest(NamedTuple):
    """One program to run: seconds for `duration`."""

    name: str
    type: str
    target: str
    duration: float
    filters: Filters
    description: str = ""


def parse_request(data: Any, max_seconds: float = MAX_SECONDS) -> ProgramRequest:
    """Checks one entry of `ebpf_programs`. Raises RequestError."""
    if not isinstance(data, dict):
        raise RequestError(f"A program is an object with name, type, target and duration, not {data!r:.60}.")
    kind, target = _kind_and_target(data.get("type"), data.get("target"))
    name = data.get("name") or target
    if not isinstance(name, str) or len(name) > 80:
        raise RequestError("A program's name is a text of at most 80 characters.")
    return ProgramRequest(
        name=name,
        type=kind,
        target=target,
        duration=_duration(data.get("duration"), max_seconds),
        filters=_filters(data.get("filters")),
        description=str(data.get("description") or ""),
    )


def _kind_and_target(kind: Any, target: Any) -> tuple[str, str]:
    if not isinstance(target, str) or not target.strip():
        raise RequestError("A program needs a target: a kernel function, or category/event for a tracepoint.")
    target = target.strip()
    prefix, colon, rest = target.partition(":")
    if colon and prefix in TYPES:
        kind, target = kind or prefix, rest
    if kind not in TYPES:
        raise RequestError(f"The program type {kind!r} is not known; known are {', '.join(TYPES)}.")
    if kind == "tracepoint":
        target = target.replace(":", "/", 1) if "/" not in target else target
        if "/" not in target:
            raise RequestError(
                f"A tracepoint's target is category/event, such as syscalls/sys_enter_openat, not {target!r}."
            )
    return kind, target


def _duration(value: Any, max_seconds: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise RequestError(f"A duration is a number of seconds, {MIN_SECONDS} to {max_seconds:g}, not {value!r}.")
    try:
        seconds = float(value)
    except ValueError:
        raise RequestError(f"A duration is a number of seconds, not {value!r:.40}.") from None
    if not MIN_SECONDS <= seconds <= max_seconds:
        raise RequestError(
            f"A duration of {value} s is outside of what is traced, {MIN_SECONDS} to {max_seconds:g} s;"
            " 10 to 30 is the usual range."
        )
    return seconds


def _filters(value: Any) -> Filters:
    if value is None or value == {}:
        return Filters()
    if not isinstance(value, dict):
        raise RequestError(f'Filters are an object such as {{"comm": "curl", "pid": 1234}}, not {value!r:.60}.')
    unknown = sorted(str(name) for name in value if name not in FILTERS)
    if unknown:
        raise RequestError(f"No filter is called {', '.join(unknown)}; known are {', '.join(FILTERS)}.")
    if value.get("children") and value.get("pid") is None:
        raise RequestError('The filter children goes with pid: {"pid": 1234, "children": true}.')
    return Filters(
        pid=_pid(value.get("pid")),
        children=_flag("children", value.get("children")),
        comm=_comm(value.get("comm")),
        uid=_number("uid", value.get("uid"), 0),
        cgroup=_cgroup(value.get("cgroup")),
        unit=_unit(value.get("unit")),
        container=_container(value.get("container")),
        errors_only=_flag("errors_only", value.get("errors_only")),
        min_duration_us=_microseconds(value.get("min_duration_us")),
    )


def _number(name: str, value: Any, least: int) -> Optional[int]:
    if value is None:
        return None
    digits = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,10}", digits) or not least <= int(digits) < 2**32:
        raise RequestError(f"The filter {name} is a number from {least}, not {value!r:.40}.")
    return int(digits)


def _flag(name: str, value: Any) -> Optional[bool]:
    value = {"true": True, "false": False}.get(value.strip().lower(), value) if isinstance(value, str) else value
    if value is None or isinstance(value, bool):
        return value or None
    raise RequestError(f"The filter {name} is true or false, not {value!r:.40}.")


def _microseconds(value: Any) -> Optional[float]:
    if value is None:
        return None
    try:
        number = float("nan") if isinstance(value, bool) or not isinstance(value, (int, float, str)) else float(value)
    except (ValueError, OverflowError):
        number = float("nan")
    if not 0 < number <= _MAX_MICROSECONDS:
        raise RequestError(
            "The filter min_duration_us is a number of microseconds above 0, at most"
            f" {_MAX_MICROSECONDS:.0f}, not {value!r:.40}."
        )
    return number


def _comm(value: Any) -> Optional[str]:
    if value is None:
        return None
    if not isinstance(value, str) or not value or "\0" in value or value == "*":
        raise RequestError(f'The filter comm is a process name such as "curl" or "post*", not {value!r:.40}.')
    encoded = value.encode()
    if value.endswith("*") and len(encoded) > _COMM_BYTES:
        return encoded[:_COMM_BYTES].decode("utf-8", "ignore") + "*"
    # The kernel keeps 15 bytes of a name: a longer one is meant by its first 15, or by their whole characters.
    kept = encoded[:_COMM_BYTES].decode("utf-8", "ignore")
    return kept if len(kept.encode()) == min(len(encoded), _COMM_BYTES) else f"{kept}*"


def _cgroup(value: Any) -> Optional[Union[str, int]]:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
        raise RequestError(
            f'The filter cgroup is a path such as "/system.slice/nginx.service", or an id, not {value!r:.40}.'
        )
    text = str(value).strip()
    return int(text) if re.fullmatch(_DIGITS, text) else text


def _unit(value: Any) -> Optional[str]:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(_UNIT, value.strip()):
        raise RequestError(f'The filter unit is the name of a systemd unit such as "nginx.service", not {value!r:.80}.')
    return value.strip()


def _container(value: Any) -> Optional[str]:
    if value is None:
        return None
    identifier = str(value).strip().rpartition("://")[2].lower()  # Kubernetes writes containerd://<id>
    if not isinstance(value, str) or not re.fullmatch(_CONTAINER, identifier):
        raise RequestError(
            "The filter container is a container's id, or at least its first 12 hex digits, as docker ps, podman ps or"
            f" crictl ps show it, not {value!r:.80}. A name is known only to the container engine, which is not asked."
        )
    return identifier


def _pid(value: Any) -> Optional[int]:
    pid = _number("pid", value, 1)
    if pid is None:
        return None
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            status = file.read()
    except OSError:
        raise RequestError(
            f"No process has the pid {pid} now, so a filter on it would only ever count nothing. List the processes"
            " (ps -eo pid,comm) and ask again."
        ) from None
    group = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Tgid:"))
    if group != pid:
        raise RequestError(f"{pid} is a thread of the process {group}; the filter pid takes the process: {group}.")
    return pid
