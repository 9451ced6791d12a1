# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines to test on, one at a time, with the collection as a user has it. A conftest takes what is in here."""

from __future__ import annotations

import copy
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libraries
import pytest
from hosts import inventory
from images import KERNELS
from machines import Reached, boot

from playbooks import Ansible


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kernel", action="append", choices=KERNELS, help="test on this kernel only; may be repeated")
    parser.addoption("--machine", type=Path, help="test on the machine that keep.py keeps, and says so in this folder")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "machine" in metafunc.fixturenames:
        kept = metafunc.config.getoption("machine")
        kernels = [Reached.kept(kept).kernel] if kept else metafunc.config.getoption("kernel") or KERNELS
        # A module may say that it is about some kernels only.
        kernels = [kernel for kernel in kernels if kernel in getattr(metafunc.module, "ONLY_KERNELS", KERNELS)]
        metafunc.parametrize("machine", kernels, indirect=True, scope="session", ids=lambda kernel: f"linux-{kernel}")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Ansible:
    """Ansible with the collection installed from its tarball."""
    return Ansible(tmp_path_factory.mktemp("ansible"))


@pytest.fixture(scope="session")
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reached]:
    """A machine with the kernel, on which nothing of ours has been yet, unless it is one that is kept."""
    kept = request.config.getoption("machine")
    if kept:
        yield Reached.kept(kept)
        return
    with boot(request.param, tmp_path_factory.mktemp("machine")) as booted:
        print(f"{booted.release} answered by ssh after {booted.boot_seconds:.0f} s")
        booted.put(libraries.provide(), libraries.PLACE)
        yield booted


@pytest.fixture(scope="session")
def ansible(machine: Reached, built: Ansible, tmp_path_factory: pytest.TempPathFactory) -> Ansible:
    """Ansible for this machine: `local`, where tasks run by default, is an inventory of it alone, reached by ssh."""
    folder = tmp_path_factory.mktemp("inventory")
    (folder / "user").symlink_to(machine.key)
    aimed = copy.copy(built)
    aimed.local = inventory(folder, {"machine": f"127.0.0.1 ansible_port={machine.port}"})
    return aimed


@pytest.fixture(scope="session")
def set_up(ansible: Ansible) -> list[str]:
    """What the setup playbook printed, the first time and the second."""
    printed = []
    for _time in range(2):
        with Playbook(ansible, "nannyapi.diagnostics.setup", libraries.ROLE_VARIABLES) as play:
            printed.append(play.finish())
            assert play.status == 0, printed[-1]
    return printed


@pytest.fixture(scope="session")
def able(ansible: Ansible, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The machine can trace. Less than `set_up`, and much quicker: without what only a diagnosis needs."""
    path = tmp_path_factory.mktemp("able") / "play.yml"
    tasks = [{"ansible.builtin.include_role": {"name": "nannyapi.diagnostics.kernel_headers"}}]
    path.write_text(json.dumps([{"hosts": "all", "become": True, "gather_facts": False, "tasks": tasks}]))
    with Playbook(ansible, str(path), {}) as play:
        printed = play.finish()
        assert play.status == 0, printed


class Playbook:
    """A playbook that runs, so that a test can act while it does. It is ended after 20 minutes."""

    _SECONDS = 1200

    def __init__(self, ansible: Ansible, playbook: str, variables: dict[str, Any]) -> None:
        self._seen = ""
        self._process = subprocess.Popen(
            ansible.command(playbook, ansible.local, variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=ansible.environment({"PYTHONUNBUFFERED": "1"}),
        )
        self._too_long = threading.Timer(self._SECONDS, self._process.kill)
        self._too_long.start()

    @property
    def status(self) -> int:
        return self._process.wait()

    def await_text(self, text: str) -> None:
        """Returns when a line with the text was printed."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._seen += line
            if text in line:
                return
        raise AssertionError(f"the playbook ended without saying {text!r}:\n{self._seen}")

    def finish(self) -> str:
        """All that was printed."""
        self._seen += self._process.communicate()[0]
        print(self._seen)
        return self._seen

    def __enter__(self) -> Playbook:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._too_long.cancel()
        self._process.kill()
        self._process.wait()
