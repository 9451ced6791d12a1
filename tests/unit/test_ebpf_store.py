# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was compiled comes back as it was, or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.store import Store

KEY = {"release": "6.1.0", "text": "abc"}
VALUE = {"functions": {"on_event": ["b700000000000000"]}, "maps": []}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def entry(store: Store) -> Path:
    (path,) = store._directory.iterdir()
    return path


def test_an_entry_comes_back_for_its_key_and_for_no_other(store: Store) -> None:
    assert store.read(KEY) is None
    store.write(KEY, VALUE)
    assert store.read(KEY) == VALUE
    assert store.read({**KEY, "release": "6.1.1"}) is None
    assert store.read({**KEY, "more": ""}) is None


def test_only_its_owner_can_read_or_write_an_entry(store: Store) -> None:
    store.write(KEY, VALUE)
    assert entry(store).stat().st_mode & 0o777 == 0o600
    assert store._directory.stat().st_mode & 0o022 == 0


def another_release(path: Path) -> None:
    """An entry of another kernel under the name of this one's."""
    found = json.loads(path.read_text())
    found["key"]["release"] = "5.10.0"
    path.write_text(json.dumps(found))


def linked(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


SPOILT: dict[str, Callable[[Path], Any]] = {
    "truncated": lambda path: os.truncate(path, 40),
    "empty": lambda path: path.write_bytes(b""),
    "not text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "not an entry": lambda path: path.write_text("[]"),
    "deeply nested": lambda path: path.write_text("[" * 100_000),
    "too large": lambda path: os.truncate(path, 9 << 20),
    "of another kernel": another_release,
    "another value": lambda path: path.write_text(path.read_text().replace("b700", "9500")),
    "writable by its group": lambda path: path.chmod(0o620),
    "writable by all": lambda path: path.chmod(0o602),
    "another user's": lambda path: os.chown(path, 65534, 65534),
    "a link": linked,
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_an_entry_that_may_be_anybodys_is_none(store: Store, spoil: Callable[[Path], Any]) -> None:
    store.write(KEY, VALUE)
    if spoil is SPOILT["another user's"] and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    spoil(entry(store))
    assert store.read(KEY) is None
    if not entry_is_a_directory(store):
        store.write(KEY, VALUE)
        assert store.read(KEY) == VALUE


def entry_is_a_directory(store: Store) -> bool:
    return any(path.is_dir() for path in store._directory.iterdir())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_bit_that_flipped_is_noticed(store: Store, data: st.DataObject) -> None:
    store.write(KEY, VALUE)
    raw = bytearray(entry(store).read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    entry(store).write_bytes(raw)
    assert store.read(KEY) in (None, VALUE)


def test_a_directory_that_others_can_write_is_not_used(store: Store) -> None:
    store.write(KEY, VALUE)
    store._directory.chmod(0o777)
    assert store.read(KEY) is None
    store.write({**KEY, "text": "new"}, VALUE)
    assert len(list(store._directory.iterdir())) == 1


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_disk_that_takes_nothing_leaves_nothing_half_written(
    store: Store, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    def refuse(*_arguments: Any, **_more: Any) -> None:
        raise OSError(code, os.strerror(code))

    store.write(KEY, VALUE)
    monkeypatch.setattr(os, call, refuse)
    store.write({**KEY, "text": "new"}, VALUE)
    assert len(list(store._directory.iterdir())) == 1
    assert store.read(KEY) == VALUE


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses to write more to a file, as it does on a full disk; nothing of it is made up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 4096, 20_000])
def test_an_entry_for_which_there_is_no_room_is_none_and_leaves_nothing(store: Store, room: int) -> None:
    large = {"functions": {"on_event": ["b700000000000000"] * 4000}, "maps": []}
    store.write(KEY, VALUE)
    with files_of_at_most(room):
        store.write({**KEY, "text": "new"}, large)
        store.write(KEY, large)
    assert len(list(store._directory.iterdir())) == 1
    assert store.read(KEY) == VALUE
    assert store.read({**KEY, "text": "new"}) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system that is then full")
def test_a_full_disk_costs_no_entry_that_was_there(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755,size=64k", "tmpfs", str(tmp_path)], check=True)
    try:
        store = Store(tmp_path / "store")
        store.write(KEY, VALUE)
        with contextlib.suppress(OSError), (tmp_path / "filler").open("wb", buffering=0) as filler:
            while filler.write(b"x" * 4096):
                pass
        store.write({**KEY, "text": "new"}, VALUE)
        assert len(list(store._directory.iterdir())) == 1
        assert store.read(KEY) == VALUE
        assert Store(tmp_path / "another").read(KEY) is None
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_writer_that_is_killed_leaves_whole_entries_and_a_bounded_rest(store: Store) -> None:
    large = {"functions": {"on_event": ["b700000000000000"] * 20_000}, "maps": []}
    store.write(KEY, VALUE)
    for number in range(40):
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                while True:
                    store.write(KEY, large)
            os._exit(1)
        time.sleep(0.002 * (number % 7 + 1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert store.read(KEY) in (VALUE, large)
    assert len(list(store._directory.iterdir())) <= 32 + 1


def test_it_never_grows_beyond_its_bounds(store: Store) -> None:
    for number in range(50):
        store.write({**KEY, "text": str(number)}, VALUE)
    assert len(list(store._directory.iterdir())) == 32
    store.write(KEY, "x" * (9 << 20))
    assert store.read(KEY) is None


def test_whoever_writes_at_the_same_time_a_reader_sees_one_whole_entry(store: Store) -> None:
    values = [{"functions": {"on_event": [f"{number:016x}"] * 2000}, "maps": []} for number in range(4)]
    stop = threading.Event()

    def write(value: Any) -> None:
        while not stop.is_set():
            store.write(KEY, value)

    writers = [threading.Thread(target=write, args=[value]) for value in values]
    store.write(KEY, values[0])
    for writer in writers:
        writer.start()
    try:
        seen = [store.read(KEY) for _each in range(200)]
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert all(value in values for value in seen)
