# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of tracepoints as a person reads them. Private to the collection.

A field keeps the name that the kernel gives it. What is told of a record beside its fields has the name that it has in
the data of functions and system calls: `source`, `destination`, `device`, `operation`.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Optional

from . import decode, shown_values
from .bundle import Bundle
from .print_format import PrintFormat, parse_print_format
from .record_fields import ENDPOINTS, SOCKET_ADDRESS, RecordFields
from .tracefs import Field, Format

_BLOCK_DEVICES = "/sys/dev/block"  # links by number
_CODE = ("pS", "ps", "pB", "pF", "pf")  # conversions of addresses of code
_SIX = ("AF_INET6", 10)
_SHOWN_ITEMS = 16  # of an array of numbers


class Records(RecordFields):
    """Shows the records of one tracepoint."""

    def __init__(self, form: Format, bundle: Bundle) -> None:
        super().__init__(form, bundle)
        self._operations: Mapping[str, str] = self.known["operations"]
        self._as = {
            name: rule["as"] for rule in reversed(self.known["shown"]) if self.is_of(rule) for name in rule["fields"]
        }
        self._printed = _printed(form, self.known["constants"], bundle.data("kernel_types.json")["names"])
        self._devices: dict[int, Optional[str]] = {}

    def addresses(self, raw: bytes) -> Iterator[int]:
        """The addresses of code in a record."""
        for field in self.form.fields:
            if self._is_code(field) and field.offset + field.size <= len(raw):
                yield _number(field, raw) & (2**64 - 1)

    def _is_code(self, field: Field) -> bool:
        printed, way = self._printed.conversions.get(field.name), self._as.get(field.name)
        return _is_number(field) and (printed in _CODE or way == "code")

    def data(self, raw: bytes, located: Mapping[str, Any], code: Mapping[int, str]) -> dict[str, Any]:
        """What a record says. `located`: what `__data_loc` fields point to, shown; `code`: names of addresses."""
        data: dict[str, Any] = {}
        for field in self.form.fields:
            if field.name.startswith("__pad"):
                continue
            if field.is_location:
                if field.name in located:
                    data[field.name] = located[field.name]
            elif field.offset + field.size > len(raw):
                data[field.name] = "(beyond what is carried of a record)"
            else:
                data[field.name] = self._value(field, raw, code)
        for name, value in self._derived(data, raw):
            data.setdefault(name, value)
        return data

    def _derived(self, data: Mapping[str, Any], raw: bytes) -> Iterator[tuple[str, Any]]:
        for name in ENDPOINTS:
            endpoint = self._endpoint(name, data)
            if endpoint:
                yield name, endpoint
        if self.device is not None and self.device.offset + self.device.size <= len(raw):
            device = self._device_name(_number(self.device, raw))
            if device:
                yield "device", device
        if isinstance(data.get("rwbs"), str):
            operation = self._operation(data["rwbs"])
            if operation:
                yield "operation", operation

    def _endpoint(self, name: str, data: Mapping[str, Any]) -> Optional[str]:
        address, port = ENDPOINTS[name]
        fields = self.fields_of(name)
        if not fields:
            return None
        if len(fields) == 1:  # the field of the address has the port as well
            whole = data.get(address)
            return whole if isinstance(whole, str) and ":" in whole else None
        # Where the family is not told, as before 5.13 in some events, an address of IPv4 is in that of IPv6, mapped.
        six = data.get("family", "AF_INET6") in _SIX and f"{address}_v6" in data
        try:
            host = ipaddress.ip_address(data[f"{address}_v6" if six else address])
        except (KeyError, ValueError):
            return None
        host = getattr(host, "ipv4_mapped", None) or host
        return f"{host}:{data.get(port)}" if host.version == 4 else f"[{host}]:{data.get(port)}"

    def _operation(self, rwbs: str) -> Optional[str]:
        fitting = [start for start in self._operations if rwbs.startswith(start)]
        return self._operations[max(fitting, key=len)] if fitting else None

    def _device_name(self, number: int) -> Optional[str]:
        """The name of a block device, such as `sda1`; None where the number is of none."""
        if number not in self._devices:
            try:
                name: Optional[str] = os.path.basename(os.readlink(f"{_BLOCK_DEVICES}/{decode.device(number)}"))
            except OSError:
                name = None
            self._devices[number] = name
        return self._devices[number]

    def _value(self, field: Field, raw: bytes, code: Mapping[int, str]) -> Any:
        printed = self._printed.conversions.get(field.name, "")
        if field.is_array or not _is_number(field):
            return _array(field, raw[field.offset : field.offset + field.size], printed)
        value = _number(field, raw)
        unsigned = value & ((1 << 8 * field.size) - 1)
        if field.name in self._printed.names:
            named = self._printed.names[field.name].show(unsigned)
            return value if named == unsigned else named
        if field.type == "dev_t":
            return decode.device(value)
        if self._is_code(field):
            return code.get(unsigned, hex(unsigned))
        if field.name in self._as:
            return _shown_as(self._as[field.name], value)
        if field.type.endswith("*") or printed in ("x", "X", "p"):
            return hex(unsigned)
        return bool(value) if field.type in ("bool", "_Bool") else value


def _printed(form: Format, constants: Mapping[str, int], names: Mapping[str, Any]) -> PrintFormat:
    known = {
        name: int(value, 0)
        for entry in names.values()
        for value, name in [*entry.get("values", {}).items(), *entry.get("flags", [])]
        if "strip" not in entry
    }
    bits = {field.name: 8 * field.size for field in form.fields if _is_number(field)}
    return parse_print_format(form.print_format, bits, {**known, **constants})


def _is_number(field: Field) -> bool:
    return field.size in (1, 2, 4, 8) and not field.is_array and not field.is_location


def _number(field: Field, raw: bytes) -> int:
    return int.from_bytes(raw[field.offset : field.offset + field.size], sys.byteorder, signed=field.signed)


def _shown_as(way: str, value: int) -> Any:
    if way == "errno":
        shown = decode.result(value, is_pointer=False)
        return shown.get("error", value)
    return shown_values.way(way)({"value": value})


def _array(field: Field, raw: bytes, printed: str) -> Any:
    if field.is_text:
        return decode.string(raw)
    is_address = "addr" in field.name or printed.startswith(("pI", "pi"))
    if is_address and field.size in (4, 16):
        return str(ipaddress.ip_address(raw))
    if is_address and field.size == SOCKET_ADDRESS:
        return decode.socket_address(raw)["address"]
    if printed.startswith("pM") and len(raw) == 6:
        return raw.hex(":")
    if printed.startswith("pU") and len(raw) == 16:
        import uuid  # rarely needed, and it loads much

        return str(uuid.UUID(bytes=raw))
    return raw.hex()


def located_bytes(kind: str, raw: bytes, length: int) -> Any:
    """What a `__data_loc` field that is no string points to: numbers, CPUs as `0-3,8`, else hex.

    `length` is that of all of it, in bytes; `raw` may be less.
    """
    rest = "…" if length > len(raw) else ""
    if "cpumask" in kind:
        bits = int.from_bytes(raw, sys.byteorder)
        return _ranges(bit for bit in range(8 * len(raw)) if bits >> bit & 1) + rest
    size = next((size for name, size in (("64", 8), ("32", 4), ("16", 2), ("int", 4), ("long", 8)) if name in kind), 1)
    if size == 1:
        return raw.hex() + rest
    items: list[Any] = [
        int.from_bytes(raw[at : at + size], sys.byteorder) for at in range(0, len(raw) - size + 1, size)
    ]
    return items[:_SHOWN_ITEMS] + (["…"] if rest or len(items) > _SHOWN_ITEMS else [])


def _ranges(numbers: Iterable[int]) -> str:
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in ranges)
