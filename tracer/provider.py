"""A context provider of the user's own, which keeps the active span somewhere else than in a context variable."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ddmiddleware.tracing.context import ContextProvider
from ddmiddleware.tracing.span import Span

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from ddmiddleware.tracing.context import Context
    from ddmiddleware.tracing.tracer import Tracer


class BaseContextProvider(ABC):
    """Where the active span is kept: ``tracer.configure(context_provider=...)``.

    Spans of ``Tracer.trace`` are activated and found there; middleware and integrations go on with context variables.
    """

    @abstractmethod
    def _has_active_context(self) -> bool:
        """Return whether anything is active."""

    @abstractmethod
    def activate(self, ctx: Span | Context | None) -> None:
        """Make *ctx* the parent of what starts next."""

    @abstractmethod
    def active(self) -> Span | Context | None:
        """Return what is active, or None."""

    def __call__(self) -> Span | Context | None:
        """Return what is active."""
        return self.active()


BaseContextProvider.register(ContextProvider)


class ProvidedSpan(Span):
    """A span whose end restores what was active before it in the tracer's own provider."""

    __slots__ = ()

    def finish(self, finish_time: float | None = None) -> None:
        """End the span, as ``Span.finish`` does."""
        super().finish(finish_time)
        provider = self._trace.tracer.context_provider
        if provider.active() is self:
            provider.activate(self._previous)


def start_provided(tracer: Tracer, name: str, service: str | None, resource: str | None, span_type: str | None) -> Span:
    """Start a span under the one that the tracer's own provider has, and make it the active one there."""
    provider = tracer.context_provider
    previous = provider.active()
    span = tracer._start(name, service, resource, span_type, previous, previous)
    if not span.trace_id:  # a Silence
        return span
    span.__class__ = ProvidedSpan
    provider.activate(span)
    return span
