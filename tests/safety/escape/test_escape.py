# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way out of the sandbox that is written down in attempts.yml, really tried, past the policy.

Beside each stands its control: the same without the sandbox reaches what it is after, so that a failure means the
sandbox and not a mistake in the attempt.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from report import merge
from world import HERE, World, network_of_its_own

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.execute import Limits, LineExecutor
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.grants import Grants
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import JudgedCommand, JudgedPipeline
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.sandbox import Sandbox
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.sandbox_host import FIRST

ATTEMPTS: list[dict[str, Any]] = yaml.safe_load((HERE / "attempts.yml").read_text())
BEYOND = [attempt["id"] for attempt in ATTEMPTS if "beyond" in attempt]
SECONDS = 5.0
_counted: dict[str, list[str]] = {"tried": [], "succeeded": []}


@pytest.fixture(scope="module", autouse=True)
def counted() -> Iterator[None]:
    """Runs in a network of its own, and writes what was counted when all have been tried."""
    with network_of_its_own():
        yield
    if len(_counted["tried"]) == len(ATTEMPTS) - len(BEYOND):
        succeeded = sorted(_counted["succeeded"])
        merge(
            "escape",
            {"tried": len(_counted["tried"]), "succeeded": len(succeeded), "ways": succeeded, "beyond": BEYOND},
        )


@pytest.fixture
def world() -> Iterator[World]:
    made = World(account=FIRST + 2)
    yield made
    made.close()


def words_of(attempt: dict[str, Any], world: World) -> list[str]:
    code = world.fill(attempt["code"])
    if attempt["language"] == "sh":
        return ["sh", "-c", code]
    if attempt["language"] == "words":
        return shlex.split(code)
    script = world.directory / "attempt.py"
    script.write_text((HERE / "prelude.py").read_text() + f"\nINODE = {world.fill('{inode}')}\n" + code)
    script.chmod(0o644)
    world.before = world._snapshot()
    return ["python3", "-I", str(script)]


def test_every_program_that_is_to_break_out_is_here() -> None:
    programs = {shlex.split(attempt["code"])[0] for attempt in ATTEMPTS if attempt["language"] == "words"}
    assert [program for program in sorted(programs) if shutil.which(program) is None] == [], "scripts/test-safety"


def tried(attempt: dict[str, Any], world: World) -> list[str]:
    """What the attempt reached from within the sandbox, and what it printed last."""
    given = attempt.get("grants", {})
    grants = Grants(
        frozenset(given.get("capabilities", "").split()), frozenset(given.get("network", "").split()), (), ()
    )
    fence = Sandbox.for_host((str(world.directory / "secret.txt"), str(world.directory / "masked")))
    line = [JudgedPipeline(";", [JudgedCommand(words_of(attempt, world), [], grants)])]
    outcome = LineExecutor(Limits(SECONDS, 200000), lambda: False, fence, lambda path: None).run(line)
    reached = world.harm(outcome.output)
    return [*reached, outcome.output[-2000:]] if reached else []


@pytest.mark.parametrize(
    "attempt", [each for each in ATTEMPTS if "beyond" not in each], ids=lambda attempt: str(attempt["id"])
)
def test_nothing_gets_out_of_the_sandbox(attempt: dict[str, Any], world: World) -> None:
    _counted["tried"].append(attempt["id"])
    reached = tried(attempt, world)
    if reached:
        _counted["succeeded"].append(attempt["id"])
    assert not reached, reached


@pytest.mark.parametrize(
    "attempt", [each for each in ATTEMPTS if "beyond" in each], ids=lambda attempt: str(attempt["id"])
)
def test_what_the_sandbox_cannot_keep_from_being_read_it_keeps_from_being_changed(
    attempt: dict[str, Any], world: World
) -> None:
    reached = tried(attempt, world)
    # Where this no longer reads, it belongs to the others.
    assert reached[:-1] == [f"{world.canary} was shown"] or reached[:-1] == [f"{world.canary[:24]} was shown"], reached


CONTROLLED = [attempt for attempt in ATTEMPTS if attempt["control"] in ("as_root", "reaches")]


@pytest.mark.parametrize("attempt", CONTROLLED, ids=lambda attempt: str(attempt["id"]))
def test_without_the_sandbox_it_reaches_what_it_is_after(attempt: dict[str, Any], world: World) -> None:
    # Mounts of its own, so that what it mounts is gone with it.
    apart = ["unshare", "--mount", "--propagation", "private", *words_of(attempt, world)]
    started = subprocess.Popen(
        apart,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        start_new_session=True,
    )
    try:
        output = started.communicate(timeout=3)[0]
        reached = world.harm(output.decode("utf-8", "replace"))
    except subprocess.TimeoutExpired:
        # Going on beyond the end of its time is what it is after.
        reached = ["it went on"]
        output = b""
    finally:
        subprocess.run(["pkill", "-KILL", "-s", str(started.pid)], check=False)
        started.kill()
        started.wait()
    assert reached, output.decode("utf-8", "replace")[-2000:]


def test_the_list_is_whole() -> None:
    assert len(ATTEMPTS) >= 20
    assert len({attempt["id"] for attempt in ATTEMPTS}) == len(ATTEMPTS)
    assert len(CONTROLLED) * 3 >= len(ATTEMPTS) * 2, "most attempts have a control that reaches its aim"
    assert Path(HERE / "prelude.py").is_file()
