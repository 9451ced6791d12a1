# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a trace has its programs from. Private to the collection.

First the bytecode that came with the collection; where that cannot serve, what this host compiled earlier; and where
there is none, the compiler, if this host may use it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Callable, Optional

from . import bytecode
from .bundle import Bundle
from .bytecode import SOURCES, Object
from .errors import HostError

if TYPE_CHECKING:
    from .store import Store

NEEDED, ALWAYS, NEVER = "needed", "always", "never"
CHOICES = (NEEDED, ALWAYS, NEVER)


class Programs:
    """The programs of a collection, each made ready once."""

    def __init__(self, bundle: Bundle, choice: str = NEEDED, store: Optional[Store] = None) -> None:
        """`choice`: whether to compile: where needed, always (the collection's own bytecode is not used), or never."""
        self._bundle = bundle
        self._choice = choice
        self._given = store
        self._ready: dict[str, Object] = {}

    def provide(self, needed: Iterable[str], stop: Optional[threading.Event] = None) -> dict[str, Object]:
        """The objects of some sources, by source. Raises HostError."""
        needed = list(needed)
        missing: dict[str, str] = {}
        for source in needed:
            if source not in self._ready:
                carried, why = bytecode.carried(self._bundle, source)
                if carried is None or self._choice == ALWAYS:
                    missing[source] = why
                else:
                    self._ready[source] = carried
        if missing:
            self._ready.update(self._compiled(missing, stop))
        return {source: self._ready[source] for source in needed}

    def compile_what_is_not_carried(self, sources: Iterable[str]) -> None:
        """Makes ready what came without bytecode, or is to be compiled all the same. Raises HostError."""
        came = self._bundle.files
        missing = [source for source in sources if self._choice == ALWAYS or bytecode.file_name(source) not in came]
        if missing and self._choice != NEVER:
            self.provide(missing)

    def layouts(self, text: str, compile_it: Callable[[], str]) -> str:
        """What the compiler said of a text about the layout of structs: earlier, or now. Raises HostError."""
        if self._choice == NEVER:
            raise HostError(f"Nothing may be compiled on this host (compiler: {NEVER}).")
        from . import compiler

        key = {**compiler.key(text), "of": "layouts"}
        kept = self._store.read(key)
        if isinstance(kept, str):
            return kept
        said = compile_it()
        self._store.write(key, said)
        return said

    def _compiled(self, why: Mapping[str, str], stop: Optional[threading.Event]) -> dict[str, Object]:
        """The objects of some sources; `why`: why the bytecode of each is not used."""
        if self._choice == NEVER:
            raise HostError(
                f"Nothing may be compiled on this host (compiler: {NEVER}), but {next(iter(why.values()))}. Install the"
                " collection anew, or let the host compile."
            )
        from . import compiler  # with all that starting a process takes: seldom needed

        texts = {source: self._bundle.program(source) for source in why}
        keys = {source: compiler.key(text) for source, text in texts.items()}
        found = {source: self._kept(keys[source], SOURCES[source]) for source in why}
        objects = {source: kept for source, kept in found.items() if kept is not None}
        if len(objects) < len(why):
            wanted = {source: (texts[source], SOURCES[source]) for source in why if source not in objects}
            made, _compiler = compiler.compile_programs(wanted, stop)
            for source, compiled in made.items():
                self._store.write(keys[source], compiled.to_json())
            objects.update(made)
        return objects

    @property
    def _store(self) -> Store:
        if self._given is None:
            from .store import Store  # as the compiler

            self._given = Store()
        return self._given

    def _kept(self, key: dict[str, str], functions: tuple[str, ...]) -> Optional[Object]:
        value = self._store.read(key)
        try:
            return Object.from_json(value) if value is not None and set(functions) == set(value["functions"]) else None
        except (ValueError, TypeError, LookupError, AttributeError):
            return None
