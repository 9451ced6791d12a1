# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of the log of actions: whole lines of several processes, bounded, and nobody else's file written to."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session import log_file
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.log_file import LogFile, Unwritable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nannyapi" / "diagnostics.jsonl"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def in_a_process(code: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment, text=True)


def test_folder_and_file_are_for_their_owner_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        LogFile(path).append(b"one\n")
        LogFile(path).append(b"two\n")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"one\ntwo\n"
    assert (mode(path.parent), mode(path)) == (0o700, 0o600)


def test_what_is_too_much_is_rotated_and_the_oldest_goes(path: Path) -> None:
    for number in range(100):
        LogFile(path, most_bytes=100, kept=3).append(b"line %03d\n" % number)
    names = sorted(entry.name for entry in path.parent.iterdir())
    assert names == [path.name, f"{path.name}.1", f"{path.name}.2", f"{path.name}.3"]
    assert all(entry.stat().st_size <= 100 for entry in path.parent.iterdir())
    kept = b"".join((path.parent / name).read_bytes() for name in [*reversed(names[1:]), names[0]]).splitlines()
    assert kept == [b"line %03d" % number for number in range(100 - len(kept), 100)]
    assert len(kept) > 30


def test_a_line_longer_than_a_file_may_be_is_kept_whole(path: Path) -> None:
    for line in (b"short\n", b"x" * 500 + b"\n", b"short\n"):
        LogFile(path, most_bytes=100, kept=3).append(line)
    assert (path.parent / f"{path.name}.1").read_bytes() == b"x" * 500 + b"\n"


def test_concurrent_writers_lose_no_line_and_tear_none_also_while_they_rotate(path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from {LogFile.__module__} import LogFile
for number in range(150):
    LogFile(Path(sys.argv[1]), most_bytes=20_000, kept=50).append(
        (sys.argv[2] + " " + str(number) + " " + "x" * (number * 7 % 300) + "\\n").encode())
"""
    writers = [in_a_process(code, str(path), str(writer)) for writer in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    files = list(path.parent.iterdir())
    assert len(files) > 3
    lines = [line.split(" ") for file in files for line in file.read_text().splitlines()]
    assert all(len(text) == int(number) * 7 % 300 for _writer, number, text in lines)
    assert sorted((int(writer), int(number)) for writer, number, _text in lines) == [
        (writer, number) for writer in range(4) for number in range(150)
    ]


def test_the_last_lines_are_whole_and_no_more_than_was_asked_for(path: Path) -> None:
    log = LogFile(path)
    assert log.tail(100) == []
    for number in range(100):
        log.append(b"line %03d\n" % number)
    assert log.tail(30) == [b"line 097", b"line 098", b"line 099"]
    assert log.tail(10_000) == [b"line %03d" % number for number in range(100)]


def test_it_is_the_newest_file_that_is_written_where_somebody_else_rotated(path: Path) -> None:
    log = LogFile(path)
    log.append(b"one\n")
    path.rename(path.parent / "diagnostics.jsonl-20260101")
    log.append(b"two\n")
    assert path.read_bytes() == b"two\n"
    os.truncate(path, 0)
    log.append(b"three\n")
    assert path.read_bytes() == b"three\n"


def test_who_may_read_it_besides_is_kept_in_rotation(path: Path) -> None:
    log = LogFile(path, most_bytes=10, kept=2)
    log.append(b"one line\n")
    path.chmod(0o640)
    log.append(b"another\n")
    assert mode(path) == mode(path.parent / f"{path.name}.1") == 0o640


def a_link(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(path.parent.parent / "victim")


def a_dangling_link(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(path.parent.parent / "not there")


def a_hard_link(path: Path) -> None:
    path.parent.mkdir()
    path.hardlink_to(path.parent.parent / "victim")


def a_pipe(path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.mkdir(parents=True)


def a_linked_folder(path: Path) -> None:
    (path.parent.parent / "elsewhere").mkdir()
    path.parent.symlink_to(path.parent.parent / "elsewhere")


def a_folder_that_others_write_to(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o775)


def a_file_that_others_write_to(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    path.chmod(0o620)


def a_file_in_its_folders_place(path: Path) -> None:
    path.parent.touch()


@pytest.mark.parametrize(
    "planted",
    [
        a_link,
        a_dangling_link,
        a_hard_link,
        a_pipe,
        a_folder,
        a_linked_folder,
        a_folder_that_others_write_to,
        a_file_that_others_write_to,
        a_file_in_its_folders_place,
    ],
)
def test_what_was_planted_there_is_refused_with_a_sentence_and_not_written_to(
    path: Path, planted: Callable[[Path], None]
) -> None:
    victim = path.parent.parent / "victim"
    victim.write_text("mine")
    planted(path)
    with pytest.raises(Unwritable, match=str(path.parent)):
        LogFile(path).append(b"line\n")
    assert victim.read_text() == "mine"
    assert not (path.parent.parent / "not there").exists()
    assert not (path.parent.parent / "elsewhere" / path.name).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_file_or_folder_of_somebody_elses_is_refused(path: Path) -> None:
    LogFile(path).append(b"one\n")
    os.chown(path, 65534, -1)
    with pytest.raises(Unwritable, match="belongs to the user id 65534"):
        LogFile(path).append(b"two\n")
    os.chown(path, 0, -1)
    os.chown(path.parent, 65534, -1)
    with pytest.raises(Unwritable, match="belongs to the user id 65534"):
        LogFile(path).append(b"two\n")
    assert path.read_bytes() == b"one\n"


def test_a_line_that_does_not_fit_is_taken_back_and_the_next_one_is_whole(path: Path) -> None:
    """A limit on the size of files has the kernel write a part of the line, as a disk that is nearly full does."""
    code = f"""
import resource, sys
from pathlib import Path
from {LogFile.__module__} import LogFile, Unwritable
log = LogFile(Path(sys.argv[1]))
log.append(b"a" * 50 + b"\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (80, resource.RLIM_INFINITY))
try:
    log.append(b"b" * 50 + b"\\n")
except Unwritable as error:
    sys.exit(0 if "no space is left for a whole line" in str(error) else str(error))
sys.exit("it was written")
"""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    assert in_a_process(code, str(path)).wait(30) == 0
    LogFile(path).append(b"c\n")
    assert path.read_bytes() == b"a" * 50 + b"\nc\n"


def test_half_a_line_of_one_who_was_killed_stands_by_itself(path: Path) -> None:
    log = LogFile(path)
    log.append(b"one\n")
    with path.open("ab") as file:
        file.write(b'{"half": ')
    log.append(json.dumps({"next": 1}).encode() + b"\n")
    assert path.read_bytes() == b'one\n{"half": \n{"next": 1}\n'


def test_who_holds_the_lock_and_does_not_go_on_is_not_waited_for_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "_LOCK_SECONDS", 0.2)
    path.parent.mkdir(mode=0o700)
    held = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    began = time.monotonic()
    with pytest.raises(Unwritable, match="another process holds the lock"):
        LogFile(path).append(b"line\n")
    assert time.monotonic() - began < 10
    os.close(held)
    LogFile(path).append(b"line\n")
    assert path.read_bytes() == b"line\n"
