# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is going to be run on the throw-away host is every line, in every way that it can be."""

from __future__ import annotations

from collections import Counter

import corpus
import pytest
from jobs import look_kind, policy_jobs, sandbox_jobs, simple_command, unfenced_jobs, worst_grants


def test_every_line_is_run_by_a_shell_and_with_the_policy() -> None:
    cases = corpus.hostile()
    shell = [job.where for job in sandbox_jobs(cases) if job.way == "shell" and not job.elsewhere]
    assert shell == [case.where for case in cases] == [job.where for job in policy_jobs(cases)]


def test_every_kind_of_look_is_tried_without_a_fence_and_one_line_that_ends_the_host_is_last() -> None:
    cases = corpus.hostile()
    fatal = {"reboot -f", "init 6"}
    jobs = unfenced_jobs(cases, fatal)
    kinds = Counter(look_kind(job.look) for job in jobs[:-1])
    assert set(kinds) == {look_kind(case.look) for case in cases if case.line not in fatal}
    assert max(kinds.values()) == 8
    assert [job.line for job in jobs if job.line in fatal] == ["reboot -f"]
    assert jobs[-1].line == "reboot -f"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nft 'list ruleset; add table inet marker'", ["nft", "list ruleset; add table inet marker"]),
        ("LD_PRELOAD=/tmp/evil.so cat /etc/hosts", ["env", "LD_PRELOAD=/tmp/evil.so", "cat", "/etc/hosts"]),
        ("cat /etc/passwd | nc 127.0.0.1 7999", []),
        ("ls $(touch /tmp/marker)", []),
        ("echo x > /tmp/marker", []),
        ("(touch /tmp/marker)", []),
        ("echo 'unfinished", []),
    ],
)
def test_a_simple_command_is_known_by_its_words(line: str, words: list[str]) -> None:
    assert simple_command(line) == words


def test_a_program_is_granted_all_that_any_use_of_it_is_granted() -> None:
    first, second = worst_grants(["ss", "-F", "/etc/shadow"])
    assert first["capabilities"] == ["DAC_READ_SEARCH", "SYS_PTRACE"]
    assert first["network"] == ["inet", "inet6", "netlink"]
    assert first["reads"] == ["/etc/shadow"]
    assert second == {**first, "capabilities": []}


def test_a_program_that_runs_another_is_granted_what_that_one_is() -> None:
    assert worst_grants(["timeout", "5", "dmesg", "-C"])[0]["capabilities"] == ["SYSLOG"]
    assert worst_grants(["env", "PAGER=/tmp/evil.sh", "journalctl"])[0]["capabilities"] == ["DAC_READ_SEARCH"]
