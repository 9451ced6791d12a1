# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The account that traces, by its role; and a teardown that leaves what was there before, and what is not ours.

In a mount namespace, over copies of what it changes: this machine's own set-up stays as it is.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from playbooks import Ansible, Run

FOLDERS = ("opt", "etc", "var/cache", "var/lib/nannyapi", "var/log", "run")
SWITCHES: dict[str, Any] = {"name": "switches", "target": "sched/sched_switch", "duration": 1}


class Copy:
    """This machine with folders of its own, kept from one run to the next by a process in their namespace."""

    def __init__(self, ansible: Ansible, folder: Path) -> None:
        self._ansible = ansible
        script = "mount --make-rprivate /\n"
        for name in FOLDERS:
            kept = folder / name.replace("/", "-")
            script += f"mkdir -p {kept} /{name}\n"
            if name == "etc":
                script += f"cp -a /etc/. {kept}/ && rm -rf {kept}/nannyapi\n"
            script += f"mount --bind {kept} /{name}\n"
        script += "userdel nannyapi 2>/dev/null; groupdel nannyapi 2>/dev/null; echo ready; read line"
        self._process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    @property
    def _within(self) -> tuple[str, ...]:
        return ("nsenter", "--mount", f"--target={self._process.pid}", "--")

    def sh(self, command: str) -> str:
        return subprocess.run(
            [*self._within, "sh", "-c", command], capture_output=True, text=True, check=True, timeout=60
        ).stdout

    def listing(self) -> str:
        """Every file with its content's digest, but for logs of the system's own and temporary files."""
        return self.sh(
            "find /opt /etc /var/cache /var/lib/nannyapi /run -type f -exec sha256sum {} + | sort -k 2;"
            " find /opt /etc /var/cache /var/lib/nannyapi -type d -o -type l | sort"
        )

    def playbook(self, name: str, variables: dict[str, Any] | None = None, check: bool = False) -> Run:
        if not check:
            return self._ansible.playbook(name, variables=variables, wrapper=self._within)
        command = [*self._within, *self._ansible.command(name, self._ansible.local, variables or {}), "--check"]
        done = subprocess.run(
            command, env=self._ansible.environment(), capture_output=True, text=True, check=False, timeout=300
        )
        return Run(done.returncode, done.stdout + done.stderr)

    def role(self, variables: dict[str, Any] | None = None) -> Run:
        tasks = [{"ansible.builtin.include_role": {"name": "nannyapi.diagnostics.privileges"}}]
        return self._ansible.tasks(tasks, variables, wrapper=self._within)

    def module(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return self._ansible.module(name, arguments, wrapper=self._within)

    def close(self) -> None:
        self._process.communicate("\n", timeout=30)


@pytest.fixture(name="copy")
def made_copy(ansible: Ansible, tmp_path: Path) -> Iterator[Copy]:
    copy = Copy(ansible, tmp_path)
    yield copy
    copy.close()


def test_the_account_that_the_role_makes_traces(copy: Copy) -> None:
    assert copy.role().status == 0
    traced = copy.module("ebpf_trace", {"programs": [SWITCHES]})
    assert traced["privileges"]["account"] == "nannyapi"
    assert traced["privileges"]["mode"] == "least"
    assert copy.module("ebpf_info", {})["privileges"]["account"] == "nannyapi"


def test_the_account_and_all_else_is_gone_after_the_teardown(copy: Copy) -> None:
    before = copy.listing()
    assert "changed=0" not in copy.role({"nannyapi_privileges_tracing": "least"}).output
    assert "changed=0" in copy.role({"nannyapi_privileges_tracing": "least"}).output
    account = copy.sh("getent passwd nannyapi").strip().split(":")
    assert account[5:] == ["/nonexistent", "/usr/sbin/nologin"]
    assert copy.sh("getent shadow nannyapi").split(":")[1].startswith(("!", "*"))
    copy.sh("mkdir -p /var/cache/nannyapi/diagnostics /opt/nannyapi/diagnostics/venv-1/bin")
    copy.sh("touch /var/cache/nannyapi/diagnostics/a.json /opt/nannyapi/diagnostics/venv-1/.made-by-nannyapi")
    copy.sh("ln -s venv-1 /opt/nannyapi/diagnostics/venv; echo x >/opt/nannyapi/diagnostics/setup.state")
    copy.sh("mkdir -p /var/lib/nannyapi/diagnostics; touch /var/lib/nannyapi/diagnostics/r.json")
    copy.sh("mkdir /run/nannyapi-diagnostics; touch /run/nannyapi-diagnostics/d.between_rounds")
    copy.sh("touch /var/lib/nannyapi/diagnostics/d.between_rounds")
    kept = copy.listing()
    looked = copy.playbook("nannyapi.diagnostics.teardown", check=True)
    assert looked.status == 0, looked.output
    assert "changed=0" not in looked.output
    assert copy.listing() == kept
    torn = copy.playbook("nannyapi.diagnostics.teardown")
    assert torn.status == 0
    assert "nannyapi_teardown_records" in torn.output
    assert copy.sh("ls /var/lib/nannyapi/diagnostics") == "r.json\n"
    assert "changed=0" in copy.playbook("nannyapi.diagnostics.teardown").output
    assert copy.playbook("nannyapi.diagnostics.teardown", {"nannyapi_teardown_records": True}).status == 0
    copy.sh("mkdir -p /var/lib/nannyapi")
    assert without_accounts(copy.listing()) == without_accounts(before)
    assert copy.sh("getent passwd nannyapi || getent group nannyapi || echo none") == "none\n"


def without_accounts(listing: str) -> list[str]:
    """Without the account files, in which useradd leaves traces of its own (subordinate ids, backups)."""
    files = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid")
    return [line for line in listing.splitlines() if not line.split()[-1].rstrip("-").endswith(files)]


def test_what_is_not_ours_stays(copy: Copy) -> None:
    copy.sh("mkdir -p /opt/nannyapi/diagnostics/venv-mine /etc/nannyapi; echo mine >/etc/nannyapi/mine")
    copy.sh("useradd --system nannyapi")
    refused = copy.role()
    assert refused.status != 0
    assert "an account nannyapi that the role did not make" in refused.output
    torn = copy.playbook("nannyapi.diagnostics.teardown")
    assert torn.status == 0
    assert "the account nannyapi, which the role privileges did not make" in torn.output
    assert copy.sh("cat /etc/nannyapi/mine; ls -d /opt/nannyapi/diagnostics/venv-mine") == (
        "mine\n/opt/nannyapi/diagnostics/venv-mine\n"
    )


def test_a_teardown_waits_for_nobody_and_breaks_nothing(copy: Copy) -> None:
    copy.sh("echo x >/etc/nannyapi.kept; mkdir -p /etc/nannyapi; echo '{}' >/etc/nannyapi/diagnostics.json")
    holder = subprocess.Popen([*copy._within, "flock", "/run/nannyapi-diagnostics.lock", "sleep", "60"])
    try:
        copy.sh("while flock --nonblock /run/nannyapi-diagnostics.lock true; do sleep 0.1; done")
        torn = copy.playbook("nannyapi.diagnostics.teardown")
    finally:
        holder.kill()
        holder.wait()
    assert torn.status != 0
    assert "A diagnosis is under way on this host" in torn.output
    assert json.loads(copy.sh("cat /etc/nannyapi/diagnostics.json")) == {}


def test_a_teardown_comes_not_between_two_rounds(copy: Copy) -> None:
    copy.sh("mkdir -p /etc/nannyapi; echo '{}' >/etc/nannyapi/diagnostics.json")
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    leased = json.dumps({"diagnosis": "d", "lease_until": now + 600.5, "since": 0, "issue": "x"})
    copy.sh(f"echo '{leased}' >/run/nannyapi-diagnostics.lock")
    torn = copy.playbook("nannyapi.diagnostics.teardown")
    assert torn.status != 0
    assert "between two rounds" in torn.output
    assert json.loads(copy.sh("cat /etc/nannyapi/diagnostics.json")) == {}
    # One that has ended, and one that is longer than any is believed to be.
    for until in (now - 1, now + 100000):
        copy.sh("mkdir -p /etc/nannyapi; echo '{}' >/etc/nannyapi/diagnostics.json")
        leased = json.dumps({"diagnosis": "d", "lease_until": until, "since": 0, "issue": "x"})
        copy.sh(f"echo '{leased}' >/run/nannyapi-diagnostics.lock")
        assert copy.playbook("nannyapi.diagnostics.teardown").status == 0
        assert copy.sh("ls /etc/nannyapi /run/nannyapi-diagnostics.lock 2>&1 || true").count("No such file") == 2
