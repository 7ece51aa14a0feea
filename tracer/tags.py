"""How the value of a tag is stored: as text, as a number, or as what a special key asks for."""

from __future__ import annotations

from ddmiddleware.tracing.constants import (
    MANUAL_DROP_KEY,
    MANUAL_KEEP_KEY,
    SERVICE_KEY,
    SERVICE_VERSION_KEY,
    SPAN_MEASURED_KEY,
    USER_KEEP,
    USER_REJECT,
    VERSION_KEY,
)
from ddmiddleware.tracing.services import note_top_level
from ddmiddleware.tracing.text import text

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from ddmiddleware.tracing.span import Span

SPECIAL = frozenset(
    (MANUAL_KEEP_KEY, MANUAL_DROP_KEY, SERVICE_KEY, SERVICE_VERSION_KEY, SPAN_MEASURED_KEY, "network.destination.port")
)
INT64 = 1 << 63
INFINITE = float("inf")


def set_text(span: Span, key: str, value: object) -> None:
    """Set a tag to the text of *value*."""
    span._meta[key] = text(value)
    span._metrics.pop(key, None)


def set_special(span: Span, key: str, value: object) -> None:
    """Do what one of the SPECIAL keys asks for."""
    if key == MANUAL_KEEP_KEY:
        span._trace.set_priority(USER_KEEP)
    elif key == MANUAL_DROP_KEY:
        span._trace.set_priority(USER_REJECT)
    elif key == SERVICE_KEY:
        span.service = None if value is None else text(value)
        if span._parent is not None:
            note_top_level(span, span._parent)
    elif key == SERVICE_VERSION_KEY:
        span._meta[SERVICE_VERSION_KEY] = span._meta[VERSION_KEY] = text(value)
    elif key == SPAN_MEASURED_KEY:
        set_number(span, key, 0 if value in (False, 0, "0") else 1)
    elif isinstance(value, (str, int, float)):
        try:
            port = int(value)
        except (ValueError, OverflowError):  # no number, or one without end
            return
        if 0 <= port < 1 << 16:
            set_number(span, key, port)


def set_number(span: Span, key: str, value: float) -> None:
    """Set a metric; an integer beyond 64 bits becomes a tag, what is not finite is left out."""
    if isinstance(value, float):
        value = float(value)
        if -INFINITE < value < INFINITE:
            span._metrics[key] = value
            span._meta.pop(key, None)
    elif -INT64 <= value < INT64:
        span._metrics[key] = int(value)
        span._meta.pop(key, None)
    else:
        set_text(span, key, f"{value:#x}" if value.bit_length() > 4096 else str(value))
