# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests are limited across processes that share nothing but files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.port import ModelError
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.request_limits import LimitsError, RequestLimits

URL = "http://gateway:3000/openai/v1/chat/completions"

FORK = (
    f"URL = {URL!r}"
    + """
import json, sys, time
from pathlib import Path
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils import request_limits
folder, parallel, a_minute, seconds, minute = sys.argv[1:]
request_limits._MINUTE = float(minute)
limits = request_limits.RequestLimits(URL, int(parallel), int(a_minute), lambda event: None, Path(folder))
came = time.monotonic()
with limits.admission(60):
    began = time.monotonic()
    time.sleep(float(seconds))
print(json.dumps([came, began, time.monotonic()]))
"""
)


def fork(folder: Path, parallel: int, a_minute: int = 0, seconds: float = 0.3, minute: float = 60) -> Any:
    numbers = [str(each) for each in (parallel, a_minute, seconds, minute)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", FORK, str(folder), *numbers]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def times(forks: list[Any]) -> list[list[float]]:
    """When each fork came, began and ended."""
    found = [json.loads(each.communicate(timeout=60)[0]) for each in forks]
    assert all(each.returncode == 0 for each in forks)
    return found


def await_true(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def limits(
    folder: Path, parallel: int = 1, a_minute: int = 0, tell: Callable[[dict[str, Any]], None] = lambda event: None
) -> RequestLimits:
    return RequestLimits(URL, parallel, a_minute, tell, folder)


def test_processes_are_no_more_at_once_than_there_are_places(tmp_path: Path) -> None:
    done = times([fork(tmp_path, 2) for _number in range(6)])
    moments = sorted([(began, 1) for _came, began, _ended in done] + [(ended, -1) for _came, _began, ended in done])
    now, most = 0, 0
    for _at, change in moments:
        now += change
        most = max(most, now)
    assert most == 2


def test_who_came_first_is_served_first(tmp_path: Path) -> None:
    waiting: list[Any] = []
    with limits(tmp_path).admission(1):
        for number in range(1, 5):
            waiting.append(fork(tmp_path, 1, seconds=0.05))
            await_true(lambda count=number: len(list(tmp_path.glob("*/ticket-*"))) == count)
    done = times(waiting)
    assert [came for came, _began, _ended in done] == sorted(came for came, _began, _ended in done)
    assert [began for _came, began, _ended in done] == sorted(began for _came, began, _ended in done)


def test_within_a_minute_no_more_requests_are_begun_than_are_allowed(tmp_path: Path) -> None:
    done = times([fork(tmp_path, 0, a_minute=2, seconds=0, minute=2) for _number in range(5)])
    begun = sorted(began for _came, began, _ended in done)
    assert all(later - earlier >= 1.9 for earlier, later in zip(begun, begun[2:]))
    assert begun[-1] - begun[0] < 30


def test_a_place_and_a_ticket_are_free_again_when_their_process_is_killed(tmp_path: Path) -> None:
    holder = fork(tmp_path, 1, seconds=600)
    await_true(lambda: bool(list(tmp_path.glob("*/place-0"))))
    waiter = fork(tmp_path, 1, seconds=600)
    await_true(lambda: bool(list(tmp_path.glob("*/ticket-*"))))
    (ticket,) = tmp_path.glob("*/ticket-*")
    waiter.send_signal(signal.SIGKILL)
    holder.send_signal(signal.SIGKILL)
    for each in (waiter, holder):
        each.communicate()
    assert ticket.exists()
    (done,) = times([fork(tmp_path, 1, seconds=0)])
    assert done[1] - done[0] < 10
    assert not ticket.exists()


def test_who_does_not_get_a_turn_in_time_is_told_why(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    with limits(tmp_path).admission(1):
        waiting = limits(tmp_path, tell=told.append).admission(0.3)
        with pytest.raises(ModelError, match="as many requests as allowed are under way: 1") as raised:
            waiting.__enter__()
        assert raised.value.kind == "not_admitted"
    assert [each["stage"] for each in told] == ["model_waiting"]
    with limits(tmp_path).admission(1):
        pass


def test_a_repeated_request_counts_as_another_one(tmp_path: Path) -> None:
    one = limits(tmp_path, parallel=0, a_minute=2)
    with one.admission(1):
        one.pause(0)
    with pytest.raises(ModelError, match="begun within a minute: 2"), one.admission(0.1):
        raise AssertionError("admitted")


def test_gateways_have_limits_of_their_own(tmp_path: Path) -> None:
    other = RequestLimits("http://other", 1, 0, lambda event: None, tmp_path)
    with limits(tmp_path).admission(1), other.admission(1):
        pass


def test_no_limits_hold_nobody_up(tmp_path: Path) -> None:
    free = limits(tmp_path, parallel=0)
    with free.admission(0), limits(tmp_path, parallel=0).admission(0):
        pass


def test_a_folder_that_others_can_enter_is_not_used(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir(mode=0o755)
    os.chmod(open_to_all, 0o755)
    with pytest.raises(LimitsError, match="alone can enter"):
        limits(open_to_all)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(LimitsError, match="alone can enter"):
        limits(link)


def test_a_damaged_file_of_requests_counts_as_none(tmp_path: Path) -> None:
    one = limits(tmp_path, parallel=0, a_minute=1)
    (folder,) = tmp_path.iterdir()
    (folder / "minute").write_text('{"not": "times"')
    with one.admission(1):
        pass
    with pytest.raises(ModelError):
        one.take_request(time.monotonic())


def test_a_repeated_request_does_not_wait_beyond_the_time_of_the_diagnosis(tmp_path: Path) -> None:
    limits = RequestLimits("http://gateway", 1, 1, lambda event: None, tmp_path)
    began = time.monotonic()
    with pytest.raises(ModelError, match="model_requests_per_minute") as failed, limits.admission(1.0):
        limits.pause(0.0)
    assert failed.value.kind == "not_admitted"
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("parallel", [0, 1])
def test_what_cannot_be_noted_is_said_of_the_controller(tmp_path: Path, parallel: int) -> None:
    limits = RequestLimits("http://gateway", parallel, 1, lambda event: None, tmp_path)
    (folder,) = tmp_path.iterdir()
    (folder / "minute").mkdir()
    with pytest.raises(ModelError, match=f"cannot be noted in {folder}: Is a directory"), limits.admission(1.0):
        pytest.fail("the model was asked")
    (folder / "minute").rmdir()
    with limits.admission(1.0):
        """Its place was given back."""
