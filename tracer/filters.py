"""What users put in front of the pipeline to change or drop the chunks of finished spans."""

from __future__ import annotations

from abc import ABC, abstractmethod

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from ddmiddleware.tracing.span import Span


class TraceFilter(ABC):
    """A step that each chunk passes before it is sampled: ``tracer.configure(trace_processors=[...])``."""

    @abstractmethod
    def process_trace(self, trace: list[Span]) -> list[Span] | None:
        """Return the spans to keep, or None to drop them all; it runs on the thread that finished the last one.

        An exception is counted and logged, and leaves the spans as they were.
        """


class FilterRequestsOnUrl(TraceFilter):
    """Drops the traces of requests whose URL matches one of *regexps* from its start on.

    Raises ``re.error`` for what is no regular expression.
    """

    def __init__(self, regexps: str | list[str]) -> None:
        import re

        self._patterns = [re.compile(pattern) for pattern in ([regexps] if isinstance(regexps, str) else regexps)]

    def process_trace(self, trace: list[Span]) -> list[Span] | None:
        """Drop *trace* if the request at its root was for one of the URLs."""
        for span in trace:
            url = span.get_tag("http.url")
            if span.parent_id is None and url is not None and any(pattern.match(url) for pattern in self._patterns):
                return None
        return trace
