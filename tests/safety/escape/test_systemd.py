# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd's programs print in the sandbox, beside what they print to root, with a real systemd."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from systemd_host import systemd

CHECKOUT = Path(__file__).parents[3]
LINES = [
    "systemctl status example",
    "systemctl status 1",
    "systemctl list-units --type=service",
    "systemctl --failed",
    "systemctl list-sockets",
    "systemctl list-dependencies example.target",
    "systemctl show example -p MainPID,ActiveState",
    "systemctl cat example",
    "systemctl is-active example",
    "systemctl is-enabled dbus.socket",
    "systemctl get-default",
    "systemd-analyze critical-chain",
    "journalctl -u example -n 5",
    "journalctl --list-boots",
    "df -h /tmp",
    "ls -la /tmp",
    "cat /tmp/open.log /tmp/closed.log",
    "cat /sys/fs/cgroup/system.slice/example.service/cgroup.procs",
]
# What acts is refused by the policy; here it meets the filter of the bus by itself.
ACTS = ["systemctl stop example", "systemctl kill example", "systemctl set-property example CPUQuota=1%"]
_RUN = """
import json, subprocess, sys
sys.path[:0] = ["/run/checkout/.cache/src", *json.loads(sys.argv[2])]
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.execute import Limits, LineExecutor
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.grants import Grants
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.sandbox import Sandbox
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.verdict import JudgedCommand, JudgedPipeline
policy, fence = Policy.default(), Sandbox.for_host()
methods = next(policy.judge("systemctl status example").commands()).grants.dbus
found = {}
for line, acts in json.loads(sys.argv[1]):
    pipelines = policy.judge(line).pipelines
    if acts:
        assert not pipelines, "the policy accepts it"
        pipelines = [JudgedPipeline(";", [JudgedCommand(line.split(), [], Grants(dbus=methods))])]
    outcome = LineExecutor(Limits(30, 200000), lambda: False, fence, policy.paths.may_read).run(pipelines)
    found[line] = outcome.output
fence.close()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def beside() -> Iterator[list[str]]:
    with systemd(CHECKOUT, Path(sys.prefix)) as enter:
        prepared = "umask 0; echo open > /tmp/open.log; echo closed > /tmp/closed.log; chmod 600 /tmp/closed.log"
        subprocess.run([*enter, "sh", "-c", prepared], check=True)
        yield enter


def in_the_sandbox(enter: list[str], lines: list[str], acts: bool) -> dict[str, str]:
    libraries = [path.replace(sys.prefix, "/run/python", 1) for path in sys.path if path.startswith(sys.prefix)]
    words = ["/usr/bin/python3", "-c", _RUN, json.dumps([[line, acts] for line in lines]), json.dumps(libraries)]
    ran = subprocess.run([*enter, *words], capture_output=True, text=True, check=False, cwd="/")
    assert ran.returncode == 0, ran.stderr[-2000:]
    found: dict[str, str] = json.loads(ran.stdout)
    return found


def plain(text: str) -> list[str]:
    """Lines without times, which go on in between."""
    return [re.sub(r"\d+(\.\d+)?(ms|s|min)?", "#", line.rstrip()) for line in text.splitlines()]


def test_the_output_is_root_s(beside: list[str]) -> None:
    shown = in_the_sandbox(beside, LINES, acts=False)
    for line in LINES:
        shell = f"export LC_ALL=C.UTF-8 COLUMNS=200 PAGER=cat SYSTEMD_PAGER=cat SYSTEMD_COLORS=0; {line}"
        of_root = subprocess.run(
            [*beside, "sh", "-c", shell], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert plain(shown[line]) == plain(of_root.stdout), line
    assert "a line of the log" in shown["systemctl status example"]


def test_the_bus_passes_nothing_that_acts(beside: list[str]) -> None:
    before = subprocess.run([*beside, "systemctl", "show", "example", "-p", "MainPID"], capture_output=True, check=True)
    said = in_the_sandbox(beside, ACTS, acts=True)
    after = subprocess.run([*beside, "systemctl", "show", "example", "-p", "MainPID"], capture_output=True, check=True)
    assert before.stdout == after.stdout
    assert before.stdout.strip() != b"MainPID=0"
    for line in ACTS:
        assert re.search("denied|Access|Permission|not provided|UnknownObject|authoriz", said[line], re.IGNORECASE), (
            said[line]
        )


def test_what_all_services_are_given_is_masked(beside: list[str]) -> None:
    subprocess.run([*beside, "systemctl", "set-environment", "TOKEN=planted"], check=True)
    line = "systemctl show-environment"
    assert "TOKEN=xxxxxxx" in in_the_sandbox(beside, [line], acts=True)[line].splitlines()
    line = "systemctl show"
    shown = in_the_sandbox(beside, [line], acts=False)[line]
    of_root = subprocess.run([*beside, *line.split()], capture_output=True, text=True, check=True).stdout
    assert "TOKEN=planted" in of_root
    assert "TOKEN=xxxxxxx" in shown
    assert "planted" not in shown
    assert [row.partition("=")[0] for row in shown.splitlines()] == [
        row.partition("=")[0] for row in of_root.splitlines()
    ]
