# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs as a model might ask for them: nearly right, quite wrong, and anything at all."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import tracefs
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import Tracer

FUNCTIONS = ("tcp_connect", "tcp_sendmsg", "do_fork", "vfs_read", "vfs_write", "schedule", "__free_pages", "do_exit")
_EVENTS = (
    *("syscalls/sys_enter_openat", "syscalls/sys_enter_*", "raw_syscalls/sys_enter", "sched/sched_switch"),
    *("tcp/tcp_conect", "sched/*", "ftrace/function", "irq:irq_handler_entry", "syscalls/sys_enter_", "/", "a/b/c"),
)
_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
_names = st.sampled_from((*FUNCTIONS, *_EVENTS))
# A name with some of its characters left out, doubled or replaced.
_misspelt = st.builds(
    lambda name, at, put: name[: at % len(name)] + put + name[at % len(name) + 1 :],
    _names,
    st.integers(0, 100),
    st.text(st.characters(codec="utf-8"), max_size=3),
)
_filters = st.dictionaries(
    st.sampled_from(
        ("pid", "children", "comm", "uid", "cgroup", "unit", "container", "errors_only", "min_duration_us", "port")
    ),
    _anything | st.sampled_from((1, "1", "init*", True, "deadbeef0123", "/", "ssh.service", 0.5, 10**6)),
    max_size=3,
)
programs: st.SearchStrategy[Any] = _anything | st.fixed_dictionaries(
    {},
    optional={
        "name": _anything | _names,
        "type": _anything | st.sampled_from(("tracepoint", "kprobe", "kretprobe")),
        "target": _anything | _names | _misspelt,
        "duration": _anything | st.sampled_from((1, 10, 0, -1, 10**6, "5")),
        "filters": _anything | _filters,
        "description": _anything,
    },
)


def valid_programs(number: int, seed: int) -> list[dict[str, Any]]:
    """So many programs that this kernel can trace or has a stand-in for, drawn at random."""
    drawn = random.Random(seed)
    events = [event for event in tracefs.events() if not event.startswith("ftrace/")]
    chosen = []
    for index in range(number):
        kind = drawn.choice(("tracepoint", "tracepoint", "kprobe", "kretprobe"))
        target = drawn.choice(events) if kind == "tracepoint" else drawn.choice(FUNCTIONS)
        filters: dict[str, Any] = drawn.choice(({}, {}, {"uid": 0}, {"comm": "py*"}, {"pid": 1, "children": True}))
        chosen.append({"name": f"p{index}", "type": kind, "target": target, "duration": 1, "filters": filters})
    return chosen


def judge(result: dict[str, Any]) -> None:
    """A result is a result or a sentence; never both, never neither."""
    assert {"program_name", "event_count", "events", "summary"} <= set(result)
    if "error" in result:
        assert (result["event_count"], result["events"]) == (0, [])
        assert result["error"].rstrip().endswith((".", "!", "?")), result["error"]
        assert "Traceback" not in result["error"]
    else:
        assert result["attached_to"]
        assert result["event_count"] >= 0


def not_sentences(tracer: Tracer, program: Any) -> list[str]:
    """What is said of what is wrong with a program, and is no sentence."""
    return [
        said for said in tracer.check([program]) if not said.rstrip().endswith((".", "!", "?")) or "Traceback" in said
    ]
