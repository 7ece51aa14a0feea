"""One call of a patched function, as an integration sees it."""

from __future__ import annotations

from collections.abc import MutableMapping
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from ddmiddleware.integrations._options import Options
from ddmiddleware.tracing import Span, headers_to_add, inject_headers


class View(Protocol):
    """A shorter way to the headers of a request than the library's own mapping."""

    def names(self) -> AbstractSet[str]:
        """Return their names, in lower case."""

    def add(self, ours: dict[str, str]) -> None:
        """Add headers of which none is there."""


class Call:
    """One call of a patched function, as an integration sees it: what was passed, and the span that stands for it.

    Text goes to ``tags``, numbers to ``metrics``.
    """

    __slots__ = ("_args", "_first", "_kwargs", "metrics", "options", "span", "tags", "within")

    def __init__(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], first: int, options: Options, within: bool
    ) -> None:
        """*within* says that ``span`` is the outer library's, which stands for the same message."""
        self.options = options
        self.within = within
        self.span: Span
        self.tags: dict[str, str]
        self.metrics: dict[str, float]
        self._args = args
        self._kwargs = kwargs
        self._first = first

    @property
    def self(self) -> Any:
        """The instance that the method was called on."""
        return self._args[0]

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments, without ``self``."""
        return self._args[self._first :]

    @property
    def kwargs(self) -> dict[str, Any]:
        """The arguments passed by name."""
        return self._kwargs

    def arg(self, position: int, name: str, default: Any = None) -> Any:
        """Return an argument, however the caller passed it; *position* does not count ``self``."""
        position += self._first
        return self._args[position] if len(self._args) > position else self._kwargs.get(name, default)

    def set_arg(self, position: int, name: str, value: Any) -> None:
        """Have the original called with another value for an argument, passed as the caller passed it.

        One that the caller left out is passed by name.
        """
        position += self._first
        if len(self._args) > position:
            self._args = (*self._args[:position], value, *self._args[position + 1 :])
        else:
            self._kwargs = {**self._kwargs, name: value}

    def inject(self, headers: MutableMapping[str, str], view: View | None = None) -> dict[str, str]:
        """Add the headers that continue the trace, and return them.

        A trace context and a baggage that the caller set itself stay as they are. *view* is a shorter way to *headers*.
        """
        if view is None:
            return inject_headers(self.span.context, headers)
        ours = headers_to_add(self.span.context, view.names())
        view.add(ours)
        return ours
