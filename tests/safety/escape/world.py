# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an attempt attacks: files, processes and listeners made for it alone, and what became of them."""

from __future__ import annotations

import ctypes
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
METADATA = "169.254.169.254"
_CLONE_NEWNET = 0x40000000
_SCRATCH = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/run/lock")
_LEFTOVER = "31.4159"


@contextmanager
def network_of_its_own() -> Iterator[None]:
    """A network namespace with loopback and a cloud's metadata address on it; the caller's is restored."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET)")
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["ip", "address", "add", f"{METADATA}/32", "dev", "lo"], check=True)
        yield
    finally:
        libc.setns(before, _CLONE_NEWNET)
        os.close(before)


class World:
    """Made for one attempt, thrown away after it."""

    def __init__(self, account: int) -> None:
        self.name = f"esc{secrets.token_hex(4)}"
        self.canary = f"canary-{secrets.token_hex(8)}x"
        self.directory = Path(tempfile.mkdtemp(prefix="escape-", dir="/var/lib"))
        self.heard: list[bytes] = []
        self.sockets: list[socket.socket] = []
        self._files()
        self.shm = ctypes.CDLL(None).shmget(0, 4096, 0o1666)
        self.victim, self.address, self.fd = self._process("root.txt", [])
        number = str(account)
        as_account = ["setpriv", "--reuid", number, "--regid", number, "--clear-groups"]
        self.peer, self.peer_address = self._process("secret.txt", as_account)[:2]
        self.port = self._listen()
        self.before = self._snapshot()

    def _files(self) -> None:
        directory = self.directory
        directory.chmod(0o755)
        for name, mode in (("victim.txt", 0o666), ("secret.txt", 0o644), ("root.txt", 0o600), ("held.txt", 0o644)):
            content = self.canary + "\n" if name in ("secret.txt", "root.txt") else "as it was\n"
            (directory / name).write_text(content)
            (directory / name).chmod(mode)
        for name, mode in (("open", 0o777), ("masked", 0o755), ("journal", 0o777)):
            (directory / name).mkdir()
            (directory / name).chmod(mode)
        (directory / "masked/key").write_text(self.canary)
        shutil.copy("/bin/cat", directory / "suid_cat")
        (directory / "suid_cat").chmod(0o4755)

    def _process(self, reads: str, account: list[str]) -> tuple[subprocess.Popen[str], int, int]:
        words = [*account, "/usr/bin/python3", "-I", str(HERE / "victim.py"), str(self.directory / reads)]
        words += [] if account else [str(self.directory / "held.txt")]
        if account:
            # The account may not read this checkout.
            words[words.index(str(HERE / "victim.py"))] = str(self._copy("victim.py"))
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"CANARY": self.canary},
            cwd="/",
            start_new_session=True,
        )
        assert process.stdout
        address, descriptor = process.stdout.readline().split()
        return process, int(address), int(descriptor)

    def _copy(self, name: str) -> Path:
        shutil.copy(HERE / name, self.directory / name)
        (self.directory / name).chmod(0o644)
        return self.directory / name

    def _listen(self) -> int:
        tcp = socket.socket()
        tcp.bind(("0.0.0.0", 0))
        port = int(tcp.getsockname()[1])
        path = self.directory / "engine.sock"
        for kind, family, address in (
            (socket.SOCK_STREAM, socket.AF_UNIX, str(path)),
            (socket.SOCK_STREAM, socket.AF_UNIX, f"\0{self.name}"),
            (socket.SOCK_DGRAM, socket.AF_UNIX, f"\0{self.name}.dgram"),
            (socket.SOCK_DGRAM, socket.AF_INET, ("0.0.0.0", port)),
        ):
            made = socket.socket(family, kind)
            made.bind(address)
            self.sockets.append(made)
        path.chmod(0o666)
        self.sockets.append(tcp)
        for made in self.sockets:
            if made.type == socket.SOCK_STREAM:
                made.listen()
            threading.Thread(target=self._hear, args=(made,), daemon=True).start()
        return port

    def _hear(self, listening: socket.socket) -> None:
        while True:
            try:
                if listening.type == socket.SOCK_STREAM:
                    listening.accept()[0].close()
                    self.heard.append(b"connection")
                else:
                    self.heard.append(listening.recv(1000))
            except OSError:
                return

    def fill(self, text: str) -> str:
        """The text with what stands in braces put in."""
        values = {
            "dir": self.directory,
            "name": self.name,
            "victim": self.victim.pid,
            "peer": self.peer.pid,
            "address": self.address,
            "peer_address": self.peer_address,
            "fd": self.fd,
            "socket": self.directory / "engine.sock",
            "abstract": self.name,
            "port": self.port,
            "metadata": METADATA,
            "shm": self.shm,
            "inode": (self.directory / "secret.txt").stat().st_ino,
        }
        for key, value in values.items():
            text = text.replace(f"{{{key}}}", str(value))
        return text

    def harm(self, output: str) -> list[str]:
        """What the attempt reached, in words; [] where it reached nothing."""
        found = [f"{sign} was shown" for sign in (self.canary, self.canary[:24], "REACHED") if sign in output][:1]
        found += [f"{who} was harmed" for who in ("victim", "peer") if not self._unharmed(getattr(self, who))]
        after = self._snapshot()
        found += [
            f"{path} changed"
            for path in sorted(set(after) | set(self.before))
            if after.get(path) != self.before.get(path)
        ]
        found += ["a listener heard something"] if self.heard else []
        found += [f"process {pid} ran on" for pid in self._left_over()]
        return found

    @staticmethod
    def _unharmed(process: subprocess.Popen[str]) -> bool:
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write("how are you\n")
            process.stdin.flush()
            return process.stdout.readline().strip() == "unharmed"
        except OSError:
            return False

    def _snapshot(self) -> dict[str, str]:
        seen = {}
        for path in self.directory.rglob("*"):
            if path.is_file():
                seen[str(path)] = f"{path.stat().st_mode} {hashlib.sha256(path.read_bytes()).hexdigest()}"
            else:
                seen[str(path)] = str(path.lstat().st_mode)
        for command in ("ip -o address", "nft list ruleset"):
            if shutil.which(command.split()[0]):
                ran = subprocess.run(command.split(), capture_output=True, text=True, check=False)
                seen[f"`{command}`"] = ran.stdout
        for directory in _SCRATCH:
            seen.update({str(path): "there" for path in Path(directory).glob(f"{self.name}*")})
        return seen

    def _left_over(self) -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes()
            except OSError:
                continue
            if _LEFTOVER.encode() in words or self.name.encode() in words.split(b"\0")[0]:
                found.append(int(path.parent.name))
        return found

    def close(self) -> None:
        """Takes away everything that was made, also by the attempt."""
        for process in (self.victim, self.peer):
            process.kill()
            process.communicate()
        for pid in self._left_over():
            os.kill(pid, 9)
        for made in self.sockets:
            made.close()
        ctypes.CDLL(None).shmctl(self.shm, 0, None)
        subprocess.run(["ip", "address", "delete", "192.0.2.77/32", "dev", "lo"], capture_output=True, check=False)
        if shutil.which("nft"):
            subprocess.run(["nft", "delete", "table", "inet", self.name], capture_output=True, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)
        for directory in _SCRATCH:
            for path in Path(directory).glob(f"{self.name}*"):
                path.unlink(missing_ok=True)
