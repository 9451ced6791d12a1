# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process of a run that may do less than the others, and does one thing for them. Private to the collection.

It is forked, gives up for good what it does not need before it does anything, and answers one call after the other. It
ends with the process that made it, however that ends.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import select
import signal
import socket
from collections.abc import Iterable
from typing import Any, Callable, Optional

from . import messages
from .ending import Ending
from .giving_up import capability_sets, give_up

Progress = Callable[[dict[str, Any]], None]
Served = Callable[[Any, Progress], Any]
_PR_SET_NAME = 15
_LOOK_SECONDS = 0.1


class ApartError(Exception):
    """The process could not be made, or is gone; the message is the part of a sentence that says why."""


class CallError(Exception):
    """What was called raised; `kind` is the exception's class, the message its text."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Apart:
    """The process, from the side of the one that made it. `close` ends it, as does the end of this one."""

    def __init__(
        self,
        name: str,
        served: dict[str, Served],
        *,
        user: int,
        keep: Iterable[str],
        groups: Iterable[int] = (),
        ending: Optional[Ending] = None,
        lend: Optional[Callable[[dict[str, Any]], int]] = None,
        before: Callable[[], None] = lambda: None,
        borrow: Callable[[messages.Borrowing], None] = lambda borrowing: None,
    ) -> None:
        """`served`: what it does, by name. `user`: whose it is, `keep`: its capabilities. Raises ApartError.

        `before`: what it does while it is still root. `borrow`: is told there what to ask for what `lend` opens here.
        `ending`: what ends the run ends its calls.
        """
        self._ending = ending
        self._lend = lend
        self._told_to_stop = False
        self._calls, calls = socket.socketpair()
        self._loans, loans = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if not self._pid:
            borrow(messages.Borrowing(loans))
            _Child(name, served, calls, loans, ending).live(user, tuple(keep), tuple(groups), before)
        calls.close()
        loans.close()
        atexit.register(self.close)
        try:
            ready = self._answer(lambda event: None)
        except CallError as error:
            self.close()
            raise ApartError(str(error)) from error
        except ApartError:
            self.close()
            raise
        self.status: dict[str, Any] = ready if isinstance(ready, dict) else {}

    @property
    def pid(self) -> int:
        """Its process id; 0 when it was closed."""
        return self._pid

    def call(self, name: str, argument: Any = None, progress: Progress = lambda event: None) -> Any:
        """What the served function returned. Raises CallError for what it raised, ApartError where it is gone."""
        try:
            messages.send(self._calls, {"call": name, "argument": argument})
        except messages.Broken as error:
            raise ApartError(f"the process for it is gone ({error})") from error
        return self._answer(progress)

    def _answer(self, progress: Progress) -> Any:
        poller = select.poll()
        poller.register(self._calls, select.POLLIN)
        poller.register(self._loans, select.POLLIN)
        try:
            while True:
                self._pass_on_the_end()
                ready = [descriptor for descriptor, _event in poller.poll(_LOOK_SECONDS * 1000)]
                if self._loans.fileno() in ready and self._calls.fileno() not in ready:
                    messages.lend(self._loans, self._lend or _nothing)
                elif ready:
                    message = messages.receive(self._calls)
                    if "progress" not in message:
                        return _returned(message)
                    progress(message["progress"])
        except messages.Broken as error:
            raise ApartError(f"the process for it has ended before its time ({error})") from error

    def _pass_on_the_end(self) -> None:
        if self._ending is not None and self._ending.event.is_set() and not self._told_to_stop and self._pid:
            self._told_to_stop = True
            os.kill(self._pid, signal.SIGTERM)

    def close(self) -> None:
        """Returns when the process has ended; may be called twice."""
        atexit.unregister(self.close)
        self._calls.close()
        self._loans.close()
        if self._pid:
            pid, self._pid = self._pid, 0
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


class _Child:
    """The process, from its own side."""

    def __init__(
        self,
        name: str,
        served: dict[str, Served],
        calls: socket.socket,
        loans: socket.socket,
        ending: Optional[Ending],
    ) -> None:
        self._name = name
        self._served = served
        self._calls = calls
        self._loans = loans
        self._ending = ending
        self._parent = os.getppid()

    def live(self, user: int, keep: tuple[str, ...], groups: tuple[int, ...], before: Callable[[], None]) -> None:
        """Never returns, and runs nothing of what the process that it was forked from has yet to do."""
        try:
            self._let_go()
            before()
            give_up(user, user, keep, groups)
            (self._ending or Ending()).watch()
            if os.getppid() != self._parent:
                os._exit(1)  # it ended before it was to tell this one
            self._say({"returned": {"user": os.getuid(), **capability_sets()}})
            while True:
                self._serve(messages.receive(self._calls))
        except messages.Broken:
            os._exit(0)
        except BaseException as error:
            with contextlib.suppress(BaseException):
                self._say({"raised": {"kind": type(error).__name__, "message": str(error)}})
        finally:
            os._exit(1)

    def _let_go(self) -> None:
        """Of what was open before it was forked, and of the output, which is read as the task's result."""
        ctypes.CDLL(None).prctl(_PR_SET_NAME, self._name.encode(), 0, 0, 0)
        signal.set_wakeup_fd(-1)  # a signal to this process is not one to that other
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        kept = {0, 1, 2, self._calls.fileno(), self._loans.fileno()}
        for descriptor in {int(name) for name in os.listdir("/proc/self/fd")} - kept:
            with contextlib.suppress(OSError):  # the one of the listing is closed already
                os.close(descriptor)

    def _serve(self, message: dict[str, Any]) -> None:
        try:
            function = self._served[str(message.get("call"))]
            returned = function(message.get("argument"), lambda event: self._say({"progress": event}))
            answer: dict[str, Any] = {"returned": returned}
        except messages.Broken:
            raise
        except Exception as error:  # whatever it is, it is the caller's to handle, who waits for it
            answer = {"raised": {"kind": type(error).__name__, "message": str(error)}}
        self._say(answer)

    def _say(self, message: dict[str, Any]) -> None:
        messages.send(self._calls, message)


def _nothing(asked: dict[str, Any]) -> int:
    raise PermissionError(1, "nothing is lent")


def _returned(message: dict[str, Any]) -> Any:
    raised = message.get("raised")
    if isinstance(raised, dict):
        raise CallError(str(raised.get("kind")), str(raised.get("message")))
    return message.get("returned")
