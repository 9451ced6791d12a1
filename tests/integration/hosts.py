# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are reached by real ssh: an sshd each, in network, PID and mount namespaces of its own.

They share this machine's kernel and file system, and see only their own processes and sockets. What a host writes to
/run, /var/lib/nannyapi and /etc/nannyapi is its own.
"""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

# From the block that is set apart for tests between networks (RFC 2544); it exists in namespaces of these tests only.
_NETWORK = "198.18"
_PYTHON = "/usr/bin/python3"
_UNSHARE = ("unshare", "--net", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child")

_INIT = """
set -e
ip link set lo up
until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done
ip addr add {address}/24 dev eth0
ip link set eth0 up
for folder in /run /var/lib/nannyapi /etc/nannyapi; do mkdir -p $folder; mount -t tmpfs tmpfs $folder; done
# What this machine's user has in there is not part of a host, and bash reads it for each command over ssh.
[ ! -f ~/.bashrc ] || mount --bind /dev/null ~/.bashrc
mkdir -p /run/sshd
exec /usr/sbin/sshd -D -e -f /dev/null -h {keys}/host -o AuthorizedKeysFile={keys}/user.pub -o StrictModes=no \
    -o UsePAM=no -o PidFile=none -o PermitRootLogin=prohibit-password -o ListenAddress={address}
"""


class Host:
    """One such host; `address` is where its sshd listens."""

    def __init__(self, name: str, number: int, keys: Path) -> None:
        self.name = name
        self.address = f"{_NETWORK}.{number}.2"
        self.keys = keys
        self._link = f"nannyapi{number}"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._init = subprocess.Popen(
            [*_UNSHARE, "sh", "-c", _INIT.format(address=self.address, keys=keys)],
            stderr=(keys / f"{name}.log").open("wb"),
        )
        try:
            self.pid = self._first_process()
            _ip("link", "add", self._link, "type", "veth", "peer", "name", "eth0", "netns", str(self.pid))
            _ip("addr", "add", f"{_NETWORK}.{number}.1/24", "dev", self._link)
            _ip("link", "set", self._link, "up")
            self._await_ssh()
        except BaseException:
            self.close()
            raise

    @property
    def absent_neighbour(self) -> str:
        """An address of the host's network at which nobody is."""
        return self.address.rpartition(".")[0] + ".9"

    @property
    def network_address(self) -> str:
        """The address of this machine in the host's network."""
        return self.address.rpartition(".")[0] + ".1"

    def _first_process(self) -> int:
        """The pid, outside, of the namespace's first process."""
        children = Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children")
        for _attempt in range(200):
            found = children.read_text().split()
            # Until it runs sh, unshare's child may still be in our mount namespace.
            if found and Path(f"/proc/{found[0]}/comm").read_text().strip() in ("sh", "sshd"):
                return int(found[0])
            time.sleep(0.05)
        raise AssertionError("the namespaces of a host were not made")

    def _await_ssh(self) -> None:
        for _attempt in range(200):
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex((self.address, 22)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError((self.keys / f"{self.name}.log").read_text())

    def start(self, script: str) -> None:
        """Starts a Python script as a process of this host."""
        entered = ["nsenter", "--target", str(self.pid), "--net", "--pid", "--mount"]
        self._processes.append(subprocess.Popen([*entered, _PYTHON, "-c", script]))

    def close(self) -> None:
        """Ends the host; the kernel ends all of its processes with the first one, and its link with them."""
        self._init.kill()
        self._init.wait()
        for process in self._processes:
            process.wait()


def make_keys(folder: Path) -> Path:
    """A host key and a user's key pair."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    return folder


def inventory(folder: Path, addresses: dict[str, str]) -> Path:
    """An inventory of hosts by name and address."""
    path = folder / "inventory.ini"
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ControlMaster=auto -o ControlPersist=30s"
    lines = [f"{name} ansible_host={address}" for name, address in addresses.items()]
    lines += [
        "[all:vars]",
        "ansible_user=root",
        f"ansible_python_interpreter={_PYTHON}",
        f"ansible_ssh_private_key_file={folder / 'user'}",
        f"ansible_ssh_common_args={options} -o ConnectTimeout=5",
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
