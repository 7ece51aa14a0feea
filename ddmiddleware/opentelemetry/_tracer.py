"""OpenTelemetry's provider and tracer over ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context.context import Context as OtelContext
from opentelemetry.trace import Link, SpanKind
from opentelemetry.util._decorator import _agnosticcontextmanager

from ddmiddleware.opentelemetry._span import BridgedSpan, context_of
from ddmiddleware.tracing import default_tracer, guarded


class TracerProvider(trace.TracerProvider):
    """Makes tracers; their name and version are those of the instrumenting library, and not kept."""

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> trace.Tracer:
        """Return a tracer whose spans are ours."""
        return Tracer()


class Tracer(trace.Tracer):
    """Starts spans of ours on behalf of OpenTelemetry's API."""

    def start_span(
        self,
        name: str,
        context: OtelContext | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:
        """Start a span under that of *context*, or the current one; it is not made current."""
        # Without a context, by the rule of our own tracer: a span that has ended is nobody's parent.
        active = default_tracer.context_provider.active()
        parent = active if context is None else context_of(trace.get_current_span(context))
        span = default_tracer.start_span(kind.name.lower(), child_of=parent, resource=name)
        if not default_tracer.enabled:
            return trace.INVALID_SPAN
        bridged = BridgedSpan(span, kind)
        with guarded:
            if start_time is not None:
                span.start_ns = int(start_time)
            span.set_tag_str("span.kind", kind.name.lower())
            bridged.set_attributes(attributes or {})
            for link in links or ():
                bridged.add_link(link.context, link.attributes)
        return bridged

    @_agnosticcontextmanager
    def start_as_current_span(
        self,
        name: str,
        context: OtelContext | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[trace.Span]:
        """Start a span and make it current for the block or the decorated function."""
        span = self.start_span(name, context, kind, attributes, links, start_time)
        with trace.use_span(span, end_on_exit, record_exception, set_status_on_exception) as current:
            yield current
