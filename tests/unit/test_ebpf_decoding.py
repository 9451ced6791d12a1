# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the kernel's bytes to what a person reads. The formats under cases/formats are those of a real kernel."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import decode
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracefs import Format, parse_format

FORMATS = Path(__file__).parent / "cases" / "formats"


def form(name: str) -> Format:
    category, _dot, event = name.partition(".")
    return parse_format(category, event, (FORMATS / f"{name}.txt").read_text(encoding="ascii"))


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (2, "ENOENT"),
        (512, "ERESTARTSYS"),
        (513, "ERESTARTNOINTR"),
        (514, "ERESTARTNOHAND"),
        (515, "ENOIOCTLCMD"),
        (516, "ERESTART_RESTARTBLOCK"),
        (517, "EPROBE_DEFER"),
        (4095, "errno 4095"),
    ],
)
def test_an_error_is_told_by_its_name_also_where_user_space_never_sees_it(code: int, name: str) -> None:
    assert decode.result(-code, is_pointer=False) == decode.result(-code, is_pointer=True) == {"error": name}


def test_a_format_gives_fields_and_size() -> None:
    parsed = form("sock.inet_sock_set_state")
    assert parsed.identifier > 0
    assert [field.name for field in parsed.fields][:3] == ["skaddr", "oldstate", "newstate"]
    assert parsed.print_format.strip().startswith('"family=%s')
    assert parsed.record_size == 72
    assert next(field for field in parsed.fields if field.name == "saddr").type == "__u8[4]"


def test_a_located_string_is_recognised() -> None:
    fields = {field.name: field for field in form("sched.sched_process_fork").fields}
    assert fields["child_comm"].is_location
    assert not fields["child_comm"].is_relative
    assert not fields["child_pid"].is_location


def test_the_arguments_of_a_system_call_keep_their_types() -> None:
    fields = {field.name: field.type for field in form("syscalls.sys_enter_connect").fields}
    assert fields == {"__syscall_nr": "int", "fd": "int", "uservaddr": "struct sockaddr *", "addrlen": "int"}


@pytest.mark.parametrize(
    ("raw", "family", "address"),
    [
        (struct.pack("=H", socket.AF_INET) + b"\x15\x38\x7f\0\0\1", "AF_INET", "127.0.0.1:5432"),
        (
            struct.pack("=H", socket.AF_INET6) + b"\0\x35" + bytes(4) + bytes(15) + b"\1" + bytes(4),
            "AF_INET6",
            "[::1]:53",
        ),
        (struct.pack("=H", socket.AF_UNIX) + b"/run/x.sock\0", "AF_UNIX", "/run/x.sock"),
        (struct.pack("=H", socket.AF_UNIX) + b"\0abstract", "AF_UNIX", "@abstract"),
        (struct.pack("=H", socket.AF_NETLINK) + bytes(10), "AF_NETLINK", "(12 bytes)"),
        (struct.pack("=H", 250) + b"xx", "AF_250", "(4 bytes)"),
        (b"", "none", "(empty)"),
        (struct.pack("=H", socket.AF_INET) + b"\x15", "AF_INET", "(3 bytes)"),
    ],
)
def test_a_socket_address_is_shown_as_people_write_it(raw: bytes, family: str, address: str) -> None:
    assert decode.socket_address(raw) == {"family": family, "address": address}


@given(st.binary(max_size=160))
def test_any_bytes_are_some_address(raw: bytes) -> None:
    assert decode.socket_address(raw)["address"] is not None


@pytest.mark.parametrize(
    ("value", "is_pointer", "shown"),
    [
        (0, False, {"result": 0}),
        (17, False, {"result": 17}),
        (-111, False, {"error": "ECONNREFUSED"}),
        (-512, False, {"error": "ERESTARTSYS"}),
        (-517, False, {"error": "EPROBE_DEFER"}),
        (-4095, False, {"error": "errno 4095"}),
        (-4096, False, {"result": -4096}),
        (0x7F0000000000, True, {"result": "0x7f0000000000"}),
    ],
)
def test_a_result_is_an_error_by_name_or_a_value(value: int, is_pointer: bool, shown: dict[str, object]) -> None:
    assert decode.result(value, is_pointer) == shown


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("int", 2**64 - 100, -100),
        ("int", 0xFFFFFF9C, -100),
        ("unsigned int", 2**64 - 1, 2**32 - 1),
        ("umode_t", 0o100644, "0o100644"),
        ("const char *", 0x7FFF0000, "0x7fff0000"),
        ("loff_t", 2**64 - 1, -1),
        ("size_t", 4096, 4096),
    ],
)
def test_an_argument_is_shown_by_its_c_type(kind: str, value: int, shown: object) -> None:
    assert decode.argument(kind, value) == shown


def test_a_string_that_filled_its_buffer_is_marked_as_cut() -> None:
    assert decode.string(b"x" * 159 + b"\0", 160) == "x" * 159 + "…"
    assert decode.string(b"/etc/hosts\0garbage", 160) == "/etc/hosts"
    assert decode.string(b"caf\xe9\0", 160) == "caf\ufffd"
