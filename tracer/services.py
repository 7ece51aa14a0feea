"""Where one service's part of a trace begins."""

from __future__ import annotations

from ddmiddleware.tracing.constants import TOP_LEVEL

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from ddmiddleware.tracing.span import Span


def note_top_level(span: Span, parent: Span) -> None:
    """Mark *span* if it is of another service than *parent*: it counts in its service's statistics then.

    Called where a service is given, so that spans which inherit theirs pay nothing.
    """
    if span.service != parent.service:
        span._metrics[TOP_LEVEL] = 1
    else:
        span._metrics.pop(TOP_LEVEL, None)
