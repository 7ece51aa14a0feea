"""One timed operation."""

from __future__ import annotations

import math
import sys
from time import monotonic_ns

from ddmiddleware.tracing.constants import (
    DECISION_MAKER,
    ERROR_STACK,
    MANUAL_DROP_KEY,
    MANUAL_KEEP_KEY,
    SERVICE_KEY,
    SERVICE_VERSION_KEY,
    SPAN_MEASURED_KEY,
    USER_KEEP,
    USER_REJECT,
    VERSION_KEY,
)
from ddmiddleware.tracing.context import Context, LocalTrace, active
from ddmiddleware.tracing.errors import STACK_FRAMES, calling_stack, error_tags, is_error
from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.text import text

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_SPECIAL = frozenset(
    (MANUAL_KEEP_KEY, MANUAL_DROP_KEY, SERVICE_KEY, SERVICE_VERSION_KEY, SPAN_MEASURED_KEY, "network.destination.port")
)
_INT64 = 1 << 63


class Span:
    """A timed operation with a name, tags (text) and metrics (numbers); made by ``Tracer.trace`` and ``start_span``.

    *start_ns* is in nanoseconds since the epoch, *duration_ns* in nanoseconds and None until the span is finished.
    *trace_id* is 128 bits wide, *span_id* and *parent_id* 64; *parent_id* is None for the first span of a trace.
    """

    __slots__ = (
        "_links",
        "_meta",
        "_metrics",
        "_parent",
        "_previous",
        "_trace",
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
    _trace: LocalTrace
    _parent: Span | None
    _previous: Span | Context | None

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
        if not trace.open or len(finished) >= trace.flush_at:
            fresh: list[Span] = []
            chunk = trace.finished
            trace.finished = fresh  # nor here: two threads can never take the same list
            if chunk:
                trace.tracer.export(chunk, trace)

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
        if type(value) is str and type(key) is str and key not in _SPECIAL:
            self._meta[key] = value
            if self._metrics:
                self._metrics.pop(key, None)
            return
        key = text(key)
        if key in _SPECIAL:
            self._set_special(key, value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            self._set_number(key, value)
        else:
            self._set_text(key, value)

    def set_tag_str(self, key: str, value: str) -> None:
        """Set a tag whose value is known to be text."""
        self._set_text(text(key), value)

    def _set_text(self, key: str, value: object) -> None:
        self._meta[key] = text(value)
        self._metrics.pop(key, None)

    def _set_special(self, key: str, value: object) -> None:
        if key == MANUAL_KEEP_KEY:
            self._trace.priority = USER_KEEP
            self._trace.tags[DECISION_MAKER] = "-4"
        elif key == MANUAL_DROP_KEY:
            self._trace.priority = USER_REJECT
            self._trace.tags.pop(DECISION_MAKER, None)
        elif key == SERVICE_KEY:
            self.service = None if value is None else text(value)
        elif key == SERVICE_VERSION_KEY:
            self._meta[SERVICE_VERSION_KEY] = self._meta[VERSION_KEY] = text(value)
        elif key == SPAN_MEASURED_KEY:
            self._set_number(key, 0 if value in (False, 0, "0") else 1)
        elif isinstance(value, (str, int, float)):
            try:
                port = int(value)
            except (ValueError, OverflowError):  # no number, or one without end
                return
            if 0 <= port < 1 << 16:
                self._set_number(key, port)

    def _set_number(self, key: str, value: float) -> None:
        if isinstance(value, float):
            if math.isfinite(value):
                self._metrics[key] = float(value)
                self._meta.pop(key, None)
        elif -_INT64 <= value < _INT64:
            self._metrics[key] = int(value)
            self._meta.pop(key, None)
        else:
            self._set_text(key, f"{value:#x}" if value.bit_length() > 4096 else str(value))

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
            self._set_number(text(key), value)

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
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Mark the span as failed by *error*: its type, message and stack become tags.

        A closed generator and ``sys.exit(0)`` are no errors.
        """
        if error is not None and is_error(error):
            self.error = 1
            self._meta.update(error_tags(error, tb))

    def set_traceback(self, limit: int = STACK_FRAMES) -> None:
        """Store the exception being handled, or else the stack of this call, as the error's stack."""
        error = sys.exc_info()[1]
        if error is not None:
            self.set_exc_info(type(error), error, error.__traceback__)
        else:
            self._meta[ERROR_STACK] = calling_stack(limit)

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
        link: dict[str, object] = {"trace_id": f"{trace_id:032x}", "span_id": f"{span_id:016x}"}
        if tracestate:
            link["tracestate"] = text(tracestate)
        if flags is not None:
            link["flags"] = int(flags)
        if attributes:
            link["attributes"] = {text(key): text(value) for key, value in attributes.items()}
        if self._links is None:
            self._links = []
        self._links.append(link)

    @property
    def context(self) -> Context:
        """The ids of this span with what its trace carries."""
        return Context(self.trace_id, self.span_id, propagated=self._trace)

    @property
    def finished(self) -> bool:
        """Whether the span has ended."""
        return self.duration_ns is not None

    @property
    def start(self) -> float:
        """The start, in seconds since the epoch."""
        return self.start_ns / 1e9

    @start.setter
    def start(self, seconds: float) -> None:
        self.start_ns = int(seconds * 1e9)

    @property
    def duration(self) -> float | None:
        """The duration in seconds, or None until the span is finished."""
        return None if self.duration_ns is None else self.duration_ns / 1e9

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
