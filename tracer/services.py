"""Which service a tracer's spans are of, and where one service's part of a trace begins."""

from __future__ import annotations

from ddmiddleware.tracing.constants import TOP_LEVEL

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from ddmiddleware.tracing.span import Span
    from ddmiddleware.tracing.tracer import Tracer


def note_top_level(span: Span, parent: Span) -> None:
    """Mark *span* if it is of another service than *parent*: it counts in its service's statistics then.

    Called where a service is given, so that spans which inherit theirs pay nothing.
    """
    if span.service != parent.service:
        span._metrics[TOP_LEVEL] = 1
    else:
        span._metrics.pop(TOP_LEVEL, None)


def give_service(span: Span, service: str) -> None:
    """Give *service* to a span that inherited its parent's."""
    if service != span.service:
        span.service = service
        span._metrics[TOP_LEVEL] = 1


def follow(tracer: Tracer, changed: str) -> None:
    """Let *tracer* go by what code has set: its spans are of another service from now on, or there are none."""
    if changed == "DD_TRACE_ENABLED":
        tracer.enabled = tracer.settings[changed]
    elif changed in ("DD_SERVICE", "DD_TAGS"):
        tracer.service = tracer.settings.service
