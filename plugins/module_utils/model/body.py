# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: the body of a response in pieces, none of them larger than its limit.

Nothing compressed is asked for. What comes compressed all the same is unpacked piece by piece: the HTTP library does it
chunk by chunk, and a few kilobytes can stand for gigabytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from .. import deps

try:
    import httpx
except ImportError as error:
    httpx = deps.absent("httpx", error)

_LARGEST_PIECE = 65_536
_GZIP_OR_ZLIB = 47  # window bits by which zlib finds out itself


def pieces(response: httpx.Response) -> Iterator[bytes]:
    """The body, unpacked. Raises what the HTTP library raises."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        yield from response.iter_raw()
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise httpx.DecodingError(f"it is compressed ({encoding[:40]!r}), which was not asked for")
    unpacking = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        for chunk in response.iter_raw():
            left = chunk
            while left and not unpacking.eof:
                yield unpacking.decompress(left, _LARGEST_PIECE)
                left = unpacking.unconsumed_tail
    except zlib.error as error:
        raise httpx.DecodingError(f"its compression is damaged ({error})") from None
