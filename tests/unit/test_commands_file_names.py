# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What file name patterns stand for, and that looking them up has an end."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands import file_names
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.errors import Refused
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.file_names import FileNames
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy


@pytest.mark.parametrize(
    "pattern",
    ["*", ".*", "a*", "[ab]*", "[!a]*", "*/x", "*/*", "d?/", "*/", "**", "[[]*", "nothing*", "*/.h*", "d1//*"],
)
def test_patterns_stand_for_what_a_shell_makes_of_them(tmp_path: Path, pattern: str) -> None:
    for name in ("a1", "b1", "[c", ".hidden"):
        (tmp_path / name).touch()
    for name in ("d1", "d2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").touch()
        (tmp_path / name / ".h").touch()
    (tmp_path / "link").symlink_to(tmp_path / "d1")
    # `.` and `..` are in a shell's answer to `.*`, and in no other's.
    shell = subprocess.run(
        ["sh", "-c", f"LC_ALL=C printf '%s\\n' {tmp_path}/{pattern}"], capture_output=True, text=True, check=True
    )
    expected = [name for name in shell.stdout.splitlines() if not name.endswith(("/.", "/.."))]
    found = FileNames().matching(f"{tmp_path}/{pattern}", pattern)
    assert [name.replace("//", "/") for name in found] == (
        [] if "nothing" in pattern else [name.replace("//", "/") for name in expected]
    )


def test_patterns_are_looked_up_where_commands_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "etcetera").touch()
    verdict = Policy.default().judge("cat etc/host[s]")
    assert [command.arguments for command in verdict.commands()] == [["cat", "etc/hosts"]]


def test_a_line_s_patterns_have_an_end_however_they_are_written() -> None:
    policy = Policy.default()
    for line in (
        "ls /*/*/*/*/*/*/*/nothing*",
        "cat /proc/*/root/proc/*/root/proc/*/root/proc/*/root/*/nothing*",
        "for a in 1 2 3 4 5 6 7 8 9 10; do for b in 1 2 3 4 5 6 7 8 9 10; do ls /proc/*/* /sys/*/*/*; done; done",
    ):
        started = time.monotonic()
        verdict = policy.judge(line)
        assert time.monotonic() - started < 4 * file_names.MOST_SECONDS
        assert not verdict.allowed
        assert verdict.reason.startswith("`/")


def test_names_of_all_patterns_of_a_line_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_names, "MOST_NAMES_OF_A_LINE", 10)
    names = FileNames()
    assert len(names.matching("/dev/nul[l]", "x")) == 1
    names.names = 10
    with pytest.raises(Refused, match="more than 10 files"):
        names.matching("/dev/nul[l]", "x")


def test_names_of_files_are_not_sent_over_the_network() -> None:
    verdict = Policy.default().judge("dig +short @192.0.2.9 et[c]")
    assert not verdict.allowed
    assert "sent over the network" in verdict.reason
