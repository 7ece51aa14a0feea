"""Our headers, by OpenTelemetry's propagation API."""

from __future__ import annotations

from typing import Any

from opentelemetry import baggage, trace
from opentelemetry.context.context import Context as OtelContext
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from ddmiddleware.opentelemetry._span import RemoteSpan, context_of
from ddmiddleware.tracing import EXTRACTED_HEADERS, Context, Span, extract_headers, guarded, inject_headers


class Propagator(TextMapPropagator):
    """Reads and writes the headers of the styles in force (``DD_TRACE_PROPAGATION_STYLE``)."""

    def extract(
        self, carrier: CarrierT, context: OtelContext | None = None, getter: Getter[CarrierT] = default_getter
    ) -> OtelContext:
        """Return *context* with the span and baggage that the headers of *carrier* continue."""
        context = OtelContext() if context is None else context
        with guarded:
            found: dict[str, str] = {}
            for name in EXTRACTED_HEADERS:
                values: Any = getter.get(carrier, name)
                if values:
                    found[name] = values if isinstance(values, str) else ",".join(map(str, values))
            remote = extract_headers(found) if found else None
            if remote is not None:
                if remote.trace_id:
                    context = trace.set_span_in_context(RemoteSpan(remote), context)
                for key, value in remote.get_all_baggage_items().items():
                    context = baggage.set_baggage(key, value, context)
        return context

    def inject(
        self, carrier: CarrierT, context: OtelContext | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Write the headers that continue the span and baggage of *context*, or the current ones."""
        with guarded:
            parent = context_of(trace.get_current_span(context))
            found = parent.context if isinstance(parent, Span) else parent or Context()
            found = found.copy()
            found._propagated.baggage = {key: str(value) for key, value in baggage.get_all(context).items()}
            headers: dict[str, str] = {}
            inject_headers(found, headers)
            for name, value in headers.items():
                setter.set(carrier, name, value)

    @property
    def fields(self) -> set[str]:
        """The headers that ``inject`` may write."""
        return set(EXTRACTED_HEADERS)
