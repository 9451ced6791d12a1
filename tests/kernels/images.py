# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks for virtual machines with Debian's kernels: built once, kept in the cache.

Building needs root and a Debian mirror (NANNYAPI_DEBIAN_MIRROR).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import yaml

HERE = Path(__file__).resolve().parent
RECIPE: dict[str, Any] = yaml.safe_load((HERE / "cases" / "machines.yml").read_text())
KERNELS: tuple[str, ...] = tuple(RECIPE["kernels"])
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nannyapi-diagnostics" / "machines"

_MIRROR = os.environ.get("NANNYAPI_DEBIAN_MIRROR", "http://deb.debian.org/debian").rstrip("/")
_BASE, _KERNEL = HERE / "base.sh", HERE / "kernel.sh"
_IMAGE_BYTES = 6 << 30  # sparse
_BUILD_SECONDS = 3600
# What no longer has a parent must not go on.
WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")


class MachineError(Exception):
    """A machine that could not be built or did not come up; says why, with the end of what it printed."""


@dataclass(frozen=True)
class Also:
    """What an image has besides: a script that is run inside the root file system before the kernel is added."""

    name: str
    script: Path
    arguments: tuple[str, ...] = ()


class Image:
    """A disk and its kernel: `folder` has root.img, vmlinuz, initrd and the key pair `user`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disk = folder / "root.img"
        self.key = folder / "user"
        self.vmlinuz = folder / "vmlinuz"
        self.initrd = folder / "initrd"
        # What `uname -r` says there, such as 6.1.0-32-amd64.
        self.release = (folder / "release").read_text().strip()

    @classmethod
    def provide(cls, kernel: str, also: Optional[Also] = None) -> Image:
        """The image that the recipe describes for a kernel, from the cache or newly built. Raises MachineError.

        `also`: what it has besides; it is then an image of its own.
        """
        CACHE.mkdir(parents=True, exist_ok=True)
        with locked(CACHE / "build.lock"):
            base = _provide("base", _base_key(), _build_base)
            key = [base.name, _KERNEL.read_text(), RECIPE["kernels"][kernel]]
            if also is None:
                return cls(_provide(kernel, key, lambda folder: _build_kernel(base, kernel, folder)))
            key += [also.script.read_text(), *also.arguments]
            return cls(_provide(f"{kernel}-{also.name}", key, lambda folder: _build_kernel(base, kernel, folder, also)))


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else is in here with the same path."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _base_key() -> list[Any]:
    return [_MIRROR, RECIPE["release"], RECIPE["packages"], _BASE.read_text()]


def _provide(name: str, key: list[Any], build: Any) -> Path:
    """The folder of the cache for what `build` makes; it is built under another name until it is complete."""
    folder = CACHE / f"{name}-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]}"
    if not folder.exists():
        building = folder.with_name(f"{folder.name}.building")
        for abandoned in CACHE.glob("*.building"):
            shutil.rmtree(abandoned)
        building.mkdir(mode=0o700)
        build(building)
        building.rename(folder)
    return folder


def _build_base(folder: Path) -> None:
    """What machines share: a root file system without a kernel, as a folder, and the key pair of its root."""
    root = folder / "root"
    do(folder, "debootstrap", "--variant=minbase", RECIPE["release"], str(root), _MIRROR)
    _inside(folder, _BASE, _MIRROR, RECIPE["release"], *RECIPE["packages"])
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "user")], check=True)
    (root / "root" / ".ssh").mkdir(mode=0o700, exist_ok=True)
    shutil.copy(folder / "user.pub", root / "root" / ".ssh" / "authorized_keys")


def _build_kernel(base: Path, kernel: str, folder: Path, also: Optional[Also] = None) -> None:
    recipe, root = RECIPE["kernels"][kernel], folder / "root"
    do(folder, "cp", "-a", "--reflink=auto", str(base / "root"), str(root))
    # The names of hosts are found as they are here, until the machine has its own way.
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    if also is not None:
        _inside(folder, also.script, *also.arguments)
    _inside(
        folder,
        _KERNEL,
        _MIRROR,
        recipe["image"],
        recipe["headers"],
        recipe.get("how", "installed"),
        *recipe.get("suites", []),
    )
    for name in ("release", "vmlinuz", "initrd"):
        shutil.copy(root / "boot" / name, folder / name)
    for name in ("user", "user.pub"):
        shutil.copy(base / name, folder / name)
    with (folder / "root.img").open("wb") as disk:
        disk.truncate(_IMAGE_BYTES)
    do(folder, "mkfs.ext4", "-q", "-F", "-d", str(root), str(folder / "root.img"))
    shutil.rmtree(root)


def _inside(folder: Path, script: Path, *arguments: str) -> None:
    """Runs a script inside the root file system; mounts and processes of the inside end with it."""
    root = folder / "root"
    shutil.copy(script, root / "inside.sh")
    inside = f'mount -t proc proc "{root}/proc" && exec chroot "{root}" sh /inside.sh "$@"'
    do(folder, "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", inside, "sh", *arguments)
    (root / "inside.sh").unlink()


def do(folder: Path, *command: str) -> None:
    """Runs a step of the build; what it prints goes to build.log. Raises MachineError."""
    path = folder / "build.log"
    with path.open("ab") as log:
        log.write(f"+ {' '.join(command)}\n".encode())
        log.flush()
        try:
            done = subprocess.run(
                [*WITH_US, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=_BUILD_SECONDS,
                check=False,
            )
            status = f"ended with status {done.returncode}" if done.returncode else ""
        except subprocess.TimeoutExpired:
            status = f"did not end within {_BUILD_SECONDS} s"
    if status:
        raise MachineError(f"Building a machine: {command[0]} {status}. It said, at last:\n{end_of(path)}")


def end_of(path: Path, lines: int = 25) -> str:
    """The last lines of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
