# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel's memory, laid out by its own type information, and the program that reads it by a plan.

Structs are written by the names of their members, so that one case serves kernels of different layouts; a plan is then
followed pointer by pointer, as bpf/function.c does it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.capture_plan import (
    AT_ENTRY,
    AT_RETURN,
    DENTRY,
    KERNEL_BYTES,
    KERNEL_STRING,
    PATH,
    RESULT,
    USER_BYTES,
    USER_STRING,
    BlobRead,
    Capture,
    FieldRead,
)
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import RequestError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.path_layout import path_layout
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.type_source import TypeSource

KERNEL_START, USER_START = 0xFFFF888000000000, 0x7F0000000000
OBJECT_BYTES = 0x4000  # more than any struct has
EFAULT = 14
PATH_STEPS = 24


class Memory:
    """Bytes by address; what was never written cannot be read."""

    def __init__(self, source: TypeSource) -> None:
        self.source = source
        self._objects: dict[int, bytearray] = {}
        self._next = KERNEL_START
        self._inodes = itertools.count(1000)

    def allocate(self, user: bool = False) -> int:
        """The address of new memory, all zero."""
        self._next += OBJECT_BYTES
        address = self._next - KERNEL_START + USER_START if user else self._next
        self._objects[address] = bytearray(OBJECT_BYTES)
        return address

    def write(self, address: int, data: bytes) -> None:
        base = address - address % OBJECT_BYTES
        self._objects[base][address - base : address - base + len(data)] = data

    def read(self, address: int, size: int) -> Optional[bytes]:
        base = address - address % OBJECT_BYTES
        if base not in self._objects:
            return None
        return bytes(self._objects[base][address - base : address - base + size])

    def number(self, address: int, size: int = 8) -> Optional[int]:
        data = self.read(address, size)
        return None if data is None else int.from_bytes(data, "little")

    def value(self, described: Any) -> int:
        """What a case says an argument is: a number, or an address of what it describes."""
        if isinstance(described, str):
            return int(described, 8)  # YAML has no 0o644 of its own
        if not isinstance(described, Mapping):
            return int(described or 0) & (2**64 - 1)
        if "struct" in described:
            return self.struct(described)
        address = self.allocate(user="user" in described or "user_bytes" in described)
        if "number" in described:
            self.write(address, int(described["number"]).to_bytes(8, "little", signed=described["number"] < 0))
        elif "user_bytes" in described:
            self.write(address, bytes.fromhex(described["user_bytes"]))
        else:
            self.write(address, str(described.get("user", described.get("text"))).encode() + b"\0")
        return address

    def struct(self, described: Mapping[str, Any]) -> int:
        """The address of a struct with the members that a case gives; `a | b` is whichever this kernel has."""
        address = self.allocate()
        for member, value in described.items():
            if member != "struct":
                self.set(address, described["struct"], member, value)
        return address

    def set(self, address: int, struct: str, member: str, value: Any) -> None:
        """Sets a member; pointers on the way to it that point nowhere yet get something to point at."""
        for path in member.split(" | "):
            try:
                location = self.source.locate(struct, path)
            except RequestError:
                continue
            break
        else:
            raise AssertionError(f"{struct} has no {member}")
        for offset in location.hops[:-1]:
            pointer = self.number(address + offset) or self.allocate()
            self.write(address + offset, pointer.to_bytes(8, "little"))
            address = pointer
        self._set(address + location.offset, location.size, value)

    def _set(self, address: int, size: int, value: Any) -> None:
        if isinstance(value, Mapping) and "path" in value:
            self._set_path(address, value["path"], value.get("mounts", []))
        elif isinstance(value, Mapping) and "dentry" in value:
            self.write(address, self.dentries(value["dentry"]).to_bytes(8, "little"))
        elif isinstance(value, Mapping) and "alias" in value:  # an inode leads to the middle of its dentry
            alias = self.dentries(value["alias"]) + self.source.locate("dentry", "d_u.d_alias").offset
            self.write(address, alias.to_bytes(8, "little"))
        elif isinstance(value, Mapping) and "bytes" in value:
            self.write(address, bytes.fromhex(value["bytes"]))
        elif isinstance(value, str) and not value.startswith("0o"):
            self.write(address, value.encode())
        else:
            self.write(address, (self.value(value) & ((1 << 8 * size) - 1)).to_bytes(size, "little"))

    def dentries(self, path: str, root: int = 0, with_root: bool = True) -> int:
        """The dentry of a path, inside of one file system."""
        dentry = root or (self._dentry("/", 0) if with_root else 0)
        for name in filter(None, path.split("/")):
            dentry = self._dentry(name, dentry)
        return dentry or self._dentry("", 0)

    def _dentry(self, name: str, parent: int) -> int:
        dentry, text = self.allocate(), self.allocate()
        self.write(text, name.encode() + b"\0")
        self.set(dentry, "dentry", "d_parent", parent or dentry)
        self.set(dentry, "dentry", "d_name.name", text)
        self.set(dentry, "dentry", "d_name.hash", hash(name) & 0xFFFF)
        self.set(dentry, "dentry", "d_inode->i_ino", next(self._inodes))
        return dentry

    def _set_path(self, address: int, path: str, mounts: Sequence[str]) -> None:
        """A struct path, below as many mounts as are named; a path without a slash has no place in the tree."""
        layout = path_layout(self.source)
        root = self.dentries("")
        mount = self._mount(0, 0, root)
        below, dentry = "", root
        for point in mounts:
            dentry = self.dentries(point[len(below) :], dentry)
            root = self.dentries("")
            mount, dentry, below = self._mount(mount, dentry, root), root, point
        dentry = self.dentries(path[len(below) :], dentry) if path.startswith("/") else self._dentry(path, 0)
        self.write(address + layout.path_mnt, (mount + layout.mount_vfsmount).to_bytes(8, "little"))
        self.write(address + layout.path_dentry, dentry.to_bytes(8, "little"))

    def _mount(self, parent: int, point: int, root: int) -> int:
        mount, layout = self.allocate(), path_layout(self.source)
        self.write(mount + layout.mount_parent, (parent or mount).to_bytes(8, "little"))
        self.write(mount + layout.mount_mountpoint, point.to_bytes(8, "little"))
        self.write(mount + layout.mount_vfsmount + layout.vfsmount_root, root.to_bytes(8, "little"))
        return mount


class Program:
    """Reads a call by a plan."""

    def __init__(self, memory: Memory, capture: Capture) -> None:
        self._memory = memory
        self._capture = capture
        self.values: list[Optional[int]] = [None] * len(capture.fields)
        self.blobs: list[Union[bytes, int]] = [b""] * len(capture.blobs)

    def run(self, when: int, starts: Sequence[int]) -> None:
        """Reads what is to be read at entry, or at return."""
        for index, field in enumerate(self._capture.fields):
            if field.when == when:
                self.values[index] = self._field(field, starts)
        for index, blob in enumerate(self._capture.blobs):
            if blob.when == when:
                self.blobs[index] = self._blob(blob, starts)

    def _follow(self, start: int, hops: Sequence[int]) -> Optional[int]:
        address: Optional[int] = start
        for offset in hops[:-1]:
            address = self._memory.number(address + offset) if address else None
        return address + hops[-1] if address else None

    def _field(self, field: FieldRead, starts: Sequence[int]) -> Optional[int]:
        if not field.hops:
            return starts[field.start]
        address = self._follow(starts[field.start], field.hops)
        return None if address is None else self._memory.number(address, field.size)

    def _blob(self, blob: BlobRead, starts: Sequence[int]) -> Union[bytes, int]:
        if not starts[blob.start]:
            return b""
        address = self._follow(starts[blob.start], blob.hops)
        if address is None or (blob.how in (USER_STRING, USER_BYTES)) == (address >= KERNEL_START):
            return -EFAULT
        if blob.how in (KERNEL_STRING, USER_STRING):
            found = self._memory.read(address, 383)
            return -EFAULT if found is None else found.split(b"\0")[0] + b"\0"
        if blob.how in (KERNEL_BYTES, USER_BYTES):
            found = self._memory.read(address, blob.length)
            return -EFAULT if found is None else found
        layout = path_layout(self._memory.source)
        if blob.how == DENTRY:
            return self._names(address, 0)
        assert blob.how == PATH
        dentry = self._memory.number(address + layout.path_dentry)
        vfsmount = self._memory.number(address + layout.path_mnt)
        return self._names(dentry, vfsmount - layout.mount_vfsmount if vfsmount else 0) if dentry else b""

    def _names(self, dentry: int, mount: int) -> bytes:
        layout, memory, names = path_layout(self._memory.source), self._memory, b""
        for _step in range(PATH_STEPS):
            if mount and memory.number(mount + layout.mount_vfsmount + layout.vfsmount_root) == dentry:
                above = memory.number(mount + layout.mount_parent)
                if not above or above == mount:
                    return names + b"/\0"
                dentry, mount = memory.number(mount + layout.mount_mountpoint) or 0, above
                continue
            name = memory.number(dentry + layout.dentry_name)
            names += (memory.read(name, 128) or b"").split(b"\0")[0] + b"\0" if name else b""
            parent = memory.number(dentry + layout.dentry_parent)
            if parent in (dentry, 0, None):
                break
            dentry = parent or 0
        return names


def follow_call(
    memory: Memory, capture: Capture, arguments: Sequence[int], result: Optional[int]
) -> tuple[dict[str, Any], Optional[str]]:
    """The data of an event, and the key that it is counted under."""
    starts = [*arguments, *[0] * (RESULT - len(arguments)), (result or 0) & (2**64 - 1)]
    program = Program(memory, capture)
    program.run(AT_ENTRY, starts)
    program.run(AT_RETURN, starts)
    data = capture.render(starts[:RESULT], program.values, program.blobs, result)
    if not capture.key and capture.key_blob is None:
        return data, None
    label = None if capture.key_blob is None else program.blobs[capture.key_blob]
    return data, capture.render_key(
        [program.values[index] or 0 for index in capture.key], label if isinstance(label, bytes) else None
    )


def shown(data: dict[str, Any], expected: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """The data, but what says nothing: arguments that were not given, and which address something has."""
    return {
        name: "address" if expected.get(name) == "address" and str(value).startswith("0xffff8") else value
        for name, value in data.items()
        if name in expected or name not in arguments
    }
