# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filtered system bus, on a real bus of its own: named methods pass, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.dbus_filter import BusFilter, rules_for
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.sandbox_host import FIRST, bus_account

CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default">
<allow user="*"/><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>
"""


@pytest.fixture
def bus() -> Iterator[str]:
    for program in ("dbus-daemon", "xdg-dbus-proxy", "dbus-send"):
        assert shutil.which(program), f"{program} is missing, which scripts/test-safety installs"
    directory = Path(tempfile.mkdtemp(dir="/run"))
    directory.chmod(0o755)
    (directory / "bus.conf").write_text(CONFIGURATION.format(path=directory / "socket"))
    daemon = subprocess.Popen(
        ["dbus-daemon", f"--config-file={directory / 'bus.conf'}", "--nofork", "--print-address=1"],
        stdout=subprocess.PIPE,
    )
    assert daemon.stdout
    assert daemon.stdout.readline()
    yield str(directory / "socket")
    daemon.kill()
    daemon.communicate()
    shutil.rmtree(directory)


def call(socket: str, method: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [
        "setpriv",
        "--reuid",
        "nobody",
        "--regid",
        str(FIRST),
        "--clear-groups",
        "dbus-send",
        f"--bus=unix:path={socket}",
    ]
    words += ["--print-reply", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus", f"org.freedesktop.DBus.{method}"]
    return subprocess.run([*words, *arguments], capture_output=True, text=True, check=False, timeout=20)


def test_named_methods_pass_and_nothing_else(bus: str) -> None:
    filtered = BusFilter(shutil.which("xdg-dbus-proxy"), bus_account(), (FIRST, FIRST + 1), bus=bus)
    try:
        options = filtered.options(("org.freedesktop.systemd1.Manager.ListUnits",))
        socket = options[options.index("--bind") + 1]
        # The bus itself may be asked what a connection needs; other services are not there.
        assert "org.freedesktop.DBus" in call(socket, "ListNames").stdout
        assert call(bus, "RequestName", "string:org.example.Taken", "uint32:4").returncode == 0
        refused = call(socket, "RequestName", "string:org.example.Name", "uint32:4")
        assert refused.returncode != 0
        assert call(socket, "ReloadConfig").returncode != 0
        assert call(bus, "ReloadConfig").returncode == 0
        # The proxy has the id of who calls; its root, where the whole bus is, is out of reach all the same.
        entered = f"cat /proc/{filtered.running[0][0].pid}/root/etc/hostname"
        words = ["setpriv", "--reuid", "nobody", "--regid", str(FIRST), "--clear-groups", "sh", "-c", entered]
        assert "Permission denied" in subprocess.run(words, capture_output=True, text=True, check=False).stderr
    finally:
        filtered.close()
    assert not Path(socket).exists()


def test_rules_name_the_service_and_the_method() -> None:
    assert rules_for(("org.freedesktop.systemd1.Manager.ListUnits",)) == [
        "--call=org.freedesktop.systemd1=org.freedesktop.systemd1.Manager.ListUnits@/*"
    ]
    assert all("Properties.Get@/*" in rule for rule in rules_for(("org.freedesktop.DBus.Properties.Get",)))
