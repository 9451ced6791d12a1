# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible with the collection as a user has it: built, and installed from the tarball."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from conftest import REPOSITORY

LOCAL = "localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Run:
    """How a run ended, and what it printed."""

    status: int
    output: str


class Ansible:
    """ansible and ansible-playbook of this Python's environment."""

    def __init__(self, folder: Path) -> None:
        self.collections = folder / "collections"
        self.local = folder / "local.ini"
        self.local.write_text(LOCAL)
        self._folder = folder
        tarball = subprocess.run(
            [str(REPOSITORY / "scripts" / "build")],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ, ANSIBLE_GALAXY=self._tool("ansible-galaxy")),
        ).stdout.split()[-1]
        subprocess.run(
            [
                self._tool("ansible-galaxy"),
                "collection",
                "install",
                "--force",
                "--offline",
                "-p",
                str(self.collections),
                tarball,
            ],
            check=True,
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
        )

    @staticmethod
    def _tool(name: str) -> str:
        return str(Path(sys.executable).parent / name)

    def environment(self, more: Optional[dict[str, str]] = None) -> dict[str, str]:
        """The environment of a run: only this collection, no model but what a test names."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("NANNYAPI_", "ANSIBLE_"))}
        return {**kept, "ANSIBLE_COLLECTIONS_PATH": str(self.collections), "LC_ALL": "C.UTF-8", **(more or {})}

    def command(self, playbook: str, inventory: Path, variables: dict[str, Any]) -> list[str]:
        """The command line of a playbook."""
        extra = json.dumps(variables)
        return [self._tool("ansible-playbook"), "-i", str(inventory), "-e", extra, playbook]

    def playbook(
        self,
        playbook: str,
        inventory: Optional[Path] = None,
        variables: Optional[dict[str, Any]] = None,
        environment: Optional[dict[str, str]] = None,
        wrapper: tuple[str, ...] = (),
    ) -> Run:
        """Runs a playbook by its name or its path. `wrapper`: a command to run it under."""
        return self._run(
            [*wrapper, *self.command(playbook, inventory or self.local, variables or {})], self.environment(environment)
        )

    def tasks(self, tasks: list[dict[str, Any]], variables: Optional[dict[str, Any]] = None, **more: Any) -> Run:
        """Runs tasks on this machine."""
        path = self._folder / "play.yml"
        path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        return self.playbook(str(path), variables=variables, **more)

    def module(
        self,
        name: str,
        arguments: dict[str, Any],
        options: tuple[str, ...] = (),
        environment: Optional[dict[str, str]] = None,
        wrapper: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """The result of a module on this machine."""
        line = [self._tool("ansible"), "-i", str(self.local), "all", "-m", f"nannyapi.diagnostics.{name}"]
        arguments_given = ["-a", json.dumps(arguments)] if arguments else []
        run = self._run([*wrapper, *line, *arguments_given, *options], self.environment(environment))
        found: dict[str, Any] = json.JSONDecoder().raw_decode(run.output.partition(" => ")[2])[0]
        return {"failed": run.status != 0, **found}

    def _run(self, command: list[str], environment: dict[str, str]) -> Run:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            timeout=300,
            check=False,
            cwd=self._folder,
        )
        print(done.stdout)  # pytest shows it where a test fails
        return Run(done.returncode, _COLOURS.sub("", done.stdout))
