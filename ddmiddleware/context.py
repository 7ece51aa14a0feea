"""The context of a trace, under the name of ``ddtrace.context``."""

from ddmiddleware.tracing import Context

__all__ = ["Context"]
