"""Our spans, with OpenTelemetry's methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

from ddmiddleware import tracing
from ddmiddleware.opentelemetry._names import operation_name, span_type
from ddmiddleware.tracing import Context, guarded

# Attributes that are no tags but fields of our spans.
_FIELDS = {"service.name": "service", "resource.name": "resource", "span.type": "span_type", "operation.name": "name"}


class BridgedSpan(Span):
    """A span of ours in OpenTelemetry's hands; what is done after its end changes nothing."""

    def __init__(
        self, span: tracing.Span, kind: SpanKind | None = None, attributes: Mapping[str, Any] | None = None
    ) -> None:
        self.span = span
        self._kind = kind
        self._attributes = dict(attributes or {})
        self._status = StatusCode.UNSET

    def end(self, end_time: int | None = None) -> None:
        """End the span, at *end_time* (nanoseconds since the epoch) or now; its name follows from its attributes."""
        if not self.is_recording():
            return
        with guarded:
            if self._kind is not None:
                self.span.name = operation_name(self._kind, self._attributes)
                self.span.span_type = self.span.span_type or span_type(self._kind, self._attributes)
        self.span.finish(None if end_time is None else end_time / 1e9)

    def get_span_context(self) -> SpanContext:
        """Return the ids, the sampling decision and the vendors' states of the trace."""
        return span_context(self.span.context, is_remote=False)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set several attributes."""
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def set_attribute(self, key: str, value: Any) -> None:
        """Set a tag or a metric; a list becomes numbered tags, as Datadog's mapping has it."""
        if not self.is_recording():
            return
        with guarded:
            if self._kind is not None:
                self._attributes[key] = value
            if key in _FIELDS:
                setattr(self.span, _FIELDS[key], str(value))
            elif isinstance(value, (list, tuple)):
                for number, item in enumerate(value):
                    self.span.set_tag(f"{key}.{number}", _text(item))
            elif key == "http.response.status_code":
                self.span.set_tag("http.status_code", str(value))
            else:
                self.span.set_tag(key, _text(value))

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None) -> None:
        """Note that something happened, now or at *timestamp* (nanoseconds since the epoch)."""
        if self.is_recording():
            with guarded:
                self.span.add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        """Link this span to the one of *context*."""
        if self.is_recording() and context.is_valid:
            with guarded:
                state = context.trace_state.to_header()
                self.span.set_link(context.trace_id, context.span_id, state, context.trace_flags, attributes)

    def update_name(self, name: str) -> None:
        """Change what our spans call the resource."""
        if self.is_recording():
            self.span.resource = str(name)

    def is_recording(self) -> bool:
        """Return whether the span has not ended."""
        return not self.span.finished and self.span._trace.tracer.enabled

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Say how it went: OK is final, and unset says nothing (specification of the trace API, Set Status)."""
        code = status.status_code if isinstance(status, Status) else status
        if not self.is_recording() or self._status is StatusCode.OK or code is StatusCode.UNSET:
            return
        self._status = code
        message = status.description if isinstance(status, Status) else description
        self.span.error = int(code is StatusCode.ERROR)
        if not self.span.error:
            self.span.remove_tag("error.message")
        elif message:
            self.span.set_tag_str("error.message", message)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Note an exception as an event; its type and stack are tags too, in case the span turns out an error."""
        if not self.is_recording():
            return
        with guarded:
            self.span.record_exception(exception, attributes, timestamp, escaped)
            error = self.span.error
            self.span.set_exc_info(type(exception), exception, exception.__traceback__)
            self.span.error = error


class RemoteSpan(NonRecordingSpan):
    """The span of another process, which a context of ours stands for."""

    def __init__(self, context: Context) -> None:
        super().__init__(span_context(context, is_remote=True))
        self.context = context


def context_of(span: Span) -> tracing.Span | Context | None:
    """Return what our tracer takes as a parent for any OpenTelemetry span; None for an invalid one."""
    if isinstance(span, BridgedSpan):
        return span.span
    if isinstance(span, RemoteSpan):
        return span.context
    found = span.get_span_context()
    if not found.is_valid:
        return None
    priority = int(bool(found.trace_flags & TraceFlags.SAMPLED))
    return Context(
        found.trace_id, found.span_id, sampling_priority=priority, tracestate=_others(found.trace_state.to_header())
    )


def _others(state: str) -> str:
    return ",".join(member for member in state.split(",") if not member.strip().startswith("dd="))


def span_context(context: Context, is_remote: bool) -> SpanContext:
    """Return a context of ours as OpenTelemetry's; what is undecided counts as sampled."""
    carried = context._propagated
    sampled = carried.priority is None or carried.priority > 0
    state = TraceState.from_header([carried.tracestate]) if carried.tracestate else None
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return SpanContext(context.trace_id or 0, context.span_id or 0, is_remote, flags, state)


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
