# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands in the sandbox: they show what root sees, they end with who started them, and nothing runs without it.

What does not get out of it is tried in tests/safety/escape.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands import sandbox_host
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.fence import NoFence, choose
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.launch import Unsandboxed
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.runner import Limits, run_commands
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.sandbox import Sandbox
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.sandbox_mounts import find_masks

COMMANDS_ROOM = Path(sandbox_host.__file__).parent


@pytest.fixture(scope="module")
def fence() -> Iterator[Sandbox]:
    made = Sandbox.for_host()
    yield made
    made.close()


@pytest.fixture
def log() -> Iterator[Path]:
    """A log in a directory that only root may enter."""
    with tempfile.TemporaryDirectory(prefix="sandboxed-", dir="/var/log") as directory:
        os.chmod(directory, 0o700)
        path = Path(directory, "app.log")
        path.write_text("an error\nno fault\n")
        path.chmod(0o600)
        yield path


@pytest.fixture
def readable() -> Iterator[Path]:
    """The code that fences commands in, where any account may read it."""
    place = COMMANDS_ROOM.relative_to(COMMANDS_ROOM.parents[5])
    with tempfile.TemporaryDirectory(prefix="sandboxed-") as directory:
        os.chmod(directory, 0o755)
        shutil.copytree(COMMANDS_ROOM, Path(directory, place), ignore=shutil.ignore_patterns("__pycache__"))
        for parent in list(place.parents)[:-1]:
            Path(directory, parent, "__init__.py").touch()
        yield Path(directory)


@pytest.fixture
def listener() -> Iterator[int]:
    """A process of root's with a port, a file and a word of its own on its command line."""
    code = "import socket; s=socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); print('up', flush=True); input()"
    process = subprocess.Popen(
        ["/usr/bin/python3", "-c", code, "wordofitsown"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/"
    )
    assert process.stdout
    assert process.stdout.readline()
    yield process.pid
    process.kill()
    process.communicate()


def run(fence: Any, line: str, seconds: float = 20.0) -> dict[str, Any]:
    limits = Limits(seconds, 200000)
    return run_commands([{"command": line}], policy=Policy.default(), limits=limits, fence=fence)[0]


SAME = [
    "ss -tlnpH",
    "ss -s | head -n 1",
    "lsof -nP -p {pid}",
    "lsof -nP -iTCP -sTCP:LISTEN -a -p {pid}",
    "ls /proc/{pid}/fd",
    "ls -l /proc/{pid}/fd/0 /proc/{pid}/fd/3",
    "readlink /proc/{pid}/exe",
    "cat /proc/{pid}/limits",
    "cat /proc/{pid}/maps",
    "cat /proc/{pid}/io",
    "cat /proc/{pid}/fdinfo/3",
    "cat /proc/sys/kernel/pid_max",
    "sysctl kernel.pid_max",
    "ps -o pid,user,args -p {pid}",
    "pgrep -f wordofitsown",
    "dmesg | head -n 20",
    "mount",
    "findmnt -n -o SOURCE,FSTYPE,OPTIONS /",
    "df -PT / | tail -n 1 | cut -c 1-20",
    "lsblk -n -o NAME,MOUNTPOINT",
    "cat /proc/mounts",
    "cat {log}",
    "grep -n error {log}",
    "grep -r error {directory}",
    "wc -l < {log}",
    "tail -n 1 {log}",
    "cat /proc/slabinfo | wc -l",
    "sysctl kernel.ostype net.core.somaxconn",
    "ip -br address",
    "ipcs -m | head -n 3",
    "getent passwd root",
    "stat -c %U:%a /etc/shadow",
    "free -b | head -n 1",
    "uptime | cut -c 1-3",
    "cat /proc/net/sockstat | head -n 1 | cut -c 1-8",
    "taskset -cp {pid}",
    "chrt -p {pid}",
    "ionice -p {pid}",
    "timeout -s INT 5 lsof -nP -p {pid}",
    "nice -n 5 stdbuf -oL ps -o pid,user,args -p {pid}",
    "timeout 5 stat -c %n:%a:%i /tmp",
]


@pytest.mark.parametrize("line", SAME)
def test_a_command_shows_what_root_would_see(line: str, fence: Sandbox, log: Path, listener: int) -> None:
    line = line.format(pid=listener, log=log, directory=log.parent)
    within, without = run(fence, line), run(Unsandboxed(), line)
    # How wide the columns are depends on the largest process id that there may be.
    assert within["output"].split() == without["output"].split()
    assert within["exit_code"] == without["exit_code"]
    assert within["output"], "both say nothing"


def test_behind_another_program_the_mounts_are_said_to_be_the_sandbox_s_own(fence: Sandbox) -> None:
    shown = run(fence, "timeout 5 findmnt -n -o OPTIONS /")
    assert "the sandbox's own mounts" in json.dumps(shown)


def test_a_command_is_not_root_and_has_no_capability(fence: Sandbox) -> None:
    status = run(fence, "cat /proc/self/status")["output"]
    assert f"Uid:\t{sandbox_host.FIRST}"[:8] in status
    assert "CapEff:\t0000000000000000" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status


def test_a_command_that_crashes_leaves_no_core_not_even_to_a_program_that_keeps_them(fence: Sandbox) -> None:
    # At a limit of one byte the kernel starts no such program; at none it does.
    limits = run(fence, "cat /proc/self/limits")["output"]
    assert next(line for line in limits.splitlines() if "core file" in line).split()[4:6] == ["1", "1"]


def test_the_result_says_which_capability_a_program_had(fence: Sandbox) -> None:
    assert run(fence, "dmesg | head -n 1")["granted"] == {"dmesg": ["SYSLOG"]}
    assert "granted" not in run(fence, "uptime")


def test_a_program_does_not_find_the_sandbox_by_its_own_words(fence: Sandbox) -> None:
    assert run(fence, "pgrep -f nobodyhasthisword")["output"] == ""
    assert "nobodyhasthisword" not in run(fence, "ps -eo args | grep -v grep")["output"]


def test_what_a_site_names_is_masked(log: Path) -> None:
    log.parent.chmod(0o755)
    log.chmod(0o644)
    named = Sandbox.for_host((str(log.parent / "*.log"),))
    assert run(named, f"cat {log}")["output"] == f"cat: {log}: Permission denied\n"
    assert run(Sandbox.for_host(), f"cat {log}")["output"] == log.read_text()


def test_masks_lie_on_what_the_account_could_read_and_on_all_that_a_capability_could() -> None:
    masks = find_masks(("/etc/hostname",))
    assert "/etc/hostname" in masks.options(capable=False)
    assert "/etc/shadow" not in masks.options(capable=False), "its mode is to be seen, and its content cannot be"
    assert "/etc/shadow" in masks.options(capable=True)


def test_nothing_is_run_without_a_sandbox_unless_the_operator_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found = sandbox_host.find
    monkeypatch.setattr(sandbox_host, "find", lambda name: None if name == "bwrap" else found(name))
    fence = choose((), unsandboxed=False)
    assert isinstance(fence, NoFence)
    result = run(fence, "id -u")
    assert result["refused"]
    assert result["exit_code"] is None
    assert "bwrap (bubblewrap) is not installed" in result["reason"]
    assert "unsandboxed_commands: true" in result["reason"]
    allowed = choose((), unsandboxed=True)
    assert run(allowed, "id -u")["output"] == "0\n"
    assert allowed.describe()["name"] == "none"
    assert "as root" in allowed.describe()["commands"]


def test_a_sandbox_that_works_is_used_whatever_the_operator_says() -> None:
    fence = choose((), unsandboxed=True)
    assert fence.describe()["name"] == "bubblewrap"
    fence.close()


TRY = (
    "from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.fence import survey;"
    "import json; print(json.dumps(survey()))"
)


@pytest.mark.parametrize(
    "apart",
    [
        ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"],
        ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all"],
    ],
    ids=["as in a container", "as another account"],
)
def test_where_it_does_not_work_a_sentence_says_so(apart: list[str], readable: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(readable), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [*apart, "/usr/bin/python3", "-c", TRY], capture_output=True, text=True, check=False, env=environment, cwd="/"
    )
    assert ran.returncode == 0, ran.stderr
    if '"bubblewrap"' in ran.stdout:
        # A user namespace serves where there are any.
        assert '"user_namespace": true' in ran.stdout
    else:
        assert "No command was run, as this host has no working sandbox" in ran.stdout


def test_all_of_it_ends_when_its_starter_is_killed() -> None:
    code = (
        "from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy;"
        "from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.runner import *;"
        "run_commands([{'command': 'sleep 9.87'}], policy=Policy.default(), limits=Limits(30, 1000))"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    try:
        wait_for(lambda: sleeping() != [])
        assert sleeping() != [], "it never began"
        starter.send_signal(signal.SIGKILL)
        wait_for(lambda: sleeping() == [], 3.0)
        assert sleeping() == []
    finally:
        starter.kill()
        starter.wait()


def sleeping() -> list[str]:
    ran = subprocess.run(["pgrep", "-f", "^sleep 9.87"], capture_output=True, text=True, check=False)
    return ran.stdout.split()


def wait_for(condition: Any, seconds: float = 15.0) -> None:
    """Returns when it holds, or when its time is over."""
    give_up = time.monotonic() + seconds
    while not condition() and time.monotonic() < give_up:
        time.sleep(0.05)


def test_a_sandbox_costs_tens_of_milliseconds(fence: Sandbox) -> None:
    def took(given: Any) -> float:
        began = time.monotonic()
        run(given, "true")
        return time.monotonic() - began

    costs = sorted(took(fence) - took(Unsandboxed()) for _time in range(15))
    print(f"a sandbox costs {costs[7] * 1000:.1f} ms at the median, {costs[0] * 1000:.1f} to {costs[-1] * 1000:.1f}")
    assert costs[7] < 0.2


def test_local_sockets_are_open_to_no_program_without_a_rule(fence: Sandbox) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(1)
        port = server.getsockname()[1]
        assert run(fence, f"ss -tln sport = :{port}")["output"].count(str(port)) == 1
        with pytest.raises(TimeoutError):
            server.accept()
