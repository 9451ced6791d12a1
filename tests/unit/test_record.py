# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of diagnoses: whole whenever they are looked at, for their owner, bounded; each damage is a sentence."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session import record
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.record import RecordError

CONTENT = {"rounds": [{"output": "é\ud800\n" * 5, "n": 1.5, "path": Path("/x")}], "status": record.INTERRUPTED}


def written(folder: Path, **more: Any) -> str:
    """The id of a diagnosis that was interrupted."""
    made = record.begin(folder)
    made.write({"diagnosis_id": made.identifier, **CONTENT, **more})
    made.close(over=False)
    return made.identifier


def refused(folder: Path, wanted: str = record.LATEST) -> str:
    with pytest.raises(RecordError) as caught:
        record.reopen(wanted, folder)
    said = str(caught.value)
    assert said.endswith(".")
    return said


def test_a_record_is_read_as_it_was_written_by_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "records"
    identifier = written(folder)
    path = folder / f"{identifier}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    again = record.reopen(identifier, folder)
    assert again.content["rounds"] == [{"output": "é?\n" * 5, "n": 1.5, "path": "/x"}]
    assert again.path == path
    again.write({**again.content, "status": record.ENDED})
    again.close(over=True)
    assert [entry.name for entry in folder.iterdir()] == [path.name]
    assert record.reopen("latest", folder).content["status"] == record.ENDED


def test_the_latest_is_the_one_that_was_begun_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbered(monkeypatch)
    names = [written(tmp_path) for _time in range(3)]
    again = record.reopen(" latest ", tmp_path)
    assert again.identifier == names[-1]


def numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids that sort as they are made, also within a second."""
    numbers = iter(range(1000))
    monkeypatch.setattr(record, "new_id", lambda: f"20260101T000000Z-{next(numbers):08x}")


def test_the_oldest_go_with_all_that_belongs_to_them_and_what_is_worked_on_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbered(monkeypatch)
    worked_on = record.begin(tmp_path)
    worked_on.write({"diagnosis_id": worked_on.identifier})
    oldest = written(tmp_path)
    for suffix in (".identities", ".between_rounds"):
        (tmp_path / f"{oldest}{suffix}").touch()
    (tmp_path / f".{oldest}.json.new").touch()
    foreign = tmp_path / "notes.txt"
    foreign.touch()
    for _time in range(55):
        written(tmp_path)
    names = {entry.name for entry in tmp_path.iterdir()}
    assert not [name for name in names if oldest in name]
    assert {foreign.name, worked_on.path.name} <= names
    assert len([name for name in names if name.endswith(".json")]) == 51
    worked_on.close(over=False)
    written(tmp_path)
    assert not worked_on.path.exists()


def test_records_take_up_a_bounded_place_and_the_newest_stays_whatever_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbered(monkeypatch)
    monkeypatch.setattr(record, "_MOST_BYTES", 100_000)
    for _time in range(5):
        newest = written(tmp_path, large="x" * 30_000)
    assert len(list(tmp_path.glob("*.json"))) == 3
    newest = written(tmp_path, large="x" * 200_000)
    assert [path.stem for path in tmp_path.glob("*.json")] == [newest]


def test_of_a_killed_writer_the_last_whole_record_is_left(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from {record.__name__} import begin
made = begin(Path({str(tmp_path)!r}))
number = 0
while True:
    number += 1
    made.write({{"diagnosis_id": made.identifier, "status": "running", "number": number, "large": "x" * 500000}})
    if number == 1:
        print(made.identifier, flush=True)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    wait = random.Random(7)
    for _time in range(5):
        writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
        assert writer.stdout is not None
        identifier = writer.stdout.readline().strip()
        assert "still under way" in refused(tmp_path, identifier)
        time.sleep(wait.random() / 20)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        again = record.reopen(identifier, tmp_path)
        assert again.content["large"] == "x" * 500_000
        again.write({**again.content, "number": 0})
        again.close(over=False)
        assert not list(tmp_path.glob(f".{identifier}*"))


def test_a_record_that_is_worked_on_is_waited_for(tmp_path: Path) -> None:
    made = record.begin(tmp_path)
    made.write({"diagnosis_id": made.identifier, "status": record.ENDED})
    assert "did not end within 0 s. Wait until it has" in refused(tmp_path)
    threading.Timer(0.3, made.close, [True]).start()
    assert record.reopen("latest", tmp_path, 30).content["status"] == record.ENDED


def test_nobody_waits_who_is_told_to_stop(tmp_path: Path) -> None:
    made = record.begin(tmp_path)
    made.write({"diagnosis_id": made.identifier})
    stop = threading.Event()
    stop.set()
    with pytest.raises(RecordError, match="still under way"):
        record.reopen("latest", tmp_path, 600, stop)


@pytest.mark.parametrize("wanted", ["../../etc/passwd", "x", "/etc/shadow", "20260101T000000Z-0000000g", "latest2"])
def test_what_is_no_id_names_no_file(tmp_path: Path, wanted: str) -> None:
    written(tmp_path)
    assert "is not the id of a diagnosis. It is latest, or the id" in refused(tmp_path, wanted)


def test_a_record_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    assert "so none can be gone on with" in refused(tmp_path / "none")
    identifier = written(tmp_path)
    said = refused(tmp_path, "20260101T000000Z-00000000")
    assert "Was it of another host" in said
    assert identifier in said


def in_record(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / f"{written(folder)}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_record_of_another_version_says_so(tmp_path: Path) -> None:
    in_record(tmp_path, lambda content: content.update(format=3))
    assert "another version of the collection wrote it (format 3; this one has 2)" in refused(tmp_path)


def test_a_record_of_before_there_were_versions_says_so(tmp_path: Path) -> None:
    path = tmp_path / f"{written(tmp_path)}.json"
    path.write_text(json.dumps({"diagnosis_id": path.stem, "resolution": None}, indent=1))
    assert "an earlier version of the collection wrote it, and kept nothing to go on from" in refused(tmp_path)


def test_a_record_that_was_changed_is_not_gone_on_with(tmp_path: Path) -> None:
    in_record(tmp_path, lambda content: content["rounds"].append({"output": "made up"}))
    assert "what it holds is not what was written. Start the diagnosis anew, without resume." in refused(tmp_path)


def test_a_record_under_another_name_is_not_gone_on_with(tmp_path: Path) -> None:
    identifier = written(tmp_path)
    other = "29260101T000000Z-00000000"
    for suffix in (".json", ".open"):
        (tmp_path / f"{identifier}{suffix}").rename(tmp_path / f"{other}{suffix}")
    assert "what it holds is not what was written" in refused(tmp_path, other)


@pytest.mark.parametrize("mode", [0o622, 0o606])
def test_a_record_that_others_can_write_is_not_trusted(tmp_path: Path, mode: int) -> None:
    (tmp_path / f"{written(tmp_path)}.json").chmod(mode)
    assert "only a file that uid" in refused(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_record_of_another_account_is_not_trusted(tmp_path: Path) -> None:
    os.chown(tmp_path / f"{written(tmp_path)}.json", 12345, -1)
    assert "it belongs to uid 12345" in refused(tmp_path)


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, os.mkdir, lambda path: os.symlink("/etc/passwd", path), lambda path: os.symlink(path, path)],
)
def test_what_is_no_file_is_not_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / f"{written(tmp_path)}.json"
    path.unlink()
    make(path)
    assert "cannot be used" in refused(tmp_path)


def test_a_record_without_the_file_that_says_that_it_is_open_is_not_gone_on_with(tmp_path: Path) -> None:
    identifier = written(tmp_path)
    (tmp_path / f"{identifier}.open").unlink()
    assert "the file .open that belongs to it is not there" in refused(tmp_path)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_becomes_of_its_bytes_a_record_is_as_it_was_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("records")
    identifier = written(folder)
    path = folder / f"{identifier}.json"
    whole = path.read_bytes()
    before = record.read(identifier, folder)
    at = data.draw(st.integers(0, len(whole)))
    until = data.draw(st.integers(at, len(whole)))
    path.write_bytes(whole[:at] + data.draw(st.binary(max_size=10)) + whole[until:])
    try:
        again = record.reopen(identifier, folder)
    except RecordError as error:
        said = str(error)
    else:
        again.close(over=False)
        assert again.content == before
        return
    assert said.endswith("Start the diagnosis anew, without resume.")


@pytest.mark.parametrize("text", ["", "null", "[]", "5", "[" * 100_000, '{"a": 1', '{"format": 2}', "\x00"])
def test_no_text_at_all_is_a_traceback(tmp_path: Path, text: str) -> None:
    (tmp_path / f"{written(tmp_path)}.json").write_text(text)
    assert "cannot be used" in refused(tmp_path)
