"""Filters of finished chunks, under the names of ``ddtrace.filters``."""

from ddmiddleware.tracing import FilterRequestsOnUrl, TraceFilter

__all__ = ["FilterRequestsOnUrl", "TraceFilter"]
