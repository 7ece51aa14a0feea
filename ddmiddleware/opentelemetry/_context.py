"""What is active, for both APIs: OpenTelemetry's current context is made of our active span and baggage."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Any, cast

from opentelemetry import baggage, trace
from opentelemetry.context.context import Context as OtelContext
from opentelemetry.context.context import _RuntimeContext

from ddmiddleware.opentelemetry._span import BridgedSpan, RemoteSpan, context_of
from ddmiddleware.tracing import Context, Span, active, guarded

_current: ContextVar[OtelContext | None] = ContextVar("ddmiddleware_otel", default=None)


class RuntimeContext(_RuntimeContext):
    """Stands for ``opentelemetry.context``'s own; what is attached is activated, what is active is current."""

    def attach(self, context: OtelContext) -> Token[OtelContext]:
        """Make *context* current, and its span and baggage active; return what ``detach`` takes."""
        before = (_current.get(), active.get())
        _current.set(context)
        with guarded:
            _activate(context)
        return cast("Token[OtelContext]", before)  # whoever attaches only hands it back

    def get_current(self) -> OtelContext:
        """Return the attached context, with the span and the baggage that are active now."""
        context = _current.get() or OtelContext()
        with guarded:
            return _with_active(context)
        return context

    def detach(self, token: Token[OtelContext]) -> None:
        """Make current and active what was before; by value, so that any task may do it."""
        before = cast("Any", token)
        _current.set(before[0])
        active.set(before[1])


def _activate(context: OtelContext) -> None:
    found = context_of(trace.get_current_span(context))
    items = {key: str(value) for key, value in baggage.get_all(context).items()}
    if found is None and items:
        found = Context()
    if found is not None:
        carried = (found if isinstance(found, Context) else found.context)._propagated
        if carried.baggage != items:
            carried.baggage = items
    active.set(found)


def _with_active(context: OtelContext) -> OtelContext:
    found = active.get()
    known = trace.get_current_span(context)
    if isinstance(found, Span):
        if not (isinstance(known, BridgedSpan) and known.span is found):
            context = trace.set_span_in_context(BridgedSpan(found), context)
    elif found is None:
        if known is not trace.INVALID_SPAN:
            context = trace.set_span_in_context(trace.INVALID_SPAN, context)
    elif found.trace_id and not (isinstance(known, RemoteSpan) and known.context is found):
        context = trace.set_span_in_context(RemoteSpan(found), context)
    ours = {} if found is None else (found if isinstance(found, Context) else found.context).get_all_baggage_items()
    if ours != baggage.get_all(context):
        context = baggage.clear(context)
        for key, value in ours.items():
            context = baggage.set_baggage(key, value, context)
    return context
