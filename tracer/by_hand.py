"""A span that a program makes by calling ``Span(...)``: it belongs to no tracer, and is not sent.

What is started under it is sent as ever, and waits for nothing.
"""

from __future__ import annotations

from time import monotonic_ns

from ddmiddleware.tracing.context import LocalTrace
from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.ids import random_bits, trace_id

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ddmiddleware.tracing.context import Context
    from ddmiddleware.tracing.span import Span
    from ddmiddleware.tracing.tracer import Tracer


class _Sender:
    """Stands where a trace has its tracer: the default one, but for what is sent."""

    partial_flush_spans = 1

    def __init__(self, tracer: Tracer, on_finish: Iterable[Callable[[Span], object]] | None) -> None:
        self._tracer = tracer
        self._on_finish = tuple(on_finish or ())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tracer, name)

    def export(self, chunk: list[Span], trace: LocalTrace) -> None:
        """Send what was started under the span, and tell of the end of the span itself."""
        ended = [span for span in chunk if span._parent is None]
        others = [span for span in chunk if span._parent is not None]
        if others:
            self._tracer.export(others, trace)
        for span in ended:
            for callback in self._on_finish:
                with guard:
                    callback(span)


def begin(
    span: Span,
    given_trace_id: int | None,
    span_id: int | None,
    parent_id: int | None,
    start: float | None,
    context: Context | None,
    on_finish: Iterable[Callable[[Span], object]] | None,
) -> None:
    """Start *span*, now where *start* is None, in the trace of *context* or one of its own where no id is given."""
    from ddmiddleware.tracing import default_tracer

    sender: Any = _Sender(default_tracer, on_finish)
    trace = LocalTrace(sender, None if context is None else context._propagated)
    trace.open = 1
    span.trace_id = given_trace_id or (context.trace_id if context is not None else None) or trace_id()
    span.span_id = span_id or random_bits(64) or 1
    span.parent_id = parent_id
    span.error = 0
    span.duration_ns = span._links = span._events = span._parent = span._previous = span._wire = None
    span._meta, span._metrics, span._trace = {}, {}, trace
    span.start_ns = monotonic_ns() + trace.clock_offset if start is None else int(start * 1e9)
