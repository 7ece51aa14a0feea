"""Log correlation: what ties a log line to the active span."""

from __future__ import annotations

from ddmiddleware.tracing.text import text

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from ddmiddleware.tracing.tracer import Tracer


class _Keys(dict[str, str]):
    """The keys by today's names, which 1.x's ``context["trace_id"]`` finds too."""

    def __missing__(self, key: str) -> str:
        if f"dd.{key}" in self:
            return self[f"dd.{key}"]
        raise KeyError(key)


def correlation(tracer: Tracer) -> dict[str, str]:
    """Return ``dd.trace_id`` (32 hex digits), ``dd.span_id`` (decimal), ``dd.service``, ``dd.env``, ``dd.version``.

    All are there, and text, with no trace too: ``"0"`` or empty. Each is found without ``dd.`` as well.
    """
    span = tracer.current_span()
    if span is not None and not span.trace_id:  # of a request that is not traced
        span = None
    found = _Keys()
    found["dd.trace_id"] = f"{span.trace_id:032x}" if span else "0"
    found["dd.span_id"] = str(span.span_id) if span else "0"
    found["dd.service"] = text((span.service if span else tracer.service) or "")
    found["dd.env"] = tracer.settings.env
    found["dd.version"] = tracer.settings.version
    return found
