"""Spans that record nothing: that of a switched-off tracer, and that of what is not to be traced."""

from __future__ import annotations

from ddmiddleware.tracing.constants import AUTO_KEEP
from ddmiddleware.tracing.context import Context, LocalTrace
from ddmiddleware.tracing.process import process
from ddmiddleware.tracing.span import Span

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType


class _Nowhere(dict):  # type: ignore[type-arg]  # of tags and of metrics, and it holds nothing
    """A mapping that keeps nothing, for those who write tags themselves."""

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def update(self, *args: object, **kwargs: object) -> None:
        """Do nothing."""

    def setdefault(self, key: object, default: object = None) -> object:
        """Return *default*."""
        return default


class NoopSpan(Span):
    """A span that takes everything and keeps nothing, so that nobody has to test for None."""

    __slots__ = ()

    def __init__(self) -> None:
        trace = LocalTrace.__new__(LocalTrace)
        trace.clock_offset, trace.root, trace.pid = 0, None, process.pid
        trace.priority, trace.origin, trace.tags, trace.baggage, trace.tracestate = AUTO_KEEP, None, {}, {}, ""
        self.name = self.resource = ""
        self.service = self.span_type = self.parent_id = self.duration_ns = None
        self.trace_id = self.span_id = self.error = self.start_ns = 0
        self._meta, self._metrics, self._links, self._events = _Nowhere(), _Nowhere(), None, None
        self._trace, self._parent, self._previous = trace, None, None

    @property
    def context(self) -> Context:
        """A context of nothing, new each time."""
        return Context()

    def finish(self, finish_time: float | None = None) -> None:
        """Do nothing."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        pass

    def set_tag(self, key: str, value: object = None) -> None:
        """Do nothing."""

    def set_tag_str(self, key: str, value: str) -> None:
        """Do nothing."""

    def set_metric(self, key: str, value: float) -> None:
        """Do nothing."""

    def set_exc_info(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Do nothing."""

    def set_traceback(self, limit: int | None = None) -> None:
        """Do nothing."""

    def set_link(
        self,
        trace_id: int,
        span_id: int,
        tracestate: str | None = None,
        flags: int | None = None,
        attributes: Mapping[str, object] | None = None,
    ) -> None:
        """Do nothing."""

    def add_event(
        self, name: str, attributes: Mapping[str, object] | None = None, time_unix_nano: int | None = None
    ) -> None:
        """Do nothing."""

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, object] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Do nothing."""


class Silence(NoopSpan):
    """While one is active, whatever is started records nothing; once it is over, what starts has traces of its own."""

    __slots__ = ()

    def end(self) -> None:
        """Be over."""
        self.duration_ns = 0


NOOP = NoopSpan()
