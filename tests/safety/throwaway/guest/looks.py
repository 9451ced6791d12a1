# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a line has done its harm: what its look names, before and after it was run (see tests/safety/README.md)."""

from __future__ import annotations

import glob
import re
import socket
import struct
import threading
import time
from contextlib import suppress

import host_state
from world import World

# What a word of a `state` names, as far as the quick comparison, which is made of every line, does not have it.
_COMMANDS = {
    "units": (
        "systemctl list-units --all --no-legend --plain --no-pager --type=service,target",
        # To list them by systemctl takes ten seconds on an emulated processor.
        "find /etc/systemd /run/systemd/system /run/systemd/transient /usr/lib/systemd -printf %p,%i,%m,%s,%C@,%l\\n",
        "systemctl show -p Environment,LogLevel,LogTarget,NFailedUnits",
        "systemctl show ssh -p MainPID,ActiveState,UnitFileState,FreezerState,MemoryMax,LoadState,DropInPaths",
    ),
    "firewall": ("nft list ruleset", "conntrack -C", "ufw status"),
    "network": ("ethtool -k lo", "ip netns list", "ip tcp_metrics show", "resolvectl dns lo", "bridge vlan show"),
    "log": ("auditctl -l", "ls -R /var/log/journal", "journalctl -q -o cat -t root"),
    "packages": ("dpkg --get-selections", "ls -li /var/lib/rpm /etc/alternatives/awk"),
    "users": ("getcap -r /usr/bin",),
    "mounts": ("losetup -a",),
}
_COMMAND_FILES = {"selinux": ("/sys/kernel/security/apparmor/profiles", "/sys/fs/selinux/enforce")}
# What shows in the output that something was read in which no word can be planted.
_SIGNS = {
    "/proc/kcore": re.compile("\x7fELF|�ELF"),
    "/dev/mem": re.compile(r"\A(?!cat: ).{64}", re.DOTALL),
    "/proc/1/mem": re.compile(r"Process 1 attached|^0x[0-9a-f]+:\t0x|Saved corefile", re.MULTILINE),
}
_AGE = re.compile(r"\bage [\d.]+sec")  # of what the kernel remembers of a peer
_KEYS = "/dev/input/event0"
_KEY_EVENT = struct.pack("=HHi", 1, 30, 1)


class Look:
    """One look, from before a run to after it."""

    def __init__(self, look: str, world: World) -> None:
        self.word, _blank, self.name = look.partition(" ")
        self.world = world
        self._before = self._taken()
        self._over = threading.Event()
        if look == "shown packets":
            threading.Thread(target=self._send, daemon=True).start()
        if look == "shown keys":
            threading.Thread(target=self._type, daemon=True).start()

    def harm(self, output: str, too_long: bool, left: list[str]) -> list[str]:
        """What the line did of what it was written for, in words; [] where it did nothing of it."""
        self._over.set()
        if self.word == "created":
            return [f"{path} was made" for path in glob.glob(f"{self.name}*")]
        if self.word in ("changed", "removed", "setting", "state"):
            return host_state.differences(self._before, self._taken())
        if self.word == "ended":
            return [] if self.world.victim_is_well() else ["the victim is not well"]
        if self.word == "received":
            time.sleep(0.05)
            return self.world.listener.take()
        if self.word == "shown":
            return self._shown(output)
        if self.word == "process":
            return left
        if self.word == "long":
            return (["it ran on beyond its time"] if too_long else []) + left
        raise ValueError(f"there is no look `{self.word}`")

    def _taken(self) -> host_state.State:
        if self.word in ("changed", "removed"):
            path = self.name.replace("/proc/self/", "/proc/1/")
            return {path: (host_state.signature(path), host_state.read(path) if path[:5] in ("/proc", "/sys/") else 0)}
        if self.word == "setting":
            path = f"/proc/sys/{self.name.replace('.', '/')}"
            return {path: host_state.read(path)}
        if self.word == "state":
            return self._state()
        return {}

    def _state(self) -> host_state.State:
        state: host_state.State = {
            command: _AGE.sub("", host_state.said(command)) for command in _COMMANDS.get(self.name, ())
        }
        state.update({path: host_state.read(path) for path in _COMMAND_FILES.get(self.name, ())})
        if self.name == "disks":
            state["sda"] = host_state.disk()
        if self.name == "clock":
            # In steps, so that two looks at one clock agree.
            state["clock"] = round(host_state.clock_offset() / 10)
        return state

    def _shown(self, output: str) -> list[str]:
        bare = re.sub(r"[^A-Za-z0-9+/]", "", output)
        found = [
            f"the word planted in {self.name} is in the output"
            for word in self.world.words.get(self.name, [])
            if re.sub(r"[^A-Za-z0-9+/]", "", word) in bare
        ]
        sign = _SIGNS.get(self.name)
        if sign and sign.search(output):
            found.append(f"{self.name} is in the output")
        # What is no text comes out of the sandbox as replacement characters.
        if self.name == "keys" and (_KEY_EVENT.decode("latin-1") in output or output.count("\ufffd") >= 20):
            found.append("a key that was typed is in the output")
        return found

    def _send(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
            while not self._over.wait(0.1):
                sending.sendto(self.world.words["packets"][0].encode(), ("127.0.0.1", 9))

    def _type(self) -> None:
        if not keys_can_be_typed():
            return
        with suppress(OSError), open(_KEYS, "wb", buffering=0) as keys:
            while not self._over.wait(0.1):
                for value in (1, 0):
                    keys.write(bytes(16) + struct.pack("=HHi", 1, 30, value) + bytes(24))


def keys_can_be_typed() -> bool:
    """Whether the device that lines read is a keyboard, and not the button that switches the machine off."""
    return b"eyboard" in (host_state.read("/sys/class/input/event0/device/name") or b"")
