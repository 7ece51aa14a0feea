"""The one place that changes other people's code.

An integration describes calls; this module puts a function in the place of a function, which makes the span, calls the
original exactly once, keeps every error of ours away from the application (_traced.py), and undoes it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import wrapt

from ddmiddleware.integrations._call import Call
from ddmiddleware.integrations._history import Event, event
from ddmiddleware.integrations._options import options_of
from ddmiddleware.integrations._replacement import Replacement, observer
from ddmiddleware.integrations._traced import Describe, Traced, When
from ddmiddleware.integrations._versions import supported
from ddmiddleware.tracing import default_settings, guarded, warn

__all__ = ["Call", "Integration", "Traced"]


# Stands among the wholes that a part is patched for.
_EXPLICIT = "explicit middleware"


class Integration:
    """A library we trace: the version it needs, its constant tags, and what is replaced in it."""

    def __init__(
        self,
        name: str,
        *,
        requires: str = "",
        service: str | None = None,
        kind: str = "",
        db_system: str = "",
        wire: str | None = None,
        parts: tuple[Integration, ...] = (),
        named_by: str = "",
    ) -> None:
        """*service* is the default name of its spans' service; None means the application's own.

        *wire* names what its calls put on the wire (``http``, ``sql``); see _traced.py.
        *parts* are patched and undone along with it; one that several share is undone with the last of them.
        *named_by* is the setting that names the paths: one that is not there is a mistake then, and reported.
        """
        self.name = name
        self.requires = requires
        self.wire = wire
        self.options = options_of(name)
        if service:
            self.options.default_service(service)
        self.tags = {"component": name}
        if kind:
            self.tags["span.kind"] = kind
        if db_system:
            self.tags["db.system"] = db_system
        self.names: dict[str, None] = {}  # of its spans, in the order of the code
        self.replacements: list[Replacement] = []
        self._parts = parts
        self._wholes: set[str] = set()
        self._named_by = named_by
        self.events: dict[str, Event] = {}
        self._awaited: set[str] = set()
        self._supported: bool | None = None
        self.patched = False

    def traced(self, name: str, span_type: str | None = None) -> Callable[[Describe], Traced]:
        """Decorate the function that describes one call; its ``wrapper`` puts spans around a function."""
        return lambda describe: Traced(self, name, span_type, describe)

    def traces(
        self,
        *paths: str,
        name: str,
        type: str | None = None,
        when: When | None = None,
        again: When | None = None,
    ) -> Callable[[Describe], Traced]:
        """Decorate the function that describes one call of any ``module:Class.method`` in *paths*."""

        def register(describe: Describe) -> Traced:
            traced = Traced(self, name, type, describe, when, again)
            for path in paths:
                self._add(path, lambda original, method: traced.wrapper(original, method=method))
            return traced

        return register

    def observes(self, *paths: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Decorate a function that is called with the same arguments right before any of *paths* is."""

        def register(observe: Callable[..., None]) -> Callable[..., None]:
            for path in paths:
                self._add(path, lambda original, _method: observer(observe, original))
            return observe

        return register

    def replaces(self, *paths: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
        """Decorate a function that gets what stands at a path and returns what shall stand there instead.

        What it returns guards itself.
        """

        def register(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
            for path in paths:
                self._add(path, lambda original, _method: build(original))
            return build

        return register

    def adds(self, path: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
        """Decorate a function that returns what a class shall have at a path where only its instances have anything.

        An ``Over`` there comes before what the instances hold, and gives it back when it is gone.
        """

        def register(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
            self.replacements.append(Replacement(path, lambda original, _method: build(original), adds=True))
            return build

        return register

    def _add(self, path: str, build: Callable[[Any, bool], Any]) -> None:
        self.replacements.append(Replacement(path, build))

    def patch(self) -> None:
        """Apply every replacement: now where its module is imported, else as soon as it is."""
        if not default_settings["DD_TRACE_ENABLED"]:
            return
        if self._supported is None:
            self._supported = supported(self.name, self.requires)
        if self.patched or not self._supported:
            return
        self.patched = True
        for part in self._parts:
            part._wholes.add(self.name)
            part.patch()
        for module in dict.fromkeys(replacement.module for replacement in self.replacements):
            if sys.modules.get(module) is not None:
                self._apply(module)
            elif module not in self._awaited:
                self._awaited.add(module)
                wrapt.register_post_import_hook(partial(self._imported, module), module)

    def keep(self) -> None:
        """Patch for explicit middleware, which needs it still when what this is a part of is undone."""
        self._wholes.add(_EXPLICIT)
        self.patch()

    def _imported(self, module: str, _imported: object) -> None:
        self._awaited.discard(module)
        if self.patched:
            self._apply(module)

    def _apply(self, module: str) -> None:
        self.events[module] = event(module)
        for replacement in self.replacements:
            if replacement.module == module:
                with guarded:
                    replacement.apply()
                    if replacement.missing and self._named_by:
                        warn("%s: there is no %s; it is not traced", self._named_by, replacement.path)

    def everything(self) -> tuple[Integration, ...]:
        """Return this integration and its parts."""
        return (self, *self._parts)

    def unpatch(self) -> None:
        """Undo every replacement, whoever still needs it."""
        self.patched = False
        self._wholes.clear()
        for replacement in reversed(self.replacements):
            with guarded:
                replacement.undo()
        for part in self._parts:
            part._wholes.discard(self.name)
            if not part._wholes:
                part.unpatch()
