# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: libraries that a host may lack, declared where they are imported.

A module must import everywhere, also where its libraries are not installed yet, so that what is missing can be said
in one sentence. Imported only inside functions::

    with deps.declare("bashlex"):
        import bashlex

Used while a module's classes are made, so that the name must exist in any case::

    try:
        import pydantic
    except ImportError as error:
        pydantic = deps.absent("pydantic", error)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_missing: dict[str, str] = {}


class MissingLibrary(RuntimeError):
    """A library that an operation needs is not installed; the message is a sentence for the operator."""


@contextmanager
def declare(name: str) -> Iterator[None]:
    """Turn an ImportError in the body into a note that the library *name* is missing."""
    try:
        yield
    except ImportError as error:
        _missing[name] = str(error)
    else:
        _missing.pop(name, None)


def absent(name: str, error: ImportError) -> Any:
    """Note that *name* is missing; gives an object that may be subclassed, called and used as decorator meanwhile."""
    _missing[name] = str(error)
    return _Absent()


def missing(*names: str) -> list[str]:
    """Names of the declared libraries that could not be imported, of *names* only where some are given."""
    return [name for name in _missing if not names or name in names]


def explain(*names: str) -> str:
    """One sentence that names the missing libraries, the Python they are missing for, and what installs them."""
    wanted = missing(*names)
    listed = ", ".join(f"{name} ({_missing[name]})" for name in wanted)
    plural = "libraries are" if len(wanted) > 1 else "library is"
    return (
        f"The Python {plural} missing for {sys.executable}: {listed}. "
        "Run the playbook nannyapi.diagnostics.setup, or its role runtime, which installs what the collection needs."
    )


def require(*names: str) -> None:
    """Raise MissingLibrary, with the sentence of explain(), where one of *names* could not be imported."""
    if missing(*names):
        raise MissingLibrary(explain(*names))


class _Absent:
    """Stands where a library would, while the classes of a module that needs it are defined."""

    def __getattr__(self, name: str) -> _Absent:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> _Absent:
        return self

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()
