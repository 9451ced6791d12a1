# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: the system bus for commands that read from services, with named methods only.

xdg-dbus-proxy runs beside the commands, one for each set of methods, and passes calls of these methods and nothing
else; `dbus_relay.py` stands before it. The bus wants it to have the user id of whoever calls, and a name for that;
its group is another one, so that its root directory, which is the host's, cannot be entered by way of /proc. Without
it such commands find no bus, and say so themselves.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import tempfile
import threading

from .dbus_relay import Relay
from .programs import ENVIRONMENT

BUS = "/run/dbus/system_bus_socket"
_PATIENCE = 5.0


class BusFilter:
    """Proxies of one diagnosis; `close` ends them."""

    def __init__(self, program: str | None, account: int | None, groups: tuple[int, int], bus: str = BUS) -> None:
        self.program = program
        self.account = account
        # Of commands, and of the proxy.
        self.group, self.proxy_group = groups
        self.bus = bus
        self.lock = threading.Lock()
        self.started: dict[tuple[str, ...], str | None] = {}
        self.running: list[tuple[subprocess.Popen[bytes], int, str]] = []
        self.relays: list[Relay] = []

    def usable(self) -> bool:
        """Whether there is a bus and the program that filters it."""
        return self.program is not None and self.account is not None and os.path.exists(self.bus)

    def options(self, methods: tuple[str, ...]) -> list[str]:
        """bwrap's options that put the filtered bus where programs look for it; [] where there is none."""
        with self.lock:
            if methods not in self.started:
                self.started[methods] = self._start(methods) if self.usable() else None
            socket = self.started[methods]
        # /run/dbus is masked: an empty directory in memory that the socket is put into.
        return ["--tmpfs", "/run/dbus", "--bind", socket, BUS, "--remount-ro", "/run/dbus"] if socket else []

    def close(self) -> None:
        """Ends the proxies and removes their sockets."""
        for relay in self.relays:
            relay.close()
        self.relays.clear()
        for process, ready, directory in self.running:
            with contextlib.suppress(OSError):
                os.close(ready)
            process.kill()
            process.wait()
            shutil.rmtree(directory, ignore_errors=True)
        self.running.clear()
        self.started.clear()

    def _start(self, methods: tuple[str, ...]) -> str | None:
        directory = tempfile.mkdtemp(prefix="nannyapi-bus-", dir="/run")
        os.chown(directory, int(self.account or 0), self.proxy_group)
        socket = os.path.join(directory, "proxy")
        ready, told = os.pipe()
        rules = ["--filter", *rules_for(methods)]
        try:
            process = subprocess.Popen(
                [*self._account(), str(self.program), f"--fd={told}", f"unix:path={self.bus}", socket, *rules],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[told],
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
        except OSError:
            os.close(ready)
            shutil.rmtree(directory, ignore_errors=True)
            return None
        finally:
            os.close(told)
        # The proxy ends by itself when the other end of its descriptor is closed: also when this process is killed.
        self.running.append((process, ready, directory))
        answered = select.select([ready], [], [], _PATIENCE)[0]
        if not answered or not os.read(ready, 1):
            return None
        try:
            self.relays.append(Relay(os.path.join(directory, "bus"), socket))
        except OSError:
            return None
        return os.path.join(directory, "bus")

    def _account(self) -> list[str]:
        return [
            *("setpriv", "--reuid", str(self.account), "--regid", str(self.proxy_group), "--clear-groups"),
            *("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"),
        ]


def rules_for(methods: tuple[str, ...]) -> list[str]:
    """The proxy's options for methods written as `interface.method`, on whatever object."""
    rules = []
    for method in methods:
        interface = method.rpartition(".")[0]
        names = _SERVICES if interface.startswith("org.freedesktop.DBus") else [service_of(interface)]
        rules += [f"--call={name}={method}@/*" for name in names]
    return sorted(set(rules))


# Services whose properties may be read; their names are the beginnings of their interfaces.
_SERVICES = [
    f"org.freedesktop.{name}"
    for name in ("systemd1", "login1", "hostname1", "locale1", "timedate1", "timesync1", "network1", "resolve1")
]


def service_of(interface: str) -> str:
    """The service that offers an interface: `org.freedesktop.systemd1.Manager` is of `org.freedesktop.systemd1`."""
    return ".".join(interface.split(".")[:3])
