# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock, the progress and the early end of a run."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session import lock
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.ending import Ending
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.progress import ProgressFile


def test_a_second_diagnosis_is_refused_with_what_the_first_is_about(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock.exclusive(0, {"issue": "slow disk"}, threading.Event(), path):
        second = lock.exclusive(0, {"issue": "other"}, threading.Event(), path)
        with pytest.raises(lock.Busy, match=rf"'slow disk', process {os.getpid()}"):
            second.__enter__()
    with lock.exclusive(0, {"issue": "third"}, threading.Event(), path):
        assert json.loads(path.read_text())["issue"] == "third"


def test_a_second_diagnosis_waits_for_the_first(tmp_path: Path) -> None:
    path, held, release = tmp_path / "lock", threading.Event(), threading.Event()

    def first() -> None:
        with lock.exclusive(0, {"issue": "first"}, threading.Event(), path):
            held.set()
            release.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    held.wait(10)
    threading.Timer(0.3, release.set).start()
    with lock.exclusive(30, {"issue": "second"}, threading.Event(), path):
        assert release.is_set()
    thread.join()


def test_a_lease_keeps_others_out_and_lets_its_own_diagnosis_in(tmp_path: Path) -> None:
    path, nobody = tmp_path / "lock", threading.Event()
    with lock.exclusive(0, {"issue": "slow disk"}, nobody, path, diagnosis="one") as hold:
        hold.lease("one", 60, {"issue": "slow disk"})
    other = lock.exclusive(0, {"issue": "other"}, nobody, path, diagnosis="two")
    with pytest.raises(lock.Busy, match=r"'slow disk', led from a controller .*; if nothing .* free in (60|59) s"):
        other.__enter__()
    host_led = lock.exclusive(0, {"issue": "other"}, nobody, path)
    with pytest.raises(lock.Busy):
        host_led.__enter__()
    with lock.exclusive(0, {"issue": "slow disk"}, nobody, path, diagnosis="one") as hold:
        hold.lease("one", 60, {"issue": "slow disk"})
    lock.release("two", path)  # not its own
    with pytest.raises(lock.Busy):
        lock.exclusive(0, {"issue": "other"}, nobody, path).__enter__()
    lock.release("one", path)
    with lock.exclusive(0, {"issue": "other"}, nobody, path):
        pass


def test_a_lease_ends_by_itself_and_one_that_says_too_much_is_not_believed(tmp_path: Path) -> None:
    path, nobody = tmp_path / "lock", threading.Event()
    with lock.exclusive(0, {"issue": "a"}, nobody, path, diagnosis="one") as hold:
        hold.lease("one", 1.0, {"issue": "a"})
    with lock.exclusive(20, {"issue": "b"}, nobody, path, diagnosis="two") as hold:
        hold.lease("two", 2 * lock.LONGEST_LEASE, {"issue": "b"})
    with lock.exclusive(0, {"issue": "c"}, nobody, path):
        pass


def test_the_process_of_a_round_is_known_while_it_runs_alone(tmp_path: Path) -> None:
    path, nobody = tmp_path / "lock", threading.Event()
    assert lock.running("one", path) is None
    with lock.exclusive(0, {"issue": "a"}, nobody, path, diagnosis="one"):
        assert lock.running("one", path) == os.getpid()
        assert lock.running("two", path) is None
    assert lock.running("one", path) is None


def test_progress_goes_to_a_file_of_its_own_that_the_connections_user_can_read(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    before = os.umask(0o077)
    try:
        progress = ProgressFile(str(path))
    finally:
        os.umask(before)
    progress({"stage": "round_started", "text": "Round 1"})
    progress({"stage": "ended", "text": "done"})
    assert [json.loads(line)["text"] for line in path.read_text().splitlines()] == ["Round 1", "done"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_progress_is_not_written_to_what_is_there_already(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    path.write_text("mine")
    ProgressFile(str(path))({"stage": "x", "text": "y"})
    ProgressFile(str(tmp_path / "no folder" / "progress"))({"stage": "x", "text": "y"})
    assert path.read_text() == "mine"


def test_progress_does_not_follow_a_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.touch()
    (tmp_path / "link").symlink_to(target)
    ProgressFile(str(tmp_path / "link"))({"stage": "x", "text": "y"})
    assert target.read_text() == ""


def ran_apart(code: str) -> subprocess.CompletedProcess[str]:
    """What a program does in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment, check=False)


def test_a_signal_ends_a_run_also_where_it_strikes_while_the_event_is_looked_at() -> None:
    code = f"""
import os, signal, time
from {Ending.__module__} import Ending
ending = Ending()
ending.watch()
with ending.event._cond:  # as whoever waits for it holds it for a moment
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)
print(ending.event.wait(10))
"""
    ran = ran_apart(code)
    assert ran.stdout == "True\n", ran.stderr


def test_a_run_is_interrupted_also_where_the_first_try_came_while_something_was_cleared_away() -> None:
    code = f"""
import os, signal, time
from {Ending.__module__} import Ending, Stopped

class Forgets:
    def __del__(self):  # what is raised in here is printed and forgotten
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)

ending = Ending()
ending.watch()
try:
    with ending.interruptible():
        Forgets()
        time.sleep(20)
    print("waited in vain")
except Stopped as stopped:
    print(stopped)
"""
    ran = ran_apart(code)
    assert "Exception ignored" in ran.stderr
    assert ran.stdout == "It was stopped by SIGINT; its probes are detached and its commands ended.\n", ran.stderr


def test_a_run_is_interrupted_also_by_a_signal_that_did_not_wake_it() -> None:
    # It comes to the thread that watches, while the main one waits and runs no line of Python.
    code = f"""
import select, signal, threading
from {Ending.__module__} import Ending, Stopped

ending = Ending()
ending.watch()
(watching,) = (each for each in threading.enumerate() if each is not threading.main_thread())
threading.Timer(0.5, lambda: signal.pthread_kill(watching.ident, signal.SIGTERM)).start()
try:
    with ending.interruptible():
        select.select([], [], [], 600)
    print("waited in vain")
except Stopped as stopped:
    print(stopped)
"""
    ran = ran_apart(code)
    assert ran.stdout == "It was stopped by SIGTERM; its probes are detached and its commands ended.\n", ran.stderr
