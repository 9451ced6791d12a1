# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines with Debian's kernels: built once, kept in the cache, booted from a copy that is thrown away.

Building needs root and a Debian mirror (NANNYAPI_DEBIAN_MIRROR). A machine reaches no network; it is reached by ssh on
a port of 127.0.0.1.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import yaml

HERE = Path(__file__).resolve().parent
RECIPE: dict[str, Any] = yaml.safe_load((HERE / "cases" / "machines.yml").read_text())
KERNELS: tuple[str, ...] = tuple(RECIPE["kernels"])

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nannyapi-diagnostics" / "machines"
_MIRROR = os.environ.get("NANNYAPI_DEBIAN_MIRROR", "http://deb.debian.org/debian").rstrip("/")
_INSTALL = HERE / "install.sh"
_IMAGE_BYTES = 6 << 30  # sparse
_BUILD_SECONDS = 3600
_SSH_OPTIONS = (
    *("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=20"),
    *("ServerAliveInterval=15", "ServerAliveCountMax=8"),  # a machine that hangs ends its connections
)
# What no longer has a parent must not go on.
_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")


class MachineError(Exception):
    """A machine that could not be built or did not come up; says why, with the end of what it printed."""


class Image:
    """A root file system and its kernels: `folder` has root.img, the key pair `user`, and a folder for each kernel."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disk = folder / "root.img"
        self.key = folder / "user"

    def release(self, kernel: str) -> str:
        """What `uname -r` says on a machine with the kernel, such as 6.1.0-32-amd64."""
        return (self.folder / kernel / "release").read_text().strip()

    @classmethod
    def provide(cls) -> Image:
        """The image that the recipe describes, from the cache or newly built. Raises MachineError."""
        parts = [(HERE / "cases" / "machines.yml").read_bytes(), _INSTALL.read_bytes(), _MIRROR.encode()]
        folder = _CACHE / hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
        _CACHE.mkdir(parents=True, exist_ok=True)
        with _locked(_CACHE / "build.lock"):
            if not folder.exists():
                for abandoned in _CACHE.glob("*.building"):
                    shutil.rmtree(abandoned)
                building = folder.with_suffix(".building")
                building.mkdir(mode=0o700)
                _build(building)
                building.rename(folder)
        return cls(folder)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(folder: Path) -> None:
    root = folder / "root"
    _do(folder, "debootstrap", "--variant=minbase", RECIPE["release"], str(root), _MIRROR)
    shutil.copy(_INSTALL, root / "install.sh")
    lines = [
        " ".join([name, kernel["headers"], kernel["image"], *kernel.get("suites", [])])
        for name, kernel in RECIPE["kernels"].items()
    ]
    # Mounts and processes of the inside end with it.
    inside = f'mount -t proc proc "{root}/proc" && exec chroot "{root}" sh /install.sh "$@"'
    namespaces = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
    arguments = (_MIRROR, RECIPE["release"], " ".join(RECIPE["packages"]))
    _do(folder, *namespaces, "sh", "-c", inside, "sh", *arguments, text="".join(f"{line}\n" for line in lines))
    (root / "install.sh").unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "user")], check=True)
    (root / "root" / ".ssh").mkdir(mode=0o700, exist_ok=True)
    shutil.copy(folder / "user.pub", root / "root" / ".ssh" / "authorized_keys")
    for kernel in KERNELS:
        shutil.copytree(root / "boot" / "by-name" / kernel, folder / kernel)
    with (folder / "root.img").open("wb") as disk:
        disk.truncate(_IMAGE_BYTES)
    _do(folder, "mkfs.ext4", "-q", "-F", "-d", str(root), str(folder / "root.img"))
    shutil.rmtree(root)


def _do(folder: Path, *command: str, text: str = "") -> None:
    """Runs a step of the build; what it prints goes to build.log. Raises MachineError."""
    path = folder / "build.log"
    with path.open("ab") as log:
        log.write(f"+ {' '.join(command)}\n".encode())
        log.flush()
        try:
            done = subprocess.run(
                [*_WITH_US, *command],
                input=text.encode(),
                stdout=log,
                stderr=log,
                timeout=_BUILD_SECONDS,
                check=False,
            )
            status = f"ended with status {done.returncode}" if done.returncode else ""
        except subprocess.TimeoutExpired:
            status = f"did not end within {_BUILD_SECONDS} s"
    if status:
        raise MachineError(f"Building a machine: {command[0]} {status}. It said, at last:\n{_end_of(path)}")


def _end_of(path: Path, lines: int = 25) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


class Machine:
    """A machine that runs; changes to its disk are lost with it. Use as a context manager, or call `close`."""

    def __init__(self, image: Image, kernel: str, folder: Path) -> None:
        """Boots, and returns when ssh answers. `folder` takes what the machine writes. Raises MachineError."""
        self.image = image
        self.kernel = kernel
        self.console = folder / "console.log"
        self.port = _free_port()
        disk = folder / "disk.qcow2"
        _do(folder, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image.disk), str(disk))
        begun = time.monotonic()
        with (folder / "qemu.log").open("wb") as log:
            command = [*_WITH_US, *self._command(disk)]
            self._qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._await_ssh(begun + RECIPE["qemu"]["boot_seconds"], folder / "qemu.log")
        except BaseException:
            self.close()
            raise
        self.boot_seconds = time.monotonic() - begun

    def _command(self, disk: Path) -> list[str]:
        qemu, boot = RECIPE["qemu"], self.image.folder / self.kernel
        return [
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-accel", qemu["accelerator"], "-cpu", qemu["cpu"]),
            *("-smp", str(qemu["cpus"]), "-m", str(qemu["memory_mib"])),
            *("-kernel", str(boot / "vmlinuz"), "-initrd", str(boot / "initrd")),
            *("-append", "root=/dev/vda rw console=ttyS0 panic=-1 net.ifnames=0"),
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
                said = _end_of(log) + "\n" + (_end_of(self.console) if self.console.exists() else "")
                raise MachineError(f"The machine with kernel {self.kernel} ended (qemu's status {status}):\n{said}")
            try:
                if self.ssh("true", seconds=30).returncode == 0:
                    return
            except subprocess.TimeoutExpired:
                continue
            time.sleep(1)
        seconds = RECIPE["qemu"]["boot_seconds"]
        raise MachineError(
            f"The machine with kernel {self.kernel} did not answer by ssh in {seconds} s:\n{_end_of(self.console)}"
        )

    def ssh_command(self, *command: str) -> list[str]:
        """A command line that runs a command line on the machine."""
        options = [word for option in _SSH_OPTIONS for word in ("-o", option)]
        target = ["-i", str(self.image.key), "-p", str(self.port), "root@127.0.0.1"]
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

    def close(self) -> None:
        """Ends the machine; may be called twice."""
        self._qemu.kill()
        self._qemu.wait()

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def boot(kernel: str, folder: Path, attempts: int = 2) -> Machine:
    """A running machine. An emulated processor may fail a kernel at its start: then it is tried again, and said."""
    image = Image.provide()
    last: Optional[MachineError] = None
    for attempt in range(attempts):
        place = folder / f"attempt-{attempt + 1}"
        place.mkdir(parents=True)
        try:
            return Machine(image, kernel, place)
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
