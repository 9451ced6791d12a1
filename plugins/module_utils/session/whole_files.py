# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there whole or not at all, for their owner alone. Private to the collection."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW


class NotUsable(Exception):
    """A file that is not used; the message says what is the matter with it, as the end of a sentence."""


def replace(path: Path, text: str) -> None:
    """Writes a file, mode 0600; what UTF-8 cannot carry is replaced. Raises OSError.

    What is written first has always the same name, so that a killed process leaves one file at most, for the next
    writer to remove. There may be one writer at a time.
    """
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read(path: Path, most_bytes: int) -> str:
    """The text of a file that nobody else could have written. Raises NotUsable, FileNotFoundError."""
    try:
        # Not blocking on a FIFO.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | _FLAGS)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise NotUsable(f"it cannot be opened: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
                raise NotUsable(
                    f"it belongs to uid {status.st_uid} with mode {stat.S_IMODE(status.st_mode):04o}, and only a file"
                    f" that uid {os.geteuid()} alone can write is trusted"
                )
            if status.st_size > most_bytes:
                raise NotUsable(f"it has {status.st_size} bytes, more than {most_bytes}")
            return file.read(most_bytes + 1).decode("utf-8")
    except UnicodeDecodeError:
        raise NotUsable("it is damaged: it is not UTF-8 text") from None
    except OSError as error:
        raise NotUsable(f"it cannot be read: {error.strerror}") from None
