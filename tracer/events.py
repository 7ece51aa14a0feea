"""What a span carries beside tags: links to other spans, and events (https://opentelemetry.io/docs/specs/otel/trace/api)."""

from __future__ import annotations

from time import time_ns

from ddmiddleware.tracing.errors import error_tags
from ddmiddleware.tracing.tags import INFINITE, INT64
from ddmiddleware.tracing.text import text

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Mapping

    Value = str | bool | int | float | list[str] | list[bool] | list[int] | list[float]
    Event = tuple[str, int, dict[str, Value]]

PER_SPAN_MAX = 128  # as OpenTelemetry's limits for events and links of a span, and for attributes of each


def link(
    trace_id: int, span_id: int, tracestate: str | None, flags: int | None, attributes: Mapping[str, object] | None
) -> dict[str, object]:
    """Return a span link as the agent's protocol has it: ids in hex, attributes as text."""
    made: dict[str, object] = {"trace_id": f"{trace_id:032x}", "span_id": f"{span_id:016x}"}
    if tracestate:
        made["tracestate"] = text(tracestate)
    if flags is not None:
        made["flags"] = int(flags)
    if attributes:
        made["attributes"] = {text(key): text(value) for key, value in list(attributes.items())[:PER_SPAN_MAX]}
    return made


def event(name: str, attributes: Mapping[str, object] | None, time_unix_nano: int | None) -> Event:
    """Return a span event: its name, its time in nanoseconds since the epoch, its attributes."""
    kept = {text(key): _value(value) for key, value in list((attributes or {}).items())[:PER_SPAN_MAX]}
    return text(name), time_ns() if time_unix_nano is None else int(time_unix_nano), kept


def exception_event(
    error: BaseException,
    attributes: Mapping[str, object] | None,
    time_unix_nano: int | None,
    escaped: bool,
    frames: int,
) -> Event:
    """Return the event ``exception`` of *error* (OpenTelemetry semantic conventions for exceptions).

    *frames* is how many of its stack are kept.
    """
    kind, message, stack = error_tags(error, None, frames).values()
    described: dict[str, object] = {
        "exception.type": kind,
        "exception.message": message,
        "exception.stacktrace": stack,
    }
    if escaped:
        described["exception.escaped"] = True
    return event("exception", {**described, **(attributes or {})}, time_unix_nano)


def _value(value: object) -> Value:
    """Return an attribute's value: text, a truth value, a number, or a list of one of these; all else as text."""
    if isinstance(value, (bool, int, float)) and _fits(value):
        return value
    if isinstance(value, (list, tuple)) and value:
        kind = type(value[0])
        if kind in (str, bool, int, float) and all(
            type(item) is kind and (kind is str or _fits(item)) for item in value
        ):
            return list(value)
    return text(value)


def _fits(number: float) -> bool:
    """Return whether *number* is one on the wire: finite, and of 64 bits if it is whole."""
    return -INFINITE < number < INFINITE if isinstance(number, float) else -INT64 <= number < INT64
