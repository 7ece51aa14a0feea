"""How a span begins."""

from __future__ import annotations

from time import monotonic_ns

from ddmiddleware.tracing.context import active
from ddmiddleware.tracing.ids import random_bits
from ddmiddleware.tracing.span import Span

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from ddmiddleware.tracing.context import Context, LocalTrace

_new = object.__new__


def start(
    name: str,
    service: str | None,
    resource: str | None,
    span_type: str | None,
    trace: LocalTrace,
    trace_id: int,
    parent_id: int | None,
    parent: Span | None,
    previous: Span | Context | None,
) -> Span:
    """Make a span that starts now; a function, because a class's call takes twice as long."""
    span = _new(Span)
    span.name = name
    span.service = service
    span.resource = resource or name
    span.span_type = span_type
    span.trace_id = trace_id
    span.span_id = random_bits(64) or 1
    span.parent_id = parent_id
    span.error = 0
    span.duration_ns = None
    span._meta = {}
    span._metrics = {}
    span._links = None
    span._events = None
    span._trace = trace
    span._parent = parent
    span._previous = previous
    span._wire = None
    # No call stands between reading and writing the count, so under the GIL no other thread can come between.
    trace.open += 1
    span.start_ns = monotonic_ns() + trace.clock_offset
    return span


def start_inside(name: str, resource: str | None, span_type: str | None, open_max: int) -> Span | None:
    """Start a span under the active one and make it the active one; most spans begin here.

    Return None where the active one cannot be its parent just so: no open span, or with *open_max* others in its trace.
    """
    previous = active.get()
    if type(previous) is not Span or previous.duration_ns is not None or previous._trace.open >= open_max:
        return None
    span = start(
        name,
        previous.service,
        resource,
        span_type,
        previous._trace,
        previous.trace_id,
        previous.span_id,
        previous,
        previous,
    )
    active.set(span)
    return span
