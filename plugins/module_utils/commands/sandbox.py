# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: the second fence, in which every command runs whatever the policy thought of it.

bubblewrap makes the namespaces and the mounts and loads the filter of system calls, setpriv gives up being root,
prlimit sets limits, and a shell that is given one line becomes the program: its words are on no command line but its
own, where `ps` and `pgrep -f` would find them. A PID namespace of its own lies over the host's /proc: processes
are seen, none can be signalled or traced by number, and all of it dies with bubblewrap.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import seccomp
from .asking_forms import bounded_asking
from .dbus_filter import BusFilter
from .grants import CAPABILITIES, NOTHING, Grants
from .hidden_processes import hidden_processes
from .launch import Launch
from .listing_forms import bounded
from .programs import ENVIRONMENT
from .sandbox_host import FIRST, LAST, Accounts, Tools, bus_account, find_tools
from .sandbox_mounts import Masks, TooMuchToMask, find_masks
from .trusted_reader import Given, TrustedReader

# They show the mounts that they have themselves, all of them read-only here: they are given the host's table instead.
# The process that bubblewrap sets up becomes theirs only without a PID namespace.
_SHOW_MOUNTS = ("df", "findmnt", "lsblk", "mount", "mountpoint")
_TABLES = ("mounts", "mountinfo")
_OWN_MOUNTS = "These are the sandbox's own mounts, all of them read-only; the host's may differ in that."
# They look for themselves in /proc by their own process id, or show settings that each PID namespace has, or the
# processes of control groups, which the kernel names to its own namespace only.
_FIND_THEMSELVES = (
    *("fuser", "lsof", "pgrep", "pidof", "ps", "top", "w", "pmap", "sysctl"),
    *("systemd-cgls", "systemd-cgtop"),
    # They hand the number of a process to the kernel, for which it is one of their own namespace.
    *("taskset", "chrt", "ionice", "prlimit"),
)
# They run the program that follows their options, and these values of them.
_RUN_ANOTHER = {"timeout": ("-k", "-s", "--kill-after", "--signal"), "nice": ("-n",), "stdbuf": ("-i", "-o", "-e")}
# They tell of names, sizes and use, and write nothing: a /tmp of their own would be taken for the host's.
_LOOK_AT_NAMES = (
    *("ls", "stat", "find", "du", "namei", "getfacl", "lsattr", "readlink", "realpath", "test", "["),
    *(*_SHOW_MOUNTS, "lsof", "fuser"),
)
_SCRATCH = ("/tmp", "/dev/shm")
# It opens /dev/null so at its start, and ends where that fails.
_OPENS_BOTH_WAYS = ("lsof",)
_CHANGE_ACCOUNT = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
# In the sandbox's own /dev, which is gone with it.
_SCRIPT = "/dev/.command"
_PROBE = "the sandbox works"


class SandboxUnavailable(Exception):
    """This host cannot fence commands in; the text is a sentence for the operator."""


@dataclass(frozen=True)
class Bounds:
    """Limits of one program: bytes, processes of the account, open files. Seconds of CPU come with each command.

    How much memory a command may take in all is looked after in `memory_use.py`.
    """

    memory: int = 1 << 30
    processes: int = 128
    files: int = 256
    file_size: int = 64 << 20
    scratch: int = 64 << 20


class Sandbox:
    """bubblewrap on this host. `for_host` says whether it works; one instance serves a diagnosis."""

    name = "bubblewrap"

    def __init__(self, tools: Tools, masks: Masks, bounds: Bounds) -> None:
        self.tools = tools
        self.masks = masks
        self.bounds = bounds
        self.root = os.geteuid() == 0
        self.accounts = Accounts()
        self.proc = hidden_processes()
        self.bus = BusFilter(tools.dbus_proxy, bus_account(), self.accounts.keep()) if self.root else None

    @classmethod
    def for_host(cls, also_secret: tuple[str, ...] = (), bounds: Bounds | None = None) -> Sandbox:
        """A sandbox that was tried. Raises `SandboxUnavailable`."""
        reason = seccomp.available()
        if reason:
            raise SandboxUnavailable(_sentence(reason))
        tools = find_tools()
        if isinstance(tools, str):
            raise SandboxUnavailable(_sentence(tools))
        try:
            masks = find_masks(also_secret)
        except TooMuchToMask as error:
            raise SandboxUnavailable(_sentence(str(error))) from error
        made = cls(tools, masks, bounds or Bounds())
        made.probe()
        return made

    def describe(self) -> dict[str, Any]:
        """What fences commands in, as data."""
        return {
            "name": self.name,
            "commands": "sandboxed",
            "version": self.tools.version,
            "accounts": f"{FIRST} to {LAST}" if self.root else str(os.geteuid()),
            "user_namespace": not self.root,
            "seccomp": True,
            "trusted_reader": self.root and self.tools.perms,
            "dbus_filter": bool(self.bus and self.bus.usable()),
            "reason": None,
        }

    def probe(self) -> None:
        """Runs a command that does nothing. Raises `SandboxUnavailable` where that fails."""
        launch = self.launch("/bin/sh", ["sh", "-c", f"echo '{_PROBE}'"], NOTHING, 10, lambda path: None)
        try:
            ran = subprocess.run(
                launch.arguments,
                pass_fds=launch.descriptors,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=20,
                check=False,
                env=ENVIRONMENT,
                cwd="/",
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SandboxUnavailable(_sentence(f"bubblewrap could not be run ({error})")) from error
        finally:
            launch.close()
        if ran.returncode != 0 or _PROBE not in ran.stdout:
            said = (ran.stderr.strip().splitlines() or ["nothing"])[-1]
            raise SandboxUnavailable(_sentence(f"bubblewrap ended with {ran.returncode} and said: {said}"))

    def launch(
        self, path: str, arguments: list[str], grants: Grants, seconds: float, may_read: Callable[[str], None]
    ) -> Launch:
        """What to start so that `arguments` (the program's name first) run fenced in. Raises OSError."""
        grants, remark = bounded(path, arguments, grants)
        grants, more = bounded_asking(arguments, grants)
        readable = self.root and self.tools.perms
        program = _inner_program(arguments)
        # What is started by another has a number that is not known, and so no table of its own.
        tables = _TABLES if arguments[0] in _SHOW_MOUNTS else ()
        given = TrustedReader(may_read).give(grants.reads, tables) if readable else Given()
        launch = Launch([], notes=given.notes, capabilities=grants.capabilities if self.root else frozenset())
        launch.notes += [*remark, *more]
        if program in _SHOW_MOUNTS and not (tables and readable):
            launch.notes.append(_OWN_MOUNTS)
        launch.on_close.append(given.close)
        try:
            words = [given.renamed.get(word, word) for word in arguments[1:]]
            options = self._options(program, grants, launch)
            options += given.options
            options += self._script(launch, [arguments[0], *words])
            listed = self._memory(launch, b"".join(option.encode(*_ENCODED) + b"\0" for option in options))
            launch.descriptors += given.descriptors
            given.descriptors = []
            launch.arguments = [*self.tools.starter, "--args", str(listed), "--"]
            launch.arguments += [*self._inner(grants, seconds), self.tools.shell, _SCRIPT]
        except BaseException:
            launch.close()
            raise
        return launch

    def close(self) -> None:
        """Ends what was started beside commands."""
        if self.bus is not None:
            self.bus.close()

    def _options(self, program: str, grants: Grants, launch: Launch) -> list[str]:
        capable = bool(grants.capabilities) and self.root
        hides = self.proc.hidden and self.proc.group is None
        seen = hides or program in (*_FIND_THEMSELVES, *_SHOW_MOUNTS)
        families = frozenset(grants.network) | (frozenset({"unix"}) if grants.dbus else frozenset())
        rules = seccomp.CallRules(families, not capable, not seen, program in _OPENS_BOTH_WAYS)
        options = ["--die-with-parent", "--new-session", "--chdir", "/"]
        options += [] if seen else ["--unshare-pid"]
        if self.root:
            for name in (*_CHANGE_ACCOUNT, *(f"CAP_{name}" for name in sorted(grants.capabilities))):
                options += ["--cap-add", name]
        options += self._mounts(program, grants, capable)
        if hides:
            options += ["--proc", "/proc"]
        if grants.dbus and not grants.network:
            # No abstract socket of the host's is to be reached by who may use local sockets.
            options += ["--unshare-net"]
        return [*options, "--seccomp", str(self._memory(launch, seccomp.program(rules)))]

    def _mounts(self, program: str, grants: Grants, capable: bool) -> list[str]:
        options = ["--ro-bind", "/", "/", "--dev", "/dev"]
        if program in _LOOK_AT_NAMES:
            for path in _SCRATCH:
                options += ["--ro-bind", path, path] if os.path.isdir(path) else []
        elif self.tools.perms and self.tools.size:
            options += ["--perms", "1777", "--size", str(self.bounds.scratch), "--tmpfs", "/tmp"]
        else:
            options += ["--tmpfs", "/tmp", "--remount-ro", "/tmp"]
        options += self.masks.options("DAC_READ_SEARCH" in grants.capabilities and capable)
        if grants.dbus and self.bus is not None:
            options += self.bus.options(grants.dbus)
        return options

    def _script(self, launch: Launch, words: list[str]) -> list[str]:
        """bwrap's options for the one line that a shell becomes the program by."""
        descriptor = self._memory(launch, f"exec {shlex.join(words)}\n".encode(*_ENCODED))
        return [*(["--perms", "0444"] if self.tools.perms else []), "--file", str(descriptor), _SCRIPT]

    def _inner(self, grants: Grants, seconds: float) -> list[str]:
        """setpriv around prlimit, around what follows."""
        words: list[str] = []
        if self.root:
            kept = "".join(f",+{name.lower()}" for name in CAPABILITIES if name in grants.capabilities)
            groups = ["--groups", str(self.proc.group)] if self.proc.group is not None else ["--clear-groups"]
            account = group = self.accounts.take()
            if grants.dbus and self.bus is not None and self.bus.usable():
                account, group = int(self.bus.account or account), self.bus.group
            words += [self.tools.setpriv, "--reuid", str(account), "--regid", str(group), *groups]
            words += [f"--inh-caps=-all{kept}", f"--ambient-caps=-all{kept}", f"--bounding-set=-all{kept}"]
            words += ["--no-new-privs", "--pdeathsig", "KILL"]
        bounds = self.bounds
        # Of one byte: with none at all the kernel still gives a core to a program that keeps cores (systemd-coredump).
        words += [self.tools.prlimit, f"--cpu={int(seconds) + 2}", f"--as={bounds.memory}", "--core=1"]
        words += [f"--nproc={bounds.processes}"] if self.root else []
        words += [f"--nofile={bounds.files}", f"--fsize={bounds.file_size}", "--memlock=65536", "--"]
        return words

    @staticmethod
    def _memory(launch: Launch, content: bytes) -> int:
        descriptor = os.memfd_create("sandbox", os.MFD_CLOEXEC)
        launch.descriptors.append(descriptor)
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor


_ENCODED = ("utf-8", "surrogateescape")


def _inner_program(arguments: list[str]) -> str:
    """The program that is run in the end, where others run it: behind `timeout 5` it is still what it is."""
    words = list(arguments)
    while words[0] in _RUN_ANOTHER and len(words) > 1:
        values = _RUN_ANOTHER[words[0]]
        at = 1
        while at < len(words) and words[at].startswith("-"):
            at += 2 if words[at] in values else 1
        at += words[0] == "timeout"  # the seconds
        if at >= len(words):
            break
        words = words[at:]
    return words[0]


def _sentence(reason: str) -> str:
    return (
        f"No command was run, as this host has no working sandbox for them: {reason}. The role runtime installs what is"
        " needed; to run commands with the policy as the only fence, say so for this run (unsandboxed_commands: true)."
    )


__all__ = ["Bounds", "Sandbox", "SandboxUnavailable"]
