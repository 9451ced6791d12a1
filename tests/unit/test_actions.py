# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of actions: what its lines say, in both places, and what is not done where neither can be written."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.redaction.redactor import Redactor
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.actions import (
    TRACE,
    ActionLog,
    Unrecorded,
)
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.asker import who_asked
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.ending import Stopped
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.lock import Busy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.log_file import LogFile
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.vanished import birth, vanished

ABOUT = {"issue": "slow", "model": "m", "endpoint_host": "gateway:3000"}
HOSTILE = 'x\n{"action": "diagnosis_ended"}\r\x00\x1b[2J\x7f\x85\u2028\u2029\u202eevil\ud800 "\\'


class Journal:
    """A socket that takes entries as the journal does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(5)

    def entry(self) -> dict[str, str]:
        fields, data = {}, self._socket.recv(1 << 18)
        while data:
            name, separator, data = data.partition(b"=" if b"=" in data.split(b"\n")[0] else b"\n")
            if separator == b"=":
                value, _newline, data = data.partition(b"\n")
            else:
                length = int.from_bytes(data[:8], "little")
                value, data = data[8 : 8 + length], data[9 + length :]
            fields[name.decode()] = value.decode()
        return fields

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    one = Journal(tmp_path / "journal")
    yield one
    one.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log" / "diagnostics.jsonl"


def log_in(path: Path, **more: Any) -> ActionLog:
    return ActionLog("20260131T020304Z-1f2e3d4c", file=LogFile(path), **{"socket": path.parent / "none", **more})


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def test_every_line_has_a_time_the_id_a_number_and_the_process(path: Path) -> None:
    log = log_in(path)
    with log.recorded({"uid": 0}, ABOUT, {"rounds": 5}):
        log.program_started({"name": "opens", "type": "tracepoint", "target": "a/b", "duration": 2.0})
    found = lines(path)
    assert [line["action"] for line in found] == ["diagnosis_started", "program_started", "diagnosis_ended"]
    assert [line["sequence"] for line in found] == [1, 2, 3]
    assert {line["diagnosis_id"] for line in found} == {"20260131T020304Z-1f2e3d4c"}
    assert {line["pid"] for line in found} == {os.getpid()}
    assert all(line["time"].endswith("+00:00") for line in found)
    assert found[0]["asked_by"] == {"uid": 0}
    assert found[0]["options"] == {"rounds": 5}
    assert found[0] | ABOUT == found[0]


def test_a_command_is_on_record_before_it_runs_and_again_with_what_came_of_it(path: Path) -> None:
    log = log_in(path)
    judged = [{"program": "ss", "network": ["netlink"]}]
    log.command_started("c1", "ss -t", judged, "bubblewrap")
    (before,) = lines(path)
    assert (before["action"], before["verdict"], before["sandbox"]) == ("command_started", "allowed", "bubblewrap")
    assert before["judged"] == judged
    result = {"id": "c1", "command": "ss -t", "output": "äb", "exit_code": 3, "duration_s": 0.5, "truncated_bytes": 7}
    log.command_done({**result, "granted": {"ss": ["SYS_PTRACE"]}, "timed_out": True}, "policy")
    after = lines(path)[1]
    assert (after["action"], after["exit_code"], after["duration_s"]) == ("command_ended", 3, 0.5)
    assert (after["output_bytes"], after["bytes_left_out"]) == (3, 7)
    assert after["capabilities"] == {"ss": ["SYS_PTRACE"]}
    assert (after["timed_out"], after["cancelled"], after["error"]) == (True, False, None)


def test_a_refused_command_has_its_reason_and_who_refused_it(path: Path) -> None:
    log = log_in(path)
    with log.recorded({}, ABOUT, {}):
        log.command_done({"id": "c1", "command": "rm x", "refused": True, "reason": "It removes."}, "policy")
        log.command_done({"id": "c2", "command": "ls", "error": "Stopped before it was started."}, "policy")
    refused, not_run, end = lines(path)[1:]
    assert (refused["action"], refused["verdict"], refused["by"]) == ("command_refused", "refused", "policy")
    assert (refused["command"], refused["reason"]) == ("rm x", "It removes.")
    assert (not_run["action"], not_run["verdict"]) == ("command_not_run", "not run")
    assert not_run["reason"] == "Stopped before it was started."
    assert (end["commands"], end["commands_refused"], end["commands_not_run"]) == (0, 1, 1)


def test_a_part_that_is_refused_when_it_is_known_is_on_record_with_its_command(path: Path) -> None:
    log = log_in(path)
    log.command_started("c1", "ls | xargs cat", [], "bubblewrap")
    log.command_done({"id": "c1", "command": "ls | xargs cat", "refused": True, "reason": "A key file."}, "policy")
    assert lines(path)[1]["refused_later"] == "A key file."


def test_totals_are_those_of_the_lines(path: Path) -> None:
    log = log_in(path)
    with log.recorded({}, ABOUT, {}) as outcome:
        log.command_started("c1", "ls", [], "bubblewrap")
        log.command_done({"id": "c1", "command": "ls", "exit_code": 0}, "policy")
        for sent, received in ((100, 10), (200, 20)):
            log.request_started("m", "gateway:3000", sent)
            log.request_ended(sent, received, status=200, prompt_tokens=5, completion_tokens=1, error=None)
        outcome.update(ended="resolution", bytes_returned=1234)
    end = lines(path)[-1]
    assert (end["ended"], end["bytes_returned"], end["requests"]) == ("resolution", 1234, 2)
    assert (end["bytes_sent"], end["bytes_received"], end["commands"], end["programs"]) == (300, 30, 1, 0)


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (Stopped("by SIGTERM"), "stopped"),
        (Busy("taken"), "busy"),
        (KeyError("bug"), "failed"),
        (SystemExit(1), "failed"),
    ],
)
def test_whatever_ends_a_run_its_end_is_on_record(path: Path, error: BaseException, ended: str) -> None:
    with pytest.raises(type(error)), log_in(path).recorded({}, ABOUT, {}):
        raise error
    end = lines(path)[-1]
    assert (end["action"], end["ended"]) == ("diagnosis_ended", ended)
    assert end["error"]


def test_hostile_text_stays_one_line_of_ascii_that_no_terminal_obeys(path: Path, journal: Journal) -> None:
    log = log_in(path, socket=journal.path)
    log.command_done({"id": HOSTILE, "command": HOSTILE, "refused": True, "reason": HOSTILE}, "policy")
    raw = path.read_bytes()
    assert raw.count(b"\n") == 1
    assert all(32 <= byte < 127 for byte in raw[:-1])
    (line,) = lines(path)
    assert line["command"] == line["reason"] == line["id"] == HOSTILE
    entry = journal.entry()
    assert "\n" not in entry["MESSAGE"]
    assert entry["MESSAGE"].isprintable()
    assert json.loads(entry["NANNYAPI_LINE"]) == line


def test_a_long_text_is_cut_with_how_much_is_missing_and_a_long_command_is_whole(path: Path) -> None:
    log = log_in(path)
    log.command_started("c1", "x" * 2000, [{"program": "cat"}] * 500, "bubblewrap")
    log.command_done({"id": "c2", "command": "y", "refused": True, "reason": "z" * 100_000}, "policy")
    allowed, refused = lines(path)
    assert allowed["command"] == "x" * 2000
    assert allowed["judged"][-1] == "[436 more]"
    assert refused["reason"].endswith("[95904 more characters]")
    assert max(map(len, path.read_bytes().splitlines())) < 10_000


def test_secrets_are_redacted_in_every_kind_of_line(path: Path, journal: Journal) -> None:
    secret = "hunter2secret9"
    text = f"mysql --password={secret}"
    log = log_in(path, redact=Redactor().value, socket=journal.path)
    with log.recorded({}, {**ABOUT, "issue": text}, {}) as outcome:
        log.command_started("c1", text, [], "bubblewrap")
        log.command_done({"id": "c1", "command": text, "exit_code": 1, "error": text, "notes": [text]}, "policy")
        log.command_done({"id": "c2", "command": text, "refused": True, "reason": text}, "policy")
        log.program_started({"name": "n", "type": "t", "target": "x", "filters": {"comm": text}})
        log.program_ended("k", {"program_name": "n", "error": text})
        log.request_started(text, "h", 1)
        log.request_ended(1, 0, error=text)
        outcome.update(ended="model_error", error=text)
    assert len(lines(path)) == 9
    assert secret.encode() not in path.read_bytes()
    for _line in lines(path):
        assert secret not in str(journal.entry())


def test_the_journal_gets_a_sentence_the_fields_and_the_line(path: Path, journal: Journal) -> None:
    log = log_in(path, socket=journal.path)
    log.command_done({"id": "c1", "command": "rm x", "refused": True, "reason": "It removes."}, "policy")
    entry = journal.entry()
    assert entry["MESSAGE"] == "command refused: rm x (It removes.)"
    assert entry["SYSLOG_IDENTIFIER"] == "nannyapi-diagnostics"
    assert entry["NANNYAPI_DIAGNOSIS_ID"] == "20260131T020304Z-1f2e3d4c"
    assert entry["NANNYAPI_ACTION"] == "command_refused"
    assert entry["PRIORITY"] == "5"
    assert json.loads(entry["NANNYAPI_LINE"]) == lines(path)[0]
    assert log.describe() == {"file": str(path), "journal": True, "lines": 1, "unrecorded": 0, "problem": None}


def test_without_a_sandbox_a_command_is_a_warning(path: Path, journal: Journal) -> None:
    log_in(path, socket=journal.path).command_started("c1", "ls", [], "none")
    entry = journal.entry()
    assert (entry["PRIORITY"], entry["MESSAGE"]) == ("4", "command allowed: ls (without a sandbox)")


def unwritable(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to("/dev/null")


def test_without_a_journal_the_file_suffices(path: Path) -> None:
    log = log_in(path)
    with log.recorded({}, ABOUT, {}):
        pass
    assert log.describe() == {"file": str(path), "journal": False, "lines": 2, "unrecorded": 0, "problem": None}


def test_without_a_file_the_journal_suffices_and_it_is_said(path: Path, journal: Journal) -> None:
    unwritable(path)
    log = log_in(path, socket=journal.path)
    with log.recorded({}, ABOUT, {}):
        assert journal.entry()["NANNYAPI_ACTION"] == "diagnosis_started"
    told = log.describe()
    assert (told["file"], told["journal"], told["unrecorded"]) == (None, True, 0)
    assert str(path) in told["problem"]


def test_what_is_in_neither_place_is_not_done(path: Path) -> None:
    unwritable(path)
    log = log_in(path)
    begun = []
    with (
        pytest.raises(
            Unrecorded, match=r"Nothing was done\..*diagnostics.jsonl cannot be written.*no journal"
        ) as error,
        log.recorded({}, ABOUT, {}),
    ):
        begun.append(1)
    assert not begun
    assert "unrecorded_actions: true" in str(error.value)
    for action in (
        lambda: log.command_started("c1", "ls", [], "bubblewrap"),
        lambda: log.program_started({"name": "n"}),
        lambda: log.request_started("m", "h", 1),
    ):
        with pytest.raises(Unrecorded, match="It could not be put on record"):
            action()


def test_where_the_operator_said_so_it_goes_on_unrecorded_and_counts(path: Path) -> None:
    unwritable(path)
    log = log_in(path, required=False)
    with log.recorded({}, ABOUT, {}):
        log.command_started("c1", "ls", [], "bubblewrap")
    told = log.describe()
    assert (told["file"], told["journal"], told["lines"], told["unrecorded"]) == (None, False, 3, 3)


def test_what_came_of_an_action_is_no_reason_to_stop_where_it_cannot_be_written(path: Path) -> None:
    log = log_in(path)
    with log.recorded({}, ABOUT, {}):
        log.command_started("c1", "ls", [], "bubblewrap")
        path.unlink()
        path.symlink_to("/dev/null")
        log.command_done({"id": "c1", "command": "ls", "exit_code": 0}, "policy")
        log.request_ended(1, 1)
        path.unlink()
    (end,) = lines(path)
    assert (end["action"], end["unrecorded"], end["sequence"]) == ("diagnosis_ended", 2, 5)


def test_a_trace_has_a_beginning_and_an_end_of_its_own(path: Path) -> None:
    log = log_in(path, kind=TRACE)
    with log.recorded({"user": "root"}, {"programs": ["tracepoint a/b"]}, {"max_events": 5}):
        log.program_started({"name": "opens", "type": "tracepoint", "target": "a/b", "duration": 2.0})
        log.program_ended("opens_1", {"program_name": "opens", "event_count": 7, "duration_s": 2.0, "events": [1]})
    found = lines(path)
    assert [line["action"] for line in found] == ["trace_started", "program_started", "program_ended", "trace_ended"]
    assert found[2]["event_count"] == 7
    assert "events" not in found[2]
    assert found[3]["programs"] == 1


def killed(path: Path, before_it_dies: str = "") -> int:
    """The number of a process that began a diagnosis and was killed."""
    code = f"""
import os, sys
from pathlib import Path
from {ActionLog.__module__} import ActionLog
from {LogFile.__module__} import LogFile
log = ActionLog("20260101T000000Z-00000001", file=LogFile(Path(sys.argv[1])), socket=Path("/nowhere"))
with log.recorded({{}}, {{"issue": "x", "model": "m"}}, {{}}):
    {before_it_dies or "os.kill(os.getpid(), 9)"}
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], env=environment)
    process.wait(30)
    return process.pid


def test_who_begins_next_notes_that_a_run_was_killed_and_once(path: Path, journal: Journal) -> None:
    pid = killed(path)
    for _run in range(2):
        with log_in(path, socket=journal.path).recorded({}, ABOUT, {}):
            pass
    found = [line for line in lines(path) if line["action"] == "diagnosis_vanished"]
    assert [(line["diagnosis_id"], line["process"]) for line in found] == [("20260101T000000Z-00000001", pid)]
    assert found[0]["noticed_by"] == "20260131T020304Z-1f2e3d4c"
    assert found[0]["began"] == lines(path)[0]["time"]
    assert [line["sequence"] for line in lines(path) if "sequence" in line] == [1, 1, 2, 1, 2]
    journal.entry()
    entry = journal.entry()
    assert entry["NANNYAPI_DIAGNOSIS_ID"] == "20260101T000000Z-00000001"
    assert entry["PRIORITY"] == "4"


@pytest.mark.parametrize("ending", ["pass", "raise SystemExit(1)"])
def test_a_run_that_ended_did_not_vanish(path: Path, ending: str) -> None:
    killed(path, ending)
    assert vanished(path.read_bytes().splitlines()) == []


def test_a_run_that_is_still_going_on_did_not_vanish(path: Path) -> None:
    with log_in(path).recorded({}, ABOUT, {}):
        assert vanished(path.read_bytes().splitlines()) == []


def test_a_process_of_another_boot_is_gone_and_of_another_container_nothing_is_known(path: Path) -> None:
    killed(path)
    (begun,) = lines(path)
    alive = {**begun, "pid": os.getpid(), "process_birth": birth()}

    def seen(**born: Any) -> bool:
        return bool(vanished([json.dumps({**alive, "process_birth": {**birth(), **born}}).encode()]))

    assert 0 < birth()["start"] < begun["process_birth"]["start"]
    assert not seen()
    assert seen(start=1)  # the number has gone to another process since
    assert seen(boot="another")
    assert not seen(start=1, pid_namespace="pid:[1]")
    assert vanished([b'{"half": "action": "diagnosis_', b'{"action": "diagnosis_started"}', b"[]"]) == []


def test_who_asked_is_what_the_kernel_sudo_and_the_controller_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "alice")
    asked = who_asked({"user": "bob", "host": "ctl", "awx_job": None, "x": "y" * 1000})
    assert asked["uid"] == os.geteuid()
    assert asked["sudo_user"] == "alice"
    assert asked["controller"] == {"user": "bob", "host": "ctl", "x": "y" * 200}
    login = Path("/proc/self/loginuid").read_text()
    assert ("auid" in asked) == (login != "4294967295")


def test_the_address_of_an_ssh_client_is_found_where_sudo_dropped_it(tmp_path: Path) -> None:
    code = f"from {who_asked.__module__} import who_asked; print(who_asked().get('ssh_client'))"
    path = os.pathsep.join(sys.path)
    inner = f'env -i PYTHONPATH={path} {sys.executable} -c "{code}"; true'  # `true`: the shell stays its parent
    ran = subprocess.run(
        ["sh", "-c", inner],
        env={"SSH_CONNECTION": "192.0.2.7 55555 192.0.2.1 22", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.stdout == "192.0.2.7\n", ran.stderr
