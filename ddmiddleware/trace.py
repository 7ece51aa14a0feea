"""The tracer and what belongs to it, under the names of ``ddtrace.trace``."""

from ddmiddleware.provider import BaseContextProvider
from ddmiddleware.tracing import Context, FilterRequestsOnUrl, Span, TraceFilter, Tracer
from ddmiddleware.tracing import default_tracer as tracer

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from ddmiddleware.pin import Pin as Pin

__all__ = ["BaseContextProvider", "Context", "FilterRequestsOnUrl", "Span", "TraceFilter", "Tracer", "tracer"]


def __getattr__(name: str) -> object:
    """Load what most programs do not use with its first user."""
    if name == "Pin":
        from ddmiddleware.pin import Pin

        return Pin
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
