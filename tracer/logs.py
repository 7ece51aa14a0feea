"""Log correlation: the ids of the active span on every ``logging.LogRecord``.

The attributes are always there, empty or ``"0"`` without a trace, so that no format string that names them ever fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.text import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from ddmiddleware.tracing.tracer import Tracer


def correlation(tracer: Tracer) -> dict[str, str]:
    """Return ``dd.trace_id`` (32 hex digits), ``dd.span_id`` (decimal), ``dd.service``, ``dd.env``, ``dd.version``."""
    span = tracer.current_span()
    return {
        "dd.trace_id": f"{span.trace_id:032x}" if span else "0",
        "dd.span_id": str(span.span_id) if span else "0",
        "dd.service": text((span.service if span else tracer.service) or ""),
        "dd.env": tracer.settings["DD_ENV"],
        "dd.version": tracer.settings["DD_VERSION"],
    }


def record_factory(tracer: Tracer, make: Callable[..., Any]) -> Callable[..., Any]:
    """Return a log record factory that calls *make* and adds the correlation attributes to what it gives."""

    def factory(*args: Any, **kwargs: Any) -> Any:
        record = make(*args, **kwargs)
        with guard:
            record.__dict__.update(correlation(tracer))
        return record

    return factory
