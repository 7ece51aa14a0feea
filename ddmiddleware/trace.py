"""The tracer and what belongs to it, under the names of ``ddtrace.trace``."""

from ddmiddleware.provider import BaseContextProvider
from ddmiddleware.tracing import Context, FilterRequestsOnUrl, Span, TraceFilter, Tracer
from ddmiddleware.tracing import default_tracer as tracer

__all__ = ["BaseContextProvider", "Context", "FilterRequestsOnUrl", "Span", "TraceFilter", "Tracer", "tracer"]
