# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that gave up being root cannot do what root can, cannot become root again, and ends with who made it."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.lending import lend
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session import messages
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.apart import Apart, ApartError, CallError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.giving_up import give_up

USER = 60871
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give up")


def refused(action: Any) -> str:
    """The name of the error with which an action fails, "" where it does not."""
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""


def with_capability(number: int) -> int:
    """What the kernel says to taking a capability back: an errno, 0 where it gives it."""
    libc = ctypes.CDLL(None, use_errno=True)
    sets = (ctypes.c_uint32 * 6)(1 << number, 1 << number, 0, 0, 0, 0)
    return ctypes.get_errno() if libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), sets) else 0


TRIES: dict[str, Any] = {
    "write": lambda _a, _p: refused(lambda: os.open("/etc/shadow", os.O_WRONLY)),
    "read": lambda _a, _p: refused(lambda: os.open("/etc/shadow", os.O_RDONLY)),
    "become root": lambda _a, _p: refused(lambda: os.setresuid(0, 0, 0)),
    "take back": lambda _a, _p: [errno.errorcode.get(with_capability(number), "") for number in (1, 7, 21)],
    "signal": lambda _a, _p: refused(lambda: os.kill(1, 0)),
    "capabilities of a program": lambda _a, _p: (
        subprocess.run(["grep", "Cap", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    ),
    "echo": lambda argument, progress: progress({"heard": argument}) or argument,
    "open": lambda _a, _p: sorted(os.listdir("/proc/self/fd")),
    "wait": lambda argument, _p: time.sleep(argument),
    "die": lambda _a, _p: os._exit(3),
}


@pytest.fixture(name="apart")
def made_apart() -> Iterator[Apart]:
    apart = Apart("of-this-test", TRIES, user=USER, keep=("DAC_READ_SEARCH",))
    yield apart
    apart.close()


def test_it_has_what_it_was_left_and_cannot_get_more(apart: Apart) -> None:
    assert apart.status["user"] == USER
    assert apart.status["effective"] == apart.status["permitted"] == apart.status["bounding"] == ["DAC_READ_SEARCH"]
    assert apart.status["inheritable"] == apart.status["ambient"] == []
    assert apart.call("read") == ""
    assert apart.call("write") == "EACCES"
    assert apart.call("become root") == "EPERM"
    assert apart.call("take back") == ["EPERM"] * 3
    assert apart.call("signal") == "EPERM"


def test_what_it_starts_has_no_capability(apart: Apart) -> None:
    sets = dict(line.split() for line in apart.call("capabilities of a program").splitlines())
    assert {int(sets[f"Cap{name}:"], 16) for name in ("Eff", "Prm", "Inh", "Amb")} == {0}


def test_it_has_nothing_open_of_who_made_it() -> None:
    with open("/etc/hostname", encoding="utf-8"), socket.socket():
        apart = Apart("of-this-test", TRIES, user=USER, keep=())
        assert len(apart.call("open")) == 8  # the three, two sockets, a pipe's two ends for signals, the listing itself
        apart.close()


def test_calls_bring_back_data_progress_and_errors(apart: Apart) -> None:
    heard: list[Any] = []
    large = {"text": "x" * 3_000_000, "list": [1, 2.5, None, "ä"]}
    assert apart.call("echo", large, heard.append) == large
    assert heard == [{"heard": large}]
    with pytest.raises(CallError, match="no_such_call") as raised:
        apart.call("no_such_call")
    assert raised.value.kind == "KeyError"


def test_one_that_dies_is_said_at_once_and_later(apart: Apart) -> None:
    with pytest.raises(ApartError, match="has ended before its time"):
        apart.call("die")
    with pytest.raises(ApartError):
        apart.call("echo")


def test_closing_leaves_no_process() -> None:
    apart = Apart("of-this-test", TRIES, user=USER, keep=())
    pid = apart.pid
    apart.close()
    apart.close()
    assert not Path(f"/proc/{pid}").exists()


def test_one_that_cannot_be_made_says_why() -> None:
    def fail() -> None:
        raise OSError(errno.EINVAL, "no such user here")

    with pytest.raises(ApartError, match="no such user here"):
        Apart("of-this-test", TRIES, user=USER, keep=(), before=fail)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"what": "file", "path": "/etc/shadow"},
        {"what": "tracepoint", "id": "1"},
        {"what": "tracepoint", "id": -1},
        {"what": "tracepoint", "id": True},
        {"what": "function", "function": "../../etc/shadow"},
        {"what": "function", "function": 7},
        {"what": "stack", "process": "1/root/etc", "thread": 1},
        {"what": "stack", "process": 1},
    ],
)
def test_only_what_tracing_takes_is_lent(asked: dict[str, Any]) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        lend(asked)


def test_what_is_lent_arrives_open_and_what_is_not_says_why() -> None:
    borrowed: list[messages.Borrowing] = []

    def opened(asked: dict[str, Any]) -> int:
        if asked != {"what": "it"}:
            raise PermissionError(errno.EPERM, "no")
        return os.open("/etc/shadow", os.O_RDONLY)

    tries = {"borrow": lambda asked, _p: len(os.read(borrowed[0](asked), 10))}
    apart = Apart("of-this-test", tries, user=USER, keep=(), lend=opened, borrow=borrowed.append)
    before = len(os.listdir("/proc/self/fd"))
    assert apart.call("borrow", {"what": "it"}) == 10
    with pytest.raises(CallError, match="Operation not permitted"):
        apart.call("borrow", {"what": "something else"})
    assert len(os.listdir("/proc/self/fd")) == before
    apart.close()


def test_a_capability_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        give_up(USER, USER, ("NO_SUCH",))


def test_what_is_no_message_ends_the_talk() -> None:
    ours, theirs = socket.socketpair()
    for said in (b"\xff" * 8, b"\0" * 7 + b"\x02" + b"[]", b"\0" * 7 + b"\x01{"):
        theirs.sendall(said)
        with pytest.raises(messages.Broken):
            messages.receive(ours)
