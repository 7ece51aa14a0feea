"""The span, under the name of ``ddtrace.span``."""

from ddmiddleware.tracing import Span

__all__ = ["Span"]
