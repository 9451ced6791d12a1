# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command policy accepts and refuses; the lines themselves are data in cases/commands/."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands import file_names, parser
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.rules.refused import REFUSED
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.rules.table import RULES

CASES = Path(__file__).parent / "cases" / "commands"
ACCEPTED = yaml.safe_load((CASES / "accepted.yml").read_text())
REFUSED_LINES = yaml.safe_load((CASES / "refused.yml").read_text())

POLICY = Policy.default()


def arguments(line: str) -> list[list[str]]:
    """What would be run for an accepted line, program by program."""
    verdict = POLICY.judge(line)
    assert verdict.allowed, verdict.reason
    return [command.arguments for pipeline in verdict.pipelines for command in pipeline.commands]


@pytest.mark.parametrize("line", ACCEPTED)
def test_everyday_lines_pass(line: str) -> None:
    verdict = POLICY.judge(line)
    assert verdict.allowed, verdict.reason
    assert verdict.reason == ""


@pytest.mark.parametrize(("line", "because"), REFUSED_LINES)
def test_lines_that_act_or_show_secrets_are_refused_with_the_reason(line: str, because: str) -> None:
    verdict = POLICY.judge(line)
    assert not verdict.allowed
    assert because in verdict.reason
    assert verdict.reason.endswith((".", "`"))
    assert verdict.pipelines == []


def test_the_tables_are_as_long_as_promised() -> None:
    assert len(ACCEPTED) >= 120
    assert len(REFUSED_LINES) >= 150
    assert len({line for line, _reason in REFUSED_LINES}) == len(REFUSED_LINES)


@pytest.mark.parametrize("program", sorted(RULES))
def test_the_example_of_a_rule_is_accepted_by_it(program: str) -> None:
    example = RULES[program].get("example")
    if example is None:
        # Rules without one are those that need no words at all, or whose example would say nothing.
        assert POLICY.readers[program].style in ("getopt", "plain", "words")
    else:
        assert POLICY.judge(example).allowed, POLICY.judge(example).reason


def test_no_program_is_both_accepted_and_refused() -> None:
    assert not set(RULES) & set(REFUSED)


def test_any_program_that_is_accepted_may_tell_its_version_and_no_other() -> None:
    assert arguments("systemctl --version") == [["systemctl", "--version"]]
    assert arguments("timeout --version") == [["timeout", "--version"]]
    assert not POLICY.judge("python3 --version").allowed
    assert not POLICY.judge("sysctl --version a=1").allowed


def test_judged_words_are_the_words_that_would_be_run() -> None:
    assert arguments("grep -e 'a  b' \"c d\" e\\ f") == [["grep", "-e", "a  b", "c d", "e f"]]
    assert arguments("echo '' \"\" 'a'\"b\"c") == [["echo", "", "", "abc"]]
    assert arguments("grep 'x$' /etc/hosts") == [["grep", "x$", "/etc/hosts"]]
    assert arguments('grep "x$" /etc/hosts') == [["grep", "x$", "/etc/hosts"]]
    assert arguments("echo '$HOME' \"\\$HOME\" \\$HOME") == [["echo", "$HOME", "$HOME", "$HOME"]]
    assert arguments("/bin/cat /etc/hosts") == [["cat", "/etc/hosts"]]


def test_options_that_keep_a_program_from_leaving_something_behind_are_put_in() -> None:
    assert arguments("nstat -z") == [["nstat", "-a", "-s", "-z"]]
    assert arguments("systemctl status nginx") == [["systemctl", "--no-pager", "status", "nginx"]]


def test_formats_of_the_journal_that_show_all_fields_show_no_environment() -> None:
    for line in ("journalctl -o verbose", "journalctl -ojson -n 1", "journalctl -xo export", "journalctl -o json-sse"):
        (shown,) = (word for word in arguments(line)[0] if word.startswith("--output-fields="))
        assert "MESSAGE," in shown
        assert "ENVIRON" not in shown
    assert arguments("journalctl -o json --output-fields=_PID")[0][2:] == ["-o", "json", "--output-fields=_PID"]
    assert arguments("journalctl -o cat") == [["journalctl", "--no-pager", "-o", "cat"]]


def test_patterns_are_expanded_where_they_are_not_quoted(tmp_path: Path) -> None:
    for name in ("b.log", "a.log", "c.txt"):
        (tmp_path / name).write_text("")
    assert arguments(f"cat {tmp_path}/*.log") == [["cat", f"{tmp_path}/a.log", f"{tmp_path}/b.log"]]
    assert arguments(f"cat '{tmp_path}'/[ab].log") == [["cat", f"{tmp_path}/a.log", f"{tmp_path}/b.log"]]
    assert arguments(f"cat '{tmp_path}/*.log'") == [["cat", f"{tmp_path}/*.log"]]
    assert arguments(f"ls {tmp_path}/\\*.log") == [["ls", f"{tmp_path}/*.log"]]
    assert arguments(f"cat {tmp_path}/*.nothing") == [["cat", f"{tmp_path}/*.nothing"]]


def test_a_pattern_cannot_bring_in_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "-f").write_text("")
    monkeypatch.setattr(file_names, "WORKING_DIRECTORY", str(tmp_path))
    assert "never end" in POLICY.judge("tail -n 1 *").reason


def test_a_pattern_for_thousands_of_files_is_refused(tmp_path: Path) -> None:
    for number in range(2001):
        (tmp_path / f"{number}").write_text("")
    assert "more than 2000 files" in POLICY.judge(f"cat {tmp_path}/*").reason


def test_a_link_to_a_hidden_file_is_followed_and_refused(tmp_path: Path) -> None:
    os.symlink("/etc/shadow", tmp_path / "harmless.txt")
    os.symlink("/etc", tmp_path / "etc")
    assert "password hashes" in POLICY.judge(f"cat {tmp_path}/harmless.txt").reason
    assert "password hashes" in POLICY.judge(f"cat {tmp_path}/etc/shadow").reason
    assert "password hashes" in POLICY.judge(f"cat {tmp_path}/*.txt").reason


def test_a_directory_with_a_key_in_it_is_not_read_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "app.log").write_text("x")
    assert POLICY.judge(f"grep -r x {tmp_path}").allowed
    (tmp_path / "app" / "server.key").write_text("x")
    assert "server.key" in POLICY.judge(f"grep -r x {tmp_path}").reason


def test_pipes_and_sockets_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not an ordinary file" in POLICY.judge(f"cat {tmp_path}/pipe").reason
    assert "not an ordinary file" in POLICY.judge(f"cat < {tmp_path}/pipe").reason


def test_long_lines_and_many_commands_are_refused() -> None:
    assert "longer than" in POLICY.judge("echo " + "x" * 5000).reason
    assert "more than 16 commands" in POLICY.judge("; ".join(["uptime"] * 17)).reason
    assert POLICY.judge("; ".join(["uptime"] * 16)).allowed


def test_without_the_parser_every_command_is_refused_and_the_library_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "bashlex", None)
    verdict = POLICY.judge("uptime")
    assert not verdict.allowed
    assert "bashlex" in verdict.reason


_WORDS = st.sampled_from(
    ["cat", "ls", "find", "ps", "ip", "sort", "-", "--", "-o", "$(", ")", "`", "'", '"', "\\", "|", "&&", ";", "&", ">",
     "<", "<<", "{", "}", "(", "$", "*", "[", "~", "/etc/hosts", "if", "for", "do", "done", "\n", "#", "!", "0", "é"]
)  # fmt: skip


@given(st.text(max_size=60) | st.lists(_WORDS, max_size=12).map(" ".join) | st.lists(_WORDS, max_size=12).map("".join))
@settings(max_examples=600, deadline=None)
def test_judging_never_raises_and_always_says_why(line: str) -> None:
    verdict = POLICY.judge(line)
    assert verdict.allowed == bool(verdict.pipelines)
    assert verdict.allowed == (verdict.reason == "")
    assert "judging it failed" not in verdict.reason


def test_the_page_about_the_policy_says_what_the_rules_say() -> None:
    checked = subprocess.run(
        [sys.executable, "scripts/command_policy.py", "--check"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": ".cache/src"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("echo $((1 + 1))", "arithmetic"),
        ("echo $[1 + 1]", "arithmetic"),
        ("case x in x) uptime;; esac", "a construct"),
        ("select x in a; do uptime; done", "a construct"),
        ("coproc uptime", "a construct"),
    ],
)
def test_what_the_parser_knows_and_does_not_take_apart_is_refused_in_a_sentence(line: str, what: str) -> None:
    with pytest.raises(NotImplementedError):
        parser.bashlex.parse(line)
    assert POLICY.judge(line).reason.startswith(f"The command has {what} in it that is not understood here")


@pytest.mark.parametrize(
    "line",
    [
        "ps aux | grep x; uptime && df || free 2>&1",
        "for i in 1 2; do uptime; done 2>/dev/null",
        "if true; then uptime; fi",
        "(uptime)",
        "cat /proc/$(pidof -s init)/status",
        "pgrep init | xargs ps -o pid -p",
        "find /var/log -name '*.log' -exec ls -l {} +",
        "awk '{print $1}' /proc/loadavg | sed -n 1p",
    ],
)
def test_what_the_prompt_says_is_understood_is(line: str) -> None:
    assert POLICY.judge(line).allowed, POLICY.judge(line).reason


@pytest.mark.parametrize(
    "line",
    [
        "uptime > /tmp/x",
        "while true; do uptime; done",
        "f() { uptime; }; f",
        "x=1; uptime",
        "cat <<E\nx\nE",
        "uptime &",
        "sudo uptime",
        "sh -c uptime",
        "perl -e 1",
        "python3 -c 1",
    ],
)
def test_what_the_prompt_says_is_not_understood_is_refused(line: str) -> None:
    assert not POLICY.judge(line).allowed
