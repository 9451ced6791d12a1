# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small kernel, with every kind of record once at least."""

from __future__ import annotations

from dataclasses import dataclass

from btf_builder import Builder

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import btf_records as kinds
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.btf import Btf

SIGNED, CHAR, BOOL = 1, 2, 4
BITFIELD = 24  # where the size of a bitfield is, above its offset


@dataclass
class Kernel:
    """A small kernel: its builder, and the ids of its types by what they are called here."""

    builder: Builder
    ids: dict[str, int]

    def read(self) -> Btf:
        return Btf(self.builder.blob(), "a small kernel")


def small_kernel() -> Kernel:
    """Every kind of record once at least, with the members that `struct sock` and `struct file` are read for."""
    b = Builder()
    ids: dict[str, int] = {}
    ids["int"] = b.integer("int", 4, SIGNED)
    ids["long"] = b.integer("long unsigned int", 8)
    ids["char"] = b.integer("char", 1)
    ids["u8"] = b.integer("unsigned char", 1)
    ids["text"] = b.integer("text", 1, SIGNED | CHAR)
    ids["bool"] = b.integer("_Bool", 1, BOOL)
    ids["u16"] = b.integer("short unsigned int", 2)
    ids["double"] = b.add(kinds.FLOAT, "double", 8)
    ids["__be16"] = b.add(kinds.TYPEDEF, "__be16", ids["u16"])
    ids["const char"] = b.add(kinds.CONST, "", ids["char"])
    ids["const char *"] = b.add(kinds.PTR, "", ids["const char"])
    ids["volatile"] = b.add(kinds.VOLATILE, "", ids["const char *"])
    ids["restrict"] = b.add(kinds.RESTRICT, "", ids["const char *"])
    ids["void *"] = b.add(kinds.PTR, "", 0)
    ids["char[16]"] = b.add(kinds.ARRAY, "", 0, ids["char"], ids["long"], 16)
    ids["matrix"] = b.add(kinds.ARRAY, "", 0, ids["char[16]"], ids["long"], 3)
    ids["flexible"] = b.add(kinds.ARRAY, "", 0, ids["int"], ids["long"], 0)
    ids["secret"] = b.add(kinds.FWD, "secret", 0)
    ids["secret *"] = b.add(kinds.PTR, "", ids["secret"])
    ids["union fwd"] = b.add(kinds.FWD, "hidden", 0, flag=True)
    ports = b.compound(kinds.STRUCT, "", 4, [("skc_dport", ids["__be16"], 0), ("skc_num", ids["u16"], 16)])
    pair = b.compound(kinds.UNION, "", 4, [("skc_portpair", ids["int"], 0), ("", ports, 0)])
    common = b.compound(kinds.STRUCT, "sock_common", 16, [("skc_hash", ids["long"], 0), ("", pair, 64)])
    ids["sock"] = b.compound(
        kinds.STRUCT,
        "sock",
        40,
        [
            ("__sk_common", common, 0),
            ("sk_kern", ids["int"], 128 | 1 << BITFIELD),
            ("sk_type", ids["u16"], 131 | 13 << BITFIELD),
            ("sk_wide", ids["u8"], 134 | 6 << BITFIELD),
            ("sk_private", ids["secret *"], 192),
            ("sk_tail", ids["flexible"], 256),
        ],
        bitfields=True,
    )
    ids["sock *"] = b.add(kinds.PTR, "", ids["sock"])
    ids["old"] = b.compound(
        kinds.STRUCT, "old", 4, [("whole", ids["u16"], 0), ("low", b.integer("int", 4, 0, bits=3, offset=1), 16)]
    )
    dentry = b.first + len(b.records) + 3
    ids["dentry *"] = b.add(kinds.PTR, "", dentry)
    path = b.compound(kinds.STRUCT, "path", 16, [("mnt", ids["void *"], 0), ("dentry", ids["dentry *"], 64)])
    qstr = b.compound(kinds.STRUCT, "qstr", 16, [("hash", ids["long"], 0), ("name", ids["const char *"], 64)])
    members = [("d_parent", ids["dentry *"], 0), ("d_name", qstr, 64), ("d_iname", ids["char[16]"], 192)]
    ids["dentry"] = b.compound(kinds.STRUCT, "dentry", 40, members)
    assert ids["dentry"] == dentry
    ids["file"] = b.compound(kinds.STRUCT, "file", 32, [("f_mode", ids["int"], 0), ("f_path", path, 64)])
    ids["pid_type"] = b.add(kinds.ENUM, "pid_type", 4, b.name("PID"), 0, b.name("TGID"), 1, b.name("TWIN"), 1, count=3)
    ids["verdict"] = b.add(kinds.ENUM, "verdict", 4, b.name("STOLEN"), 2**32 - 1, count=1, flag=True)
    ids["byte enum"] = b.add(kinds.ENUM, "", 1, b.name("LAST"), 2**32 - 1, count=1)
    ids["wide"] = b.add(kinds.ENUM64, "wide", 8, b.name("TOP"), 1, 2**31, count=1)
    ids["wide signed"] = b.add(kinds.ENUM64, "below", 8, b.name("MINUS"), 2**32 - 2, 2**32 - 1, count=1, flag=True)
    ids["tcp_connect"] = b.function("tcp_connect", ids["int"], [("sk", ids["sock *"])])
    ids["printk"] = b.function("printk", 0, [("fmt", ids["const char *"]), ("", 0)])
    ids["nothing"] = b.function("nothing", ids["void *"], [])
    ids["handler"] = b.add(kinds.PTR, "", b.add(kinds.FUNC_PROTO, "", 0, b.name("sk"), ids["sock *"], count=1))
    ids["install"] = b.function("install", ids["handler"], [("handler", ids["handler"]), ("where", ids["matrix"])])
    ids["jiffies"] = b.add(kinds.VAR, "jiffies", ids["long"], 1)
    ids["data"] = b.add(kinds.DATASEC, ".data", 8, ids["jiffies"], 0, 8, count=1)
    ids["kfunc"] = b.add(kinds.DECL_TAG, "bpf_kfunc", ids["tcp_connect"], 2**32 - 1)
    ids["char __user *"] = b.add(kinds.PTR, "", b.add(kinds.TYPE_TAG, "user", ids["char"]))
    ids["(*)[16]"] = b.add(kinds.PTR, "", ids["char[16]"])
    ids["anonymous"] = ports
    return Kernel(b, ids)


def split() -> tuple[Kernel, Builder]:
    """A module on top of the small kernel, with a struct of its own that the kernel only declares."""
    kernel = small_kernel()
    module = Builder(kernel.builder)
    module.compound(kinds.STRUCT, "secret", 16, [("key", kernel.ids["sock *"], 64)])
    module.function("mod_connect", kernel.ids["int"], [("sk", kernel.ids["sock *"])])
    return kernel, module
