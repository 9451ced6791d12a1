# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of actions beside what really happened: results, bytes on the wire, signals, a disk that is full."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kernel_state import await_true, loaded_programs

from playbooks import Ansible

LOG = Path("/var/log/nannyapi/diagnostics.jsonl")
LOCK = Path("/run/nannyapi-diagnostics.lock")
ISSUE = "files cannot be opened"
SHORT = {"issue": ISSUE, "model": "offline", "rounds": 1, "trace_seconds": 1}
OPENS: dict[str, Any] = {"name": "opens", "target": "syscalls/sys_enter_openat", "duration": 1}


class Log:
    """The log of runs that have a folder of the test's own in the place of /var/log."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.path = folder / "nannyapi" / LOG.name
        self.wrapper = under(f"mount --bind {folder} /var/log")

    def lines(self) -> list[dict[str, Any]]:
        """All lines, oldest first."""
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log")


def of(lines: list[dict[str, Any]], action: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["action"] == action]


def under(mounts: str) -> tuple[str, ...]:
    """A command that runs another one where something is mounted over what this host has."""
    return ("unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh")


def test_every_command_and_program_of_a_result_has_its_lines_with_the_same_figures(ansible: Ansible) -> None:
    result = ansible.module("diagnose", SHORT)
    every = [json.loads(line) for line in LOG.read_text().splitlines()]
    lines = [line for line in every if line["diagnosis_id"] == result["diagnosis_id"]]
    assert [line["sequence"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[0]["action"] == "diagnosis_started"
    assert (lines[0]["issue"], lines[0]["model"], lines[0]["options"]["rounds"]) == (ISSUE, "offline", 1)
    assert lines[0]["asked_by"]["uid"] == 0
    assert lines[0]["asked_by"]["controller"]["host"] == os.uname().nodename
    began = {line["id"]: line for line in of(lines, "command_started")}
    ended = {line["id"]: line for line in of(lines, "command_ended")}
    assert sorted(ended) == sorted(each["id"] for each in result["command_results"])
    for each in result["command_results"]:
        assert began[each["id"]]["command"] == ended[each["id"]]["command"] == each["command"]
        assert began[each["id"]]["sandbox"] == "bubblewrap"
        assert began[each["id"]]["sequence"] < ended[each["id"]]["sequence"]
        assert ended[each["id"]]["exit_code"] == each["exit_code"]
        assert ended[each["id"]]["duration_s"] == each["duration_s"]
        assert ended[each["id"]]["capabilities"] == each.get("granted", {})
    names = ("type", "target", "attached_to", "filters", "duration_s", "event_count", "missed", "own_events")
    programs = {line["key"]: line for line in of(lines, "program_ended")}
    assert programs.keys() == result["ebpf_results"].keys()
    for key, traced in result["ebpf_results"].items():
        assert {name: programs[key][name] for name in names} == {name: traced[name] for name in names}
    assert sorted(line["target"] for line in of(lines, "program_started")) == sorted(
        traced["target"] for traced in result["ebpf_results"].values()
    )
    end = lines[-1]
    assert (end["action"], end["ended"], end["resolution"]) == ("diagnosis_ended", result["ended"], True)
    assert (end["commands"], end["programs"]) == (len(result["command_results"]), len(result["ebpf_results"]))
    assert (end["requests"], end["bytes_sent"]) == (result["usage"]["calls"], 0)
    assert end["bytes_returned"] > len(json.dumps(result["ebpf_results"]))
    assert result["action_log"] == {
        "file": str(LOG),
        "journal": Path("/run/systemd/journal/socket").is_socket(),
        "lines": len(lines) - 1,
        "unrecorded": 0,
        "problem": None,
    }
    assert (LOG.parent.stat().st_mode & 0o777, LOG.stat().st_mode & 0o777) == (0o700, 0o600)


class Server:
    """A model's server that counts every byte that comes in, and answers from a script, the last again and again."""

    def __init__(self, *script: Any) -> None:
        self.received = 0
        self.sent_bodies = 0
        self._script = list(script)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        data = b""
        while not self._whole(data):
            chunk = connection.recv(65536)
            if not chunk:
                return
            data += chunk
            self.received += len(chunk)
        reply = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": json.dumps(reply)}}
        usage = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
        body = json.dumps({"choices": [choice], "usage": usage, "model": "scripted"}).encode()
        self.sent_bodies += len(body)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
        connection.sendall(head.encode() + b"\r\n\r\n" + body)

    @staticmethod
    def _whole(data: bytes) -> bool:
        head, empty, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        return bool(empty) and len(body) >= int(lengths[0].split(b":")[1])

    def close(self) -> None:
        self._socket.close()


RESOLUTION = {
    "response_type": "resolution",
    "root_cause": "Nothing was found.",
    "resolution_plan": "1. Look again.",
    "confidence": "Low",
    "ebpf_evidence": "",
}


@pytest.fixture
def server() -> Iterator[Server]:
    commands = [
        {"id": "remove", "command": "rm -rf /var/tmp/x --token=ghp_16C7e42F292c6912E7710c838347Ae178B4a"},
        {"id": "uptime", "command": "cat /proc/uptime"},
        {"id": "late", "command": "cat $(ls /proc/1/maps)"},
    ]
    programs = [{"name": "none", "type": "tracepoint", "target": "no/such", "duration": 1}]
    one = Server(
        {"response_type": "diagnostic", "reasoning": "", "commands": commands, "ebpf_programs": programs}, RESOLUTION
    )
    yield one
    one.close()


def test_bytes_that_left_refusals_and_failures_are_on_record(ansible: Ansible, server: Server, log: Log) -> None:
    arguments = {"issue": ISSUE, "model": "scripted", "endpoint": server.endpoint, "rounds": 1}
    result = ansible.module("diagnose", arguments, wrapper=log.wrapper)
    lines = log.lines()
    requests = of(lines, "request_ended")
    assert sum(line["bytes_sent"] for line in requests) == server.received
    assert sum(line["bytes_received"] for line in requests) == server.sent_bodies
    assert {(line["status"], line["prompt_tokens"], line["completion_tokens"]) for line in requests} == {(200, 11, 5)}
    asked = of(lines, "request_started")
    assert {line["endpoint_host"] for line in asked} == {server.endpoint.split("/")[2]}
    assert [line["bytes_to_send"] for line in asked] == [line["bytes_sent"] for line in requests]
    end = lines[-1]
    assert (end["bytes_sent"], end["requests"]) == (server.received, len(requests))
    refused = {line["id"]: line for line in of(lines, "command_refused")}
    in_result = {each["id"]: each for each in result["command_results"]}
    assert refused["remove"]["reason"] == in_result["remove"]["reason"]
    assert refused["remove"]["by"] == "policy"
    assert "ghp_16C7e42F292c6912E7710c838347Ae178B4a" not in log.path.read_text()
    assert "[redacted:" in refused["remove"]["command"]
    assert "remove" not in {line["id"] for line in of(lines, "command_started")}
    assert {line["id"] for line in of(lines, "command_ended")} >= {"uptime"}
    (failed,) = of(lines, "program_ended")
    assert "no tracepoint no/such" in failed["error"]
    assert failed["error"] == next(iter(result["ebpf_results"].values()))["error"]


def test_a_server_that_cannot_be_reached_is_on_record_with_every_attempt(ansible: Ansible, log: Log) -> None:
    arguments = {"issue": ISSUE, "model": "m", "endpoint": "http://127.0.0.1:9/v1", "seconds": 20}
    result = ansible.module("diagnose", arguments, wrapper=log.wrapper)
    lines = log.lines()
    assert result["failed"]
    assert len(of(lines, "request_ended")) == len(of(lines, "request_started")) > 1
    assert {line["bytes_sent"] for line in of(lines, "request_ended")} == {0}
    assert all("could not be reached" in line["error"] for line in of(lines, "request_ended"))
    assert (lines[-1]["action"], lines[-1]["ended"]) == ("diagnosis_ended", "model_error")
    assert lines[-1]["error"] == result["error"]


def test_each_line_is_in_the_journal_too(ansible: Ansible, log: Log, tmp_path: Path) -> None:
    taken: list[bytes] = []
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    (tmp_path / "journal").mkdir()
    listener.bind(str(tmp_path / "journal" / "socket"))
    listener.settimeout(0.5)
    done = threading.Event()

    def listen() -> None:
        while True:
            try:
                taken.append(listener.recv(1 << 18))
            except TimeoutError:
                if done.is_set():
                    return

    thread = threading.Thread(target=listen)
    thread.start()
    here = "/run/systemd/journal"
    mounts = f"mount -t tmpfs tmpfs /run && mkdir -p {here} && mount --bind {tmp_path / 'journal'} {here}"
    result = ansible.module("diagnose", SHORT, wrapper=(*under(mounts), *log.wrapper))
    done.set()
    thread.join()
    listener.close()
    assert result["action_log"]["journal"] is True
    entries = [dict(field.split(b"=", 1) for field in entry.split(b"\n") if field) for entry in taken]
    assert [json.loads(entry[b"NANNYAPI_LINE"]) for entry in entries] == log.lines()
    assert {entry[b"NANNYAPI_DIAGNOSIS_ID"].decode() for entry in entries} == {result["diagnosis_id"]}
    assert entries[0][b"MESSAGE"].startswith(f"diagnosis {result['diagnosis_id']} started for ".encode())


def background(ansible: Ansible, log: Log, task: dict[str, Any]) -> subprocess.Popen[str]:
    path = ansible.local.parent / "recorded.yml"
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    return subprocess.Popen(
        [*log.wrapper, *ansible.command(str(path), ansible.local, {})],
        env=ansible.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def test_a_run_that_is_stopped_by_a_signal_has_an_end_on_record(ansible: Ansible, log: Log) -> None:
    run = background(ansible, log, {"nannyapi.diagnostics.diagnose": {"issue": ISSUE, "model": "offline"}})
    # The survey loads programs as well, before there is anything to end.
    await_true(lambda: bool(of(log.lines(), "program_started") and of(log.lines(), "command_ended")))
    os.kill(log.lines()[0]["pid"], signal.SIGTERM)
    run.communicate(timeout=60)
    lines = log.lines()
    assert (lines[-1]["action"], lines[-1]["ended"]) == ("diagnosis_ended", "stopped")
    assert "SIGTERM" in lines[-1]["error"]
    assert len(of(lines, "program_ended")) == len(of(lines, "program_started")) > 0
    assert len(of(lines, "command_ended")) == len(of(lines, "command_started")) > 0


def test_a_run_that_is_killed_has_a_beginning_without_an_end(ansible: Ansible, log: Log) -> None:
    loaded = loaded_programs()
    run = background(ansible, log, {"nannyapi.diagnostics.ebpf_trace": {"programs": [{**OPENS, "duration": 60}]}})
    await_true(lambda: bool(of(log.lines(), "program_started")) and len(loaded_programs() - loaded) >= 1)
    os.kill(log.lines()[0]["pid"], signal.SIGKILL)
    run.communicate(timeout=60)
    assert [line["action"] for line in log.lines()] == ["trace_started", "program_started"]
    await_true(lambda: loaded_programs() <= loaded, 15)
    ansible.module("ebpf_trace", {"programs": [OPENS]}, wrapper=log.wrapper)
    (gone,) = of(log.lines(), "trace_vanished")
    assert (gone["diagnosis_id"], gone["process"]) == (log.lines()[0]["diagnosis_id"], log.lines()[0]["pid"])


def test_who_does_not_get_the_hosts_lock_is_on_record(ansible: Ansible, log: Log) -> None:
    loaded = loaded_programs()
    run = background(ansible, log, {"nannyapi.diagnostics.diagnose": {**SHORT, "trace_seconds": 20}})
    await_true(lambda: len(loaded_programs() - loaded) >= 3)
    refused = ansible.module("diagnose", {**SHORT, "lock_timeout": 0}, wrapper=log.wrapper)
    run.communicate(timeout=120)
    (busy,) = [line for line in of(log.lines(), "diagnosis_ended") if line["ended"] == "busy"]
    assert busy["error"] == refused["msg"]
    assert (busy["commands"], busy["programs"], busy["requests"]) == (0, 0, 0)


def test_a_trace_without_a_model_is_on_record_and_a_check_is_not(ansible: Ansible, log: Log) -> None:
    ansible.module("ebpf_trace", {"programs": [OPENS]}, ("--check",), wrapper=log.wrapper)
    ansible.module("diagnose", SHORT, ("--check",), wrapper=log.wrapper)
    assert not log.path.exists()
    result = ansible.module("ebpf_trace", {"programs": [OPENS]}, wrapper=log.wrapper)
    lines = log.lines()
    assert [line["action"] for line in lines] == ["trace_started", "program_started", "program_ended", "trace_ended"]
    ((key, traced),) = result["ebpf_results"].items()
    assert (lines[2]["key"], lines[2]["event_count"]) == (key, traced["event_count"])
    assert lines[0]["programs"] == ["tracepoint syscalls/sys_enter_openat"]


NOWHERE = "mount -t tmpfs -o ro tmpfs /var/log"


def test_what_cannot_be_put_on_record_is_not_done(ansible: Ansible) -> None:
    loaded = loaded_programs()
    result = ansible.module("diagnose", SHORT, wrapper=under(NOWHERE))
    assert result["failed"] is True
    assert "Nothing was done. It could not be put on record" in result["msg"]
    assert "Read-only file system" in result["msg"]
    assert "unrecorded_actions: true" in result["msg"]
    assert "command_results" not in result
    assert loaded_programs() <= loaded


def test_the_operator_can_have_it_done_all_the_same_and_the_result_says_so(ansible: Ansible) -> None:
    result = ansible.module("diagnose", {**SHORT, "unrecorded_actions": True}, wrapper=under(NOWHERE))
    assert result["resolution"]
    told = result["action_log"]
    assert (told["file"], told["journal"]) == (None, False)
    assert told["unrecorded"] == told["lines"] > 4
    assert "Read-only file system" in told["problem"]
    traced = ansible.module("ebpf_trace", {"programs": [OPENS]}, wrapper=under(NOWHERE))
    assert traced["failed"] is False
    assert traced["action_log"]["unrecorded"] == 3


def test_on_a_disk_that_becomes_full_nothing_more_is_done_and_the_result_says_so(
    ansible: Ansible, log: Log, tmp_path: Path
) -> None:
    ansible.module("diagnose", SHORT, wrapper=log.wrapper)
    first = len(log.path.read_bytes().splitlines()[0])
    # One page for all lines, in which the beginning fits, and nothing more that is longer than what is left.
    filler = tmp_path / "filler"
    filler.write_bytes(b" " * (4096 - first - 60) + b"\n")
    here = f"install -d -m 700 /var/log/nannyapi && install -m 600 {filler} {LOG}"
    after = f'"$@"; status=$?; cp {LOG} {tmp_path}/kept; exit $status'
    mounts = f"mount -t tmpfs -o size=4k,mode=755 tmpfs /var/log && {here} && {after}"
    result = ansible.module("diagnose", SHORT, wrapper=("unshare", "--mount", "sh", "-c", mounts, "sh"))
    assert result["failed"] is True
    assert result["ended"] == "model_error"
    assert "The model was not asked. It could not be put on record" in result["error"]
    assert "No space left" in result["error"] or "no space is left" in result["error"]
    assert (result["command_results"], result["ebpf_results"]) == ([], {})
    assert result["action_log"]["unrecorded"] == 1
    written = (tmp_path / "kept").read_bytes()
    assert written.endswith(b"}\n")
    assert [json.loads(line)["action"] for line in written.splitlines()[1:]] == ["diagnosis_started"]
