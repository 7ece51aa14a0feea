"""One timed operation."""

from __future__ import annotations

import sys
from time import monotonic_ns

from ddmiddleware.tracing.constants import ERROR_STACK
from ddmiddleware.tracing.context import NEVER, Context, LocalTrace, active, context_of
from ddmiddleware.tracing.errors import calling_stack, error_tags, is_error
from ddmiddleware.tracing.events import PER_SPAN_MAX, event, exception_event, link
from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.tags import SPECIAL, set_number, set_special, set_text
from ddmiddleware.tracing.text import text

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from ddmiddleware.tracing.events import Event


class Span:
    """A timed operation with a name, tags (text) and metrics (numbers); made by ``Tracer.trace`` and ``start_span``.

    *start_ns* is in nanoseconds since the epoch, *duration_ns* in nanoseconds and None until the span is finished.
    *trace_id* is 128 bits wide, *span_id* and *parent_id* 64; *parent_id* is None for the first span of a trace.
    """

    __slots__ = (
        "__weakref__",
        "_events",
        "_links",
        "_meta",
        "_metrics",
        "_parent",
        "_previous",
        "_trace",
        "_wire",
        "duration_ns",
        "error",
        "name",
        "parent_id",
        "resource",
        "service",
        "span_id",
        "span_type",
        "start_ns",
        "trace_id",
    )

    name: str
    service: str | None
    resource: str
    span_type: str | None
    trace_id: int
    span_id: int
    parent_id: int | None
    error: int
    start_ns: int
    duration_ns: int | None
    _meta: dict[str, str]
    _metrics: dict[str, float]
    _links: list[dict[str, object]] | None
    _events: list[Event] | None
    _trace: LocalTrace
    _parent: Span | None
    _previous: Span | Context | None
    _wire: str | None  # what kind of message on the wire the span stands for, if for one

    def __init__(
        self,
        name: str,
        service: str | None = None,
        resource: str | None = None,
        span_type: str | None = None,
        trace_id: int | None = None,
        span_id: int | None = None,
        parent_id: int | None = None,
        start: float | None = None,
        context: Context | None = None,
        on_finish: Iterable[Callable[[Span], object]] | None = None,
    ) -> None:
        """Make a span by hand, as to test a filter: it is never sent, only given to *on_finish* when it ends."""
        from ddmiddleware.tracing.by_hand import begin

        self.name, self.service, self.resource, self.span_type = name, service, resource or name, span_type
        begin(self, trace_id, span_id, parent_id, start, context, on_finish)

    def finish(self, finish_time: float | None = None) -> None:
        """End the span, at *finish_time* (seconds since the epoch) or now; a second call changes nothing."""
        if self.duration_ns is not None:
            return
        trace = self._trace
        if finish_time is None:
            self.duration_ns = monotonic_ns() + trace.clock_offset - self.start_ns
        else:
            self.duration_ns = max(int(finish_time * 1e9) - self.start_ns, 0)
        current = active.get()
        if current is self:
            active.set(self._previous)
        elif current is not None:
            self._leave(current)
        finished = trace.finished
        finished.append(self)
        trace.open -= 1  # no call in between, as above
        parent = self._parent
        # Below what is still open a span waits for the others; what nobody above waits for might wait for ever.
        orphaned = (parent is None or parent.duration_ns is not None) and trace.flush_at != NEVER
        if orphaned or not trace.open or len(finished) >= trace.flush_at:
            fresh: list[Span] = []
            chunk = trace.finished
            trace.finished = fresh  # nor here: two threads can never take the same list
            if chunk:
                trace.tracer.export(chunk, trace)

    def _finish_active(self, finish_time: float | None = None) -> None:
        """End the span as ``finish`` does, but leave active what is."""
        current = active.get()
        self.finish(finish_time)
        active.set(current)

    def finish_with_ancestors(self) -> None:
        """End the span and all that it stands under in this process."""
        span: Span | None = self
        while span is not None:
            span.finish()
            span = span._parent

    def _leave(self, current: Span | Context | None) -> None:
        """Finish before a span that was started inside and is still active: it must not restore this one."""
        while isinstance(current, Span):
            if current._previous is self:
                current._previous = self._previous
                return
            current = current._previous

    def __enter__(self) -> Span:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if error is not None:
            with guard:
                self.set_exc_info(type(error), error, tb)
        self.finish()

    def set_tag(self, key: str, value: object = None) -> None:
        """Set a tag; numbers become metrics, everything else its text.

        ``manual.keep`` and ``manual.drop`` decide on sampling, ``service.name`` renames the service,
        ``service.version`` also sets ``version``.
        """
        if type(value) is str and type(key) is str and key not in SPECIAL:
            self._meta[key] = value
            if self._metrics:
                self._metrics.pop(key, None)
            return
        key = text(key)
        if key in SPECIAL:
            set_special(self, key, value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            set_number(self, key, value)
        else:
            set_text(self, key, value)

    def set_tag_str(self, key: str, value: str) -> None:
        """Set a tag whose value is known to be text."""
        set_text(self, text(key), value)

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set several tags."""
        for key, value in tags.items():
            self.set_tag(key, value)

    def get_tag(self, key: str) -> str | None:
        """Return a tag's text, or None."""
        return self._meta.get(key)

    def get_tags(self) -> dict[str, str]:
        """Return a copy of all tags."""
        return dict(self._meta)

    def remove_tag(self, key: str) -> None:
        """Drop a tag; a missing one is no error."""
        self._meta.pop(key, None)

    def set_metric(self, key: str, value: float) -> None:
        """Set a number; NaN, infinities and what is no number are left out."""
        if isinstance(value, (int, float)):
            set_number(self, text(key), value)

    def set_metrics(self, metrics: Mapping[str, float]) -> None:
        """Set several numbers."""
        for key, value in metrics.items():
            self.set_metric(key, value)

    def get_metric(self, key: str) -> float | None:
        """Return a metric, or None."""
        return self._metrics.get(key)

    def get_metrics(self) -> dict[str, float]:
        """Return a copy of all metrics."""
        return dict(self._metrics)

    def remove_metric(self, key: str) -> None:
        """Drop a metric; a missing one is no error."""
        self._metrics.pop(key, None)

    def set_exc_info(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Mark the span as failed by *exc_val*: its type, message and stack become tags.

        A closed generator and ``sys.exit(0)`` are no errors.
        """
        if exc_val is not None and is_error(exc_val):
            self.error = 1
            self._meta.update(error_tags(exc_val, exc_tb, self._frames))

    @property
    def _frames(self) -> int:
        return int(self._trace.tracer.settings["DD_TRACE_SPAN_TRACEBACK_MAX_SIZE"])

    def set_traceback(self, limit: int | None = None) -> None:
        """Store the stack of the exception being handled, or else *limit* frames of this call's, as the error's."""
        error = sys.exc_info()[1]
        if error is not None:
            self.set_exc_info(type(error), error, error.__traceback__)
        else:
            self._meta[ERROR_STACK] = calling_stack(self._frames if limit is None else limit)

    def link_span(self, context: Context, attributes: Mapping[str, object] | None = None) -> None:
        """Link this span to another one that caused it but is not its parent."""
        if context.trace_id and context.span_id:
            self.set_link(context.trace_id, context.span_id, attributes=attributes)

    def set_link(
        self,
        trace_id: int,
        span_id: int,
        tracestate: str | None = None,
        flags: int | None = None,
        attributes: Mapping[str, object] | None = None,
    ) -> None:
        """Link this span to the span with these ids (128 and 64 bits)."""
        links = self._links = self._links or []
        if len(links) < PER_SPAN_MAX:
            links.append(link(trace_id, span_id, tracestate, flags, attributes))

    def add_event(
        self, name: str, attributes: Mapping[str, object] | None = None, time_unix_nano: int | None = None
    ) -> None:
        """Note that something happened, now or at *time_unix_nano* (nanoseconds since the epoch)."""
        self._keep(event(name, attributes, time_unix_nano))

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, object] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Note an exception that was handled as an event, at *timestamp* (nanoseconds); the span has not failed."""
        self._keep(exception_event(exception, attributes, timestamp, escaped, self._frames))

    def _keep(self, made: Event) -> None:
        events = self._events = self._events or []
        if len(events) < PER_SPAN_MAX:
            events.append(made)

    @property
    def context(self) -> Context:
        """The ids of this span with what its trace carries."""
        return context_of(self.trace_id, self.span_id, self._trace)

    @property
    def finished(self) -> bool:
        """Whether the span has ended."""
        return self.duration_ns is not None

    @property
    def sampled(self) -> bool:
        """Whether its trace is kept, as far as that is decided; reading it decides nothing."""
        return self._trace.priority is None or self._trace.priority > 0

    @property
    def start(self) -> float:
        """The start, in seconds since the epoch."""
        return self.start_ns / 1e9

    @start.setter
    def start(self, seconds: float) -> None:
        self.start_ns = int(seconds * 1e9)

    @property
    def duration(self) -> float | None:
        """The duration in seconds, or None until the span is finished; to set it ends the span."""
        return None if self.duration_ns is None else self.duration_ns / 1e9

    @duration.setter
    def duration(self, seconds: float) -> None:
        self.finish(self.start + seconds)
        if self.duration_ns is not None:  # a span that records nothing has none
            self.duration_ns = int(seconds * 1e9)

    def now(self) -> float:
        """Return the time by the span's own clock, in seconds since the epoch."""
        return (monotonic_ns() + self._trace.clock_offset) / 1e9

    @property
    def local_root(self) -> Span:
        """The first span of this trace in this process."""
        span = self
        while span._parent is not None:
            span = span._parent
        return span

    def __repr__(self) -> str:
        return f"<Span {self.name!r} resource={self.resource!r} trace_id={self.trace_id} span_id={self.span_id}>"
