# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines with Debian's kernels, booted from a copy of their disk that is thrown away.

A machine reaches no network; it is reached by ssh on a port of 127.0.0.1.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from images import RECIPE, WITH_US, Also, Image, MachineError, do, end_of

_SSH_OPTIONS = (
    *("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=20"),
    *("ServerAliveInterval=15", "ServerAliveCountMax=8"),  # a machine that hangs ends its connections
)


class Reached:
    """A machine as others see it: by ssh, as root, at a port of 127.0.0.1."""

    def __init__(self, kernel: str, release: str, port: int, key: Path) -> None:
        """`kernel`: its name in the recipe; `release`: what `uname -r` says there; `key`: the private key for ssh."""
        self.kernel = kernel
        self.release = release
        self.port = port
        self.key = key

    @classmethod
    def kept(cls, folder: Path) -> Reached:
        """The machine that keep.py keeps, and writes of to the folder."""
        said = json.loads((folder / "machine.json").read_text())
        return cls(said["kernel"], said["release"], said["port"], Path(said["identity_file"]))

    def ssh_command(self, *command: str) -> list[str]:
        """A command line that runs a command line on the machine."""
        options = [word for option in _SSH_OPTIONS for word in ("-o", option)]
        target = ["-i", str(self.key), "-p", str(self.port), "root@127.0.0.1"]
        return ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", *options, *target, *command]

    def ssh(self, command: str, text: str = "", seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Runs a command line on the machine, with `text` as its input. Raises subprocess.TimeoutExpired."""
        return subprocess.run(
            self.ssh_command(command), input=text, capture_output=True, text=True, timeout=seconds, check=False
        )

    def put(self, folder: Path, path: str) -> None:
        """Copies a folder to the machine."""
        packed = subprocess.run(["tar", "-C", str(folder), "-c", "."], check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(self.ssh_command(f"mkdir -p {path} && tar -x -C {path}"), input=packed, check=True, timeout=120)


@dataclass(frozen=True)
class Boot:
    """How a machine is booted: words for its kernel besides, and how many seconds it may take until ssh answers."""

    words: str = ""
    seconds: float = RECIPE["qemu"]["boot_seconds"]


_PLAIN = Boot()


class Machine(Reached):
    """A machine that runs; changes to its disk are lost with it. Use as a context manager, or call `close`."""

    def __init__(self, image: Image, kernel: str, folder: Path, more: Boot = _PLAIN) -> None:
        """Boots, and returns when ssh answers. `folder` takes what the machine writes. Raises MachineError."""
        super().__init__(kernel, image.release, _free_port(), image.key)
        self.image = image
        self._more = more
        self.console = folder / "console.log"
        disk = folder / "disk.qcow2"
        do(folder, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image.disk), str(disk))
        begun = time.monotonic()
        with (folder / "qemu.log").open("wb") as log:
            command = [*WITH_US, *self._command(disk)]
            self._qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._await_ssh(begun + more.seconds, folder / "qemu.log")
        except BaseException:
            self.close()
            raise
        self.boot_seconds = time.monotonic() - begun

    def _command(self, disk: Path) -> list[str]:
        qemu = RECIPE["qemu"]
        return [
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-accel", qemu["accelerator"], "-cpu", qemu["cpu"]),
            *("-smp", str(qemu["cpus"]), "-m", str(qemu["memory_mib"])),
            *("-kernel", str(self.image.vmlinuz), "-initrd", str(self.image.initrd)),
            # The kernel tries its timer for a moment, in which an emulated processor that is not served may miss it.
            *("-append", f"root=/dev/vda rw console=ttyS0 panic=-1 net.ifnames=0 no_timer_check {self._more.words}"),
            *("-drive", f"file={disk},if=virtio,format=qcow2,cache=unsafe"),
            *("-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22"),
            *("-device", "virtio-net-pci,netdev=net,romfile="),
            *("-device", "virtio-rng-pci"),
            *("-serial", f"file:{self.console}"),
        ]

    def _await_ssh(self, until: float, log: Path) -> None:
        while time.monotonic() < until:
            status = self._qemu.poll()
            if status is not None:
                said = end_of(log) + "\n" + (end_of(self.console) if self.console.exists() else "")
                raise MachineError(f"The machine with kernel {self.kernel} ended (qemu's status {status}):\n{said}")
            try:
                if self.ssh("true", seconds=30).returncode == 0:
                    return
            except subprocess.TimeoutExpired:
                continue
            time.sleep(1)
        raise MachineError(
            f"The machine with kernel {self.kernel} did not answer by ssh in {self._more.seconds:g} s:\n"
            f"{end_of(self.console)}"
        )

    def runs(self) -> bool:
        """Whether it has not ended by itself, as by a panic."""
        return self._qemu.poll() is None

    def close(self) -> None:
        """Ends the machine; may be called twice."""
        self._qemu.kill()
        self._qemu.wait()

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def boot(kernel: str, folder: Path, attempts: int = 2, also: Optional[Also] = None, more: Boot = _PLAIN) -> Machine:
    """A running machine. An emulated processor may fail a kernel at its start: then it is tried again, and said."""
    image = Image.provide(kernel, also)
    last: Optional[MachineError] = None
    for attempt in range(attempts):
        place = folder / f"attempt-{attempt + 1}"
        place.mkdir(parents=True)
        try:
            return Machine(image, kernel, place, more)
        except MachineError as error:
            print(f"Attempt {attempt + 1} of {attempts}: {error}")
            last = error
    assert last is not None
    raise last


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
