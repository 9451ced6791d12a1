# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the offline diagnostician asks for: by category, within the limits, and nothing that the policy refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.offline.categories import (
    CATEGORIES,
    classify,
)
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.offline.closer import second_request
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.offline.diagnostician import OfflineModel
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.offline.findings.finding import (
    STRONG,
    Finding,
)
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.offline.requests import (
    COMMANDS,
    PROGRAMS,
    first_request,
    named_hosts,
)
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.protocol import Diagnostic, Resolution, parse_reply

POLICY = Policy.default()
WITHOUT_KPROBES: dict[str, Any] = {"probe_types": {"kprobe": {"available": False, "reason": "no"}}}
WITH_KPROBES: dict[str, Any] = {"probe_types": {"kprobe": {"available": True}}}

# The protocol's table, as (kind, target); kprobes have stand-ins, tested below.
TABLE = {
    "network": [("tracepoint", "syscalls/sys_enter_connect"), ("kprobe", "tcp_connect"), ("kprobe", "tcp_sendmsg")],
    "process": [
        ("tracepoint", "syscalls/sys_enter_execve"),
        ("tracepoint", "sched/sched_process_exit"),
        ("kprobe", "do_fork"),
    ],
    "file I/O": [("tracepoint", "syscalls/sys_enter_openat"), ("kprobe", "vfs_read"), ("kprobe", "vfs_write")],
    "performance": [
        ("tracepoint", "syscalls/sys_enter_*"),
        ("kprobe", "schedule"),
        ("tracepoint", "irq/irq_handler_entry"),
    ],
    "memory": [
        ("kprobe", "__alloc_pages_nodemask"),
        ("kprobe", "__free_pages"),
        ("tracepoint", "kmem/kmalloc"),
    ],
}


@pytest.mark.parametrize(
    ("issue", "categories"),
    [
        ("Application randomly fails to connect to database", ["network"]),
        ("DNS lookups time out", ["network"]),
        ("connection refused on port 5432", ["network"]),
        ("nginx keeps restarting", ["process"]),
        ("the daemon crashed with a segfault", ["process"]),
        ("No space left on device", ["file I/O"]),
        ("permission denied when opening the log file", ["file I/O"]),
        ("the host is slow and the load is high", ["performance"]),
        ("high CPU usage", ["performance"]),
        ("java is killed, out of memory", ["memory", "process"]),
        ("memory leak", ["memory"]),
        ("something is odd", []),
        ("", []),
        ("réseau: ça ne va pas", []),
    ],
)
def test_an_issue_is_classified_by_its_words(issue: str, categories: list[str]) -> None:
    assert sorted(classify(issue)) == sorted(categories)


def test_the_likeliest_category_comes_first() -> None:
    assert classify("out of memory: swap is used up, and a process was killed")[0] == "memory"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_accepted_by_the_policy(name: str) -> None:
    verdict = POLICY.judge(COMMANDS[name][0])
    assert verdict.allowed, verdict.reason


def test_commands_of_the_second_round_are_accepted_by_the_policy() -> None:
    finding = Finding("network", "x", STRONG, pids=[1, 22], addresses=["203.0.113.5:443", "[2001:db8::1]:443"])
    commands = second_request([finding])
    assert [command["id"] for command in commands][:2] == ["process_1", "cgroup_1"]
    assert "ip route get 2001:db8::1" in [command["command"] for command in commands]
    for command in commands:
        assert POLICY.judge(command["command"]).allowed, POLICY.judge(command["command"]).reason


def test_a_destination_cannot_bring_in_a_command() -> None:
    finding = Finding("network", "x", STRONG, addresses=["203.0.113.5;reboot:443", "/run/x", "", "$(id):1"])
    assert second_request([finding]) == []


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_asks_for_its_row_of_the_protocols_table(category: str) -> None:
    asked = first_request("", [category], WITH_KPROBES, {})["ebpf_programs"]
    assert set(TABLE[category]) <= {(program["type"], program["target"]) for program in asked}


@pytest.mark.parametrize("capabilities", [WITHOUT_KPROBES, {}, {"probe_types": None}, {"probe_types": {"kprobe": 1}}])
def test_without_kprobes_only_tracepoints_are_asked_for(capabilities: dict[str, Any]) -> None:
    for category in CATEGORIES:
        asked = first_request("", [category], capabilities, {})["ebpf_programs"]
        assert {program["type"] for program in asked} == {"tracepoint"}
        assert all("/" in program["target"] for program in asked)
        assert len(asked) >= 3


def test_names_of_programs_are_names_of_one_thing() -> None:
    assert len({target for target, _function, _why in PROGRAMS.values()}) == len(PROGRAMS)


def test_limits_are_kept_and_cut_all_categories_alike() -> None:
    limits = {"commands_per_round": 5, "programs_per_round": 4, "longest_trace_seconds": 3}
    request = first_request("", list(CATEGORIES), {}, limits)
    assert len(request["commands"]) == 5
    assert [program["name"] for program in request["ebpf_programs"]] == [
        "connects",
        "execs",
        "opens",
        "syscalls",
    ]
    assert {program["duration"] for program in request["ebpf_programs"]} == {3}


def test_host_names_in_the_issue_are_looked_up_and_file_names_are_not() -> None:
    issue = "db.example.com and api-1.internal fail since app.conf and nginx.service changed"
    assert named_hosts(issue) == ["db.example.com", "api-1.internal"]
    commands = first_request(issue, ["network"], {}, {})["commands"]
    assert commands[0]["command"] == "getent ahosts db.example.com"
    assert POLICY.judge(commands[0]["command"]).allowed


def opening(issue: str) -> dict[str, str]:
    turn = {"system_information": {}, "ebpf_capabilities": WITHOUT_KPROBES, "limits": {}, "issue": issue}
    return {"role": "user", "content": json.dumps(turn)}


def evidence(remaining: dict[str, Any], **more: Any) -> dict[str, str]:
    failure = {"process_id": 7, "process_name": "app", "error": "ECONNREFUSED", "key": "127.0.0.1:1", "count": 9}
    trace = {"target": "syscalls/sys_enter_connect", "event_count": 9, "duration_s": 10.0, "failures": [failure]}
    turn = {"command_results": [], "ebpf_results": {"connects_1": trace}, "remaining": remaining, **more}
    return {"role": "user", "content": json.dumps(turn)}


def ask(*messages: dict[str, str]) -> Any:
    answer = OfflineModel().ask(list(messages), 1.0)
    assert (answer.prompt_tokens, answer.completion_tokens, answer.episode_id) == (0, 0, None)
    return parse_reply(answer.content).reply


ECHO = {"role": "assistant", "content": "{}"}
TIME_LEFT = {"rounds": 4, "seconds": 300}


def test_first_it_asks_then_it_looks_closer_then_it_resolves() -> None:
    first = ask(opening("cannot connect"))
    assert isinstance(first, Diagnostic)
    assert first.ebpf_programs
    second = ask(opening("cannot connect"), ECHO, evidence(TIME_LEFT))
    assert isinstance(second, Diagnostic)
    assert not second.ebpf_programs
    assert second.commands[0].command == "ps -o pid,ppid,user,etimes,args -p 7"
    third = ask(opening("cannot connect"), ECHO, evidence(TIME_LEFT), ECHO, evidence(TIME_LEFT))
    assert isinstance(third, Resolution)


def test_a_suspect_is_counted_alone_in_a_second_trace() -> None:
    names = [("importer", 11), ("cat", 12), ("sleep", 13), ("other", 14)]
    listed = [{"process_id": pid, "process_name": name, "count": 1} for name, pid in names]
    trace = {"target": "sched/sched_process_exit", "event_count": 170, "duration_s": 10.0, "by_process": listed}
    turn = {"command_results": [], "ebpf_results": {"exits_1": trace}, "remaining": TIME_LEFT}
    second = ask(opening("the importer keeps restarting"), ECHO, {"role": "user", "content": json.dumps(turn)})
    assert isinstance(second, Diagnostic)
    assert [program.filters.comm for program in second.ebpf_programs] == ["importer"]
    assert second.ebpf_programs[0].target == "sched/sched_process_exit"


@pytest.mark.parametrize(
    "turn",
    [
        evidence({"rounds": 0, "seconds": 300}),
        evidence({"rounds": 3, "seconds": 2}),
        evidence(TIME_LEFT, last_turn="This was the last round."),
        {"role": "user", "content": json.dumps({"repair": "Your last reply could not be used."})},
        {"role": "user", "content": json.dumps({"last_turn": "The time is used up."})},
    ],
)
def test_when_nothing_more_can_be_run_it_resolves(turn: dict[str, str]) -> None:
    assert isinstance(ask(opening("cannot connect"), ECHO, turn), Resolution)


def test_a_healthy_host_is_not_looked_at_twice() -> None:
    turn = {"command_results": [], "ebpf_results": {}, "remaining": TIME_LEFT}
    assert isinstance(ask(opening("cannot connect"), ECHO, {"role": "user", "content": json.dumps(turn)}), Resolution)


def test_messages_that_are_not_of_the_protocol_are_taken_as_the_issue() -> None:
    assert isinstance(
        ask({"role": "system", "content": "x"}, {"role": "user", "content": "cannot connect"}), Diagnostic
    )
    assert isinstance(ask(), Diagnostic)
    assert isinstance(ask({"role": "user", "content": "[" * 100000}), Diagnostic)
