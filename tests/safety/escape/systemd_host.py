# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A systemd of its own as PID 1, on a copy of this machine's tree that is thrown away, in namespaces of its own.

What talks to systemd behaves differently on other buses: its library says who it is in another way than D-Bus's own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PATIENCE = 60.0
# A unit that logs, and a target that wants nothing of what this machine has enabled.
_UNITS = {
    "example.service": "[Service]\nExecStartPre=/bin/echo a line of the log\nExecStart=/bin/sleep 1000\n",
    "example.target": "[Unit]\nRequires=basic.target example.service dbus.socket dbus.service\nAfter=basic.target\n",
}
_BOOT = r"""
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cp "$1.units/"* "$1/root/etc/systemd/system/"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs var/log
mkdir -p var/log/journal
mount -t tmpfs tmpfs tmp
mkdir -p run/checkout run/python old
mount --bind "$2" run/checkout
mount --bind "$3" run/python
pivot_root . old
umount -l /old
exec env -i container=test PATH="$PATH" "$4" --system --unit=example.target
"""


@contextmanager
def systemd(checkout: Path, python: Path) -> Iterator[list[str]]:
    """The words that run a command beside it; the checkout is at /run/checkout there, `python` at /run/python."""
    places = ("/lib/systemd/systemd", "/usr/lib/systemd/systemd")
    program = places[0] if os.path.exists(places[0]) else places[1]
    folder = Path(tempfile.mkdtemp(prefix="systemd-"))
    units = folder.with_name(f"{folder.name}.units")
    units.mkdir()
    for name, text in _UNITS.items():
        (units / name).write_text(text)
    apart = ["unshare", "--fork", "--kill-child", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--net"]
    boot = ["sh", "-c", _BOOT, "sh", str(folder), str(checkout), str(python), program]
    log = (folder.parent / f"{folder.name}.log").open("w+")
    started = subprocess.Popen([*apart, *boot], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield _when_it_runs(started, Path(log.name))
    finally:
        started.kill()
        started.wait()
        log.close()
        Path(log.name).unlink()
        shutil.rmtree(units)
        shutil.rmtree(folder)


def _when_it_runs(started: subprocess.Popen[bytes], log: Path) -> list[str]:
    give_up = time.monotonic() + _PATIENCE
    while started.poll() is None and time.monotonic() < give_up:
        children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
        enter = ["nsenter", "--target", children[0], "--all", "--"] if children else ["false"]
        active = subprocess.run([*enter, "systemctl", "is-active", "example.target"], capture_output=True, check=False)
        if active.stdout.strip() == b"active":
            return enter
        time.sleep(0.3)
    raise RuntimeError(f"systemd did not come up: {log.read_text()[-2000:]}")
