# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loops, groups, conditions, substitutions and xargs really run, and print what a shell would."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.runner import Limits, run_commands

POLICY = Policy.default()


def run(line: str, seconds: float = 15.0) -> dict[str, Any]:
    return run_commands([{"id": "x", "command": line}], policy=POLICY, limits=Limits(seconds))[0]


@pytest.mark.parametrize(
    "line",
    [
        "for i in 1 2 3; do echo $i; done | sort -r",
        'for f in /etc/host.conf /etc/hosts; do echo "$f: $(wc -l < "$f")"; done',
        "for i in {1..3}; do for j in a b; do echo $i$j; done; done",
        "if [ -f /etc/hosts ]; then echo yes; else echo no; fi",
        "if [ -f /nonexistent ]; then echo yes; elif true; then echo other; else echo no; fi | cat -n",
        "(echo b; echo a) | sort; { echo c; } ; (false) || echo d",
        "cat $(ls /etc/host.conf /etc/hosts) | wc -l",
        'echo $(ls -d /etc /usr) and "$(ls -d /etc)" `ls -d /usr`',
        "for f in $(ls -d /etc/hosts /etc/passwd); do basename $f; done",
        "ls -d /etc /usr | xargs",
        "ls -d /etc /usr | xargs -n 1 echo got | sort -r",
        "ls -d /etc /usr | xargs -I{} echo a{}b",
        "ls /etc/nothing-there 2>/dev/null | xargs -r echo never",
        "find /etc -maxdepth 1 -name 'host[.s]*' -exec wc -l {} \\; | sort",
        "find /etc -maxdepth 1 -name hosts -exec wc -l {} +",
        "ls /etc/{hosts,passwd} && echo both",
        "awk -F: 'NR <= 3 { n++; print $1, length($1) / 2 } END { print n }' /etc/passwd | sed -n '1,2{s/o/0/g;p}'",
        "timeout 5 cat /etc/hosts | head -n 1",
        "ls /nonexistent /etc/hosts 2>&1 | wc -l",
    ],
)
def test_it_prints_what_a_shell_prints(line: str) -> None:
    shell = subprocess.run(
        ["bash", "-c", line],
        cwd="/",
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    result = run(line)
    assert result.get("refused") is None, result
    assert result["output"] == shell.stdout
    assert result["exit_code"] == shell.returncode


def test_what_came_of_a_substitution_is_refused_in_a_sentence_and_the_rest_goes_on() -> None:
    result = run("cat $(find /etc -maxdepth 1 -name shadow) ; echo after")
    assert result["refused"] is True
    assert result["exit_code"] is None
    assert "password hashes" in result["reason"]
    assert result["output"] == "after\n"


def test_what_turns_out_to_be_secret_when_it_is_opened_is_refused_as_well(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/etc/hosts")
    policy = Policy.default()
    judged, seen = policy.paths.may_read, []

    def may_read(path: str) -> None:
        # Between the verdict and the opening, somebody puts another file in its place.
        seen.append(path)
        if len(seen) == 1:
            judged(path)
            link.unlink()
            link.symlink_to("/etc/shadow")
        else:
            judged(path)

    policy.paths.may_read = may_read  # type: ignore[method-assign]
    result = run_commands([{"command": f"cat < {link}"}], policy=policy, limits=Limits(15))[0]
    assert result["refused"] is True
    assert result["exit_code"] is None
    assert "password hashes" in result["reason"]
    assert result["output"] == ""


def test_what_a_substitution_says_besides_is_shown_and_not_used() -> None:
    result = run("echo got $(ls /nonexistent /etc/hosts)")
    assert "cannot access" in result["output"]
    assert result["output"].endswith("got /etc/hosts\n")


def test_a_loop_ends_with_its_time() -> None:
    result = run("for i in 1 2 3 4 5; do sleep 2; done | sort", seconds=3.0)
    assert result["timed_out"] is True
    assert result["duration_s"] < 6


def test_what_is_granted_to_a_command_that_was_settled_late_is_told() -> None:
    assert run("echo 1 | cat; pidof nothing-there; pmap $(pgrep -o .)")["granted"] == {"pmap": ["SYS_PTRACE"]}
    assert "granted" not in run("cat $(ls -d /etc/hosts)")
