# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress is followed where looking costs hardly anything, and only there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils import follower
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.multiplexing import multiplexed

DEFAULT = "-C -o ControlMaster=auto -o ControlPersist=60s"


class Shell:
    """A connection whose commands run on this machine, with the state that a connection keeps of the last of them."""

    def __init__(self, transport: str = "ssh", typed: Optional[str] = None, **options: Any) -> None:
        self.transport = transport
        self.last = ""
        self._options = {"ssh_args": DEFAULT, "ssh_common_args": "", "ssh_extra_args": "", "password": None, **options}
        self._play_context = SimpleNamespace(password=typed)

    def get_option(self, name: str) -> Any:
        return self._options[name]

    def exec_command(self, command: str, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        self.last = command
        done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("arguments", "shared"),
    [
        (DEFAULT.split(), True),
        (["-oControlMaster=auto", "-oControlPersist=yes"], True),
        (["-o", "controlmaster auto", "-o", "ControlPersist 0"], True),
        ([], False),
        (["-o", "ControlPersist=60s"], False),
        (["-o", "ControlMaster=auto"], False),
        (["-o", "ControlMaster=no", *DEFAULT.split()], False),
        ([*DEFAULT.split(), "-o", "ControlMaster=no"], True),  # the first of two holds
        (["-o", "ControlMaster=auto", "-o", "ControlPersist=no"], False),
        ([*DEFAULT.split(), "-o", "ControlPath=none"], False),
        ([*DEFAULT.split(), "-S", "none"], False),
        (["-o"], False),
    ],
)
def test_multiplexing_is_read_from_the_arguments_of_ssh(arguments: list[str], shared: bool) -> None:
    assert multiplexed(arguments) is shared


@pytest.mark.parametrize(
    ("connection", "followed"),
    [
        (Shell(), True),
        (Shell("local", ssh_args=""), True),
        (Shell(ssh_args="-C"), False),
        (Shell(ssh_args="-C", ssh_common_args=DEFAULT), True),
        (Shell(ssh_args="'"), False),
        (Shell(ssh_args=None), False),
        (Shell(typed="secret"), False),
        (Shell(password="secret"), False),
        (Shell("winrm"), False),
    ],
)
def test_a_host_is_followed_only_where_looking_costs_no_login(
    connection: Shell, followed: bool, tmp_path: Path
) -> None:
    path = follower.Follower(connection, lambda event: None, 1).place(str(tmp_path))
    assert (path is not None) is followed
    assert connection.last == ""  # the task's own connection keeps the state of the task's own command


def test_more_hosts_at_once_are_each_looked_at_less_often() -> None:
    assert follower.interval(5) == 1.5
    assert follower.interval(200) == 20


def test_what_is_appended_is_shown_also_when_it_is_more_than_is_read_at_once(tmp_path: Path) -> None:
    shown: list[dict[str, Any]] = []
    following = follower.Follower(Shell(), shown.append, 0.05)
    path = following.place(str(tmp_path))
    assert path
    events = [{"stage": "x", "text": f"{number} {'y' * 1000}"} for number in range(100)]
    with following.following(path), Path(path).open("w") as file:
        for event in events:
            file.write(json.dumps(event) + "\n")
            file.flush()
        file.write("not JSON\n[1]\n" + json.dumps({"stage": "z"}))
    for _look in range(3):
        following._show_new(path)
    assert shown == events
