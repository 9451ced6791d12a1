# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands really run: what comes back, and that nothing stays behind.

To see how stubborn programs are handled, some tests give the policy rules for programs that are refused otherwise.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.processes import MARK
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.runner import Limits, run_commands
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.site import SiteRules


def policy_with(*programs: str) -> Policy:
    policy = Policy(SiteRules(allow={name: {"style": "plain", "forms": ["@text..."]} for name in programs}))
    for name in programs:
        policy.refused.pop(name, None)
    return policy


def run(line: str, seconds: float = 10.0, output_bytes: int = 16384, policy: Policy | None = None) -> dict[str, Any]:
    limits = Limits(seconds, output_bytes)
    return run_commands([{"id": "x", "command": line}], policy=policy or Policy.default(), limits=limits)[0]


def marked_processes() -> list[int]:
    """Processes that bear the mark of a command line of ours, whoever their parents are now."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                environment = Path("/proc", name, "environ").read_bytes()
                state = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()[0]
            except (OSError, UnicodeDecodeError):
                continue
            if f"{MARK}={os.getpid()}-".encode() in environment and state != "Z":
                found.append(int(name))
    return found


@pytest.fixture(autouse=True)
def nothing_stays_behind() -> Iterator[None]:
    descriptors = len(os.listdir("/proc/self/fd"))
    yield
    assert marked_processes() == []
    zombies = subprocess.run(
        ["ps", "-o", "stat=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False
    ).stdout
    assert "<defunct>" not in zombies
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 1


def test_a_command_gives_its_output_and_exit_code() -> None:
    result = run("cat /etc/passwd")
    assert result["output"] == Path("/etc/passwd").read_text()
    assert result["exit_code"] == 0
    assert result["id"] == "x"
    assert result["command"] == "cat /etc/passwd"
    assert result["duration_s"] < 5
    assert not {"error", "refused", "timed_out", "truncated_bytes"} & set(result)


@pytest.mark.parametrize(
    ("line", "output", "exit_code"),
    [
        ("printf 'b\\na\\nb\\n' | sort | uniq -c | tr -s ' '", " 1 a\n 2 b\n", 0),
        ("false", "", 1),
        ("false; echo x", "x\n", 0),
        ("false && echo x", "", 1),
        ("false || echo x", "x\n", 0),
        ("true || echo x", "", 0),
        ("true && echo x; false", "x\n", 1),
        ("false && echo a || echo b", "b\n", 0),
        ("true || echo a && echo b", "b\n", 0),
        ("false | true", "", 0),
        ("true | false", "", 1),
        ("echo x >/dev/null", "", 0),
        ("echo x 1>&2 2>/dev/null", "x\n", 0),
        ("echo x 2>/dev/null 1>&2", "", 0),
        ("ls /nonexistent 2>/dev/null", "", 2),
        ("ls /nonexistent 2>&1 | wc -l", "1\n", 0),
        ("ls /nonexistent |& wc -l", "1\n", 0),
        ("ls /nonexistent &>/dev/null", "", 2),
        ("wc -l < /dev/null", "0\n", 0),
        ("cat", "", 0),
        ("echo a\necho b", "a\nb\n", 0),
        ("seq 100000 | head -n 1", None, None),
    ],
)
def test_pipes_lists_and_redirections_do_what_a_shell_does(line: str, output: str | None, exit_code: int) -> None:
    result = run(line)
    if output is None:
        # Out of the rule's bounds: refused, and so not run.
        assert result["refused"]
    else:
        assert (result["output"], result["exit_code"]) == (output, exit_code)


@pytest.mark.parametrize(
    "line",
    [
        "cat /etc/passwd | cut -d : -f 1,3 | sort -t : -k 2,2n | tail -n 3",
        "grep -c root /etc/passwd && echo yes || echo no",
        "ls -d /etc/host* /etc/nothing* ; echo done",
        "cat '/etc/'hos\\ts | head -n 1",
        "echo 'a  b' \"c  d\" e\\ \\ f",
        "test -d /etc && echo 'it is' || echo 'it is not'",
        "cat /nonexistent; echo $'x' 2>/dev/null",
        "printf '%s-' a b 'c d'",
        "head -n 1 /etc/passwd /etc/group | cat",
    ],
)
def test_accepted_lines_give_what_bash_gives(line: str) -> None:
    result = run(line)
    if result.get("refused"):
        assert "plain quotation marks" in result["reason"]
        return
    shell = subprocess.run(
        ["bash", "-c", line], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", text=True, check=False
    )
    assert result["exit_code"] == shell.returncode
    assert result["output"].replace("/usr/bin/", "") == shell.stdout


def test_errors_and_output_come_in_order() -> None:
    result = run("ls -d /etc /nonexistent; echo then; ls /nonexistent2")
    lines = result["output"].splitlines()
    assert "then" in lines
    assert "/nonexistent2" in lines[-1]
    assert any("'/nonexistent'" in line for line in lines[: lines.index("then")])


def test_the_last_output_and_every_error_of_a_pipeline_come_back() -> None:
    result = run("cat /nonexistent | wc -c")
    assert "0\n" in result["output"]
    assert "No such file" in result["output"]


def test_a_program_that_the_host_lacks_is_told_with_127() -> None:
    policy = policy_with("no-such-program")
    result = run("no-such-program --x", policy=policy)
    assert result["exit_code"] == 127
    assert result["output"] == "The program `no-such-program` is not on this host.\n"
    assert run("no-such-program || echo else", policy=policy)["output"].endswith("else\n")
    assert run("no-such-program | wc -l", policy=policy)["exit_code"] == 0


def test_the_environment_is_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/nonexistent.so")
    monkeypatch.setenv("SECRET", "hunter2")
    result = run("env", policy=policy_with("env"))
    variables = dict(line.split("=", 1) for line in result["output"].splitlines())
    assert "hunter2" not in result["output"]
    assert variables["PATH"] == "/usr/sbin:/usr/bin:/sbin:/bin"
    assert variables["LC_ALL"] == "C.UTF-8"
    assert variables["SYSTEMD_PAGER"] == "cat"
    assert "LD_PRELOAD" not in variables
    assert run("pwd", policy=policy_with("pwd"))["output"] == "/\n"


def test_a_refused_command_is_not_run_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run(f"uptime; rm {tmp_path}/file")
    assert result["refused"] is True
    assert result["exit_code"] is None
    assert result["output"] == ""
    assert "changes files" in result["reason"]
    assert (tmp_path / "file").exists()


def test_a_command_that_does_not_end_is_ended_and_keeps_what_it_wrote() -> None:
    started = time.monotonic()
    result = run("echo before; sleep 10; sleep 10; sleep 10; echo after", seconds=0.5)
    assert time.monotonic() - started < 25
    assert result["timed_out"] is True
    assert result["output"] == "before\n"
    assert "did not end within 0.5 s" in result["error"]
    assert result["exit_code"] == 143


STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.1; done"


@pytest.mark.parametrize(
    "script",
    [
        STUBBORN,
        "sleep 60 & sleep 60",
        "setsid sleep 60 & echo up; sleep 60",
        "(setsid sh -c 'sleep 60' &) ; echo up; sleep 60",
        "set -m; sleep 60 & sleep 60",
    ],
)
def test_grandchildren_and_those_that_ignore_the_asking_are_ended_too(script: str) -> None:
    started = time.monotonic()
    result = run(f'sh -c "{script}"', seconds=0.7, policy=policy_with("sh"))
    assert result["timed_out"] is True
    assert time.monotonic() - started < 25


@pytest.mark.parametrize("script", ["sleep 60 & echo done", "setsid sleep 60 & echo done"])
def test_what_a_finished_program_left_behind_is_ended_and_does_not_hold_up_the_rest(script: str) -> None:
    started = time.monotonic()
    result = run(f"sh -c '{script}'", seconds=50, policy=policy_with("sh"))
    assert result["output"] == "done\n"
    assert result["exit_code"] == 0
    assert time.monotonic() - started < 25


def test_endless_output_is_bounded_and_counted() -> None:
    result = run("yes", seconds=20, output_bytes=2000, policy=policy_with("yes"))
    assert result["truncated_bytes"] > 1_000_000
    assert len(result["output"]) < 2200
    assert "bytes left out here" in result["output"]
    assert "ended; ask for less" in result["error"]


def test_a_large_file_comes_as_head_and_tail(tmp_path: Path) -> None:
    (tmp_path / "large").write_text("".join(f"{number}\n" for number in range(200000)))
    result = run(f"cat {tmp_path}/large", output_bytes=1000)
    assert result["output"].startswith("0\n1\n")
    assert result["output"].endswith("199998\n199999\n")
    assert result["truncated_bytes"] > 1_000_000
    assert result["exit_code"] == 0


def test_a_pipeline_whose_reader_leaves_ends_like_in_a_shell() -> None:
    result = run("yes | head -n 2", policy=policy_with("yes"))
    assert result["output"] == "y\ny\n"
    assert result["exit_code"] == 0


def test_output_that_is_no_text_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"a\xff\x00\x1b[31mb\n")
    assert run(f"cat {tmp_path}/bytes")["output"] == "a\ufffd\ufffdb\n"


def test_several_run_at_once_and_results_keep_their_order() -> None:
    line = "date +%s.%N; sleep 2; date +%s.%N; echo {}"
    commands = [{"id": f"c{number}", "command": line.format(number)} for number in range(6)]
    done: list[str] = []
    threads = set()

    def on_done(result: dict[str, Any]) -> None:
        done.append(result["id"])
        threads.add(threading.current_thread())

    results = run_commands(commands, policy=Policy.default(), limits=Limits(30, 1000), parallel=6, on_done=on_done)
    begun, ended, numbers = zip(*(result["output"].split() for result in results))
    assert max(map(float, begun)) < min(map(float, ended))
    assert list(numbers) == [str(number) for number in range(6)]
    assert sorted(done) == [f"c{number}" for number in range(6)]
    assert threads == {threading.current_thread()}


def test_only_as_many_run_at_once_as_asked_for() -> None:
    commands = [{"id": f"c{number}", "command": "sleep 0.3"} for number in range(4)]
    started = time.monotonic()
    run_commands(commands, policy=Policy.default(), limits=Limits(10, 1000), parallel=1)
    assert time.monotonic() - started >= 1.2


def test_a_stopped_diagnosis_ends_what_runs_and_starts_nothing_more() -> None:
    commands = [{"id": f"c{number}", "command": "echo up; sleep 10; sleep 10; sleep 10"} for number in range(5)]
    stop_at = time.monotonic() + 3
    results = run_commands(
        commands,
        policy=Policy.default(),
        limits=Limits(90, 1000),
        parallel=2,
        cancelled=lambda: time.monotonic() > stop_at,
    )
    assert time.monotonic() - stop_at < 25
    assert [result["id"] for result in results] == ["c0", "c1", "c2", "c3", "c4"]
    assert [result["output"] for result in results] == ["up\n", "up\n", "", "", ""]
    assert all("stopped" in result["error"] and "before" in result["error"] for result in results)
    assert results[0]["cancelled"] is True
    assert results[4]["exit_code"] is None


def test_nothing_at_all_is_answered_with_nothing() -> None:
    assert run_commands([], policy=Policy.default(), limits=Limits()) == []
    result = run_commands([{}], policy=Policy.default(), limits=Limits())[0]
    assert result["refused"]
    assert result["id"] == "command_1"
