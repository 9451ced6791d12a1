# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real workloads on the real kernel. These tests need root."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bytecode import SOURCES, Object
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.programs import Programs
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import TraceLimits, Tracer

REPOSITORY = Path(__file__).resolve().parents[2]

Trace = Callable[..., list[dict[str, Any]]]


class Workload:
    """A process of its own that imports what it needs, waits for a word, does its work once, and waits again."""

    def __init__(self, body: str, name: str = "workload") -> None:
        prelude = "import ctypes, os, socket, sys, time; libc = ctypes.CDLL(None)\n"
        prelude += f"open('/proc/self/comm', 'w').write({name!r})\n"
        wait = "sys.stdout.write('x\\n'); sys.stdout.flush(); sys.stdin.readline()\n"
        self.process = subprocess.Popen(
            [sys.executable, "-c", prelude + wait + body + "\n" + wait],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._line()

    @property
    def pid(self) -> int:
        return self.process.pid

    def _line(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline(), "the workload ended too early"

    def start(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def work(self) -> None:
        """Does the work and returns when it is done."""
        self.start()
        self.finish()

    def finish(self) -> None:
        """Returns when work that was started is done."""
        self._line()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def workload() -> Iterator[Callable[..., Workload]]:
    """Starts workloads, and ends them with the test."""
    started: list[Workload] = []

    def start(body: str, name: str = "workload") -> Workload:
        started.append(Workload(body, name))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return Bundle.from_directory(REPOSITORY / "bpf")


@pytest.fixture(scope="session")
def programs(bundle: Bundle) -> Programs:
    """The programs that are tested: the collection's bytecode, compiled anew where a text was changed since."""
    return Programs(bundle)


@pytest.fixture(scope="session")
def objects(programs: Programs) -> dict[str, Object]:
    """All of them, by source."""
    return programs.provide(SOURCES)


@pytest.fixture
def trace(bundle: Bundle, programs: Programs) -> Trace:
    """Traces targets while a callable runs, and gives their results in order."""

    def run(
        requests: list[dict[str, Any]],
        during: Callable[[], Any],
        own: tuple[int, ...] = (),
        events: int = 50,
        cpu_share: float = 0,
    ) -> list[dict[str, Any]]:
        """`cpu_share`: no limit unless a test is about it, for workloads here are what others call a storm."""
        limits = TraceLimits(events=events, cpu_share=cpu_share)
        tracer = Tracer(bundle, own_roots=own, limits=limits, programs=programs)
        # The first event says that everything is attached.
        results = tracer.run(requests, lambda event: during() if event["stage"] == "trace_running" else None)
        tracer.close()
        return list(results.values())

    return run


def program(target: str, duration: float = 2, **filters: Any) -> dict[str, Any]:
    """A request for a tracepoint."""
    return {"name": "test", "type": "tracepoint", "target": target, "duration": duration, "filters": filters}


@pytest.fixture(scope="session")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Ansible with the collection installed from its tarball."""
    from playbooks import Ansible

    return Ansible(tmp_path_factory.mktemp("ansible"))
