"""From a finished chunk to the exporters: the user's filters, the tags that a chunk needs on the wire, the queue."""

from __future__ import annotations

from ddmiddleware.tracing.completion import Completion
from ddmiddleware.tracing.constants import (
    DECISION_MAKER,
    HIGH_TRACE_ID,
    PARTIAL_FLUSH,
    SAMPLING_PRIORITY,
    TOP_LEVEL,
    TRACER_KEPT_RATE,
)
from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.process import process
from ddmiddleware.tracing.settings import Settings

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from typing import Protocol

    from ddmiddleware.tracing.context import LocalTrace
    from ddmiddleware.tracing.filters import TraceFilter
    from ddmiddleware.tracing.sampling import Sampler
    from ddmiddleware.tracing.span import Span
    from ddmiddleware.tracing.span_sampling import SpanSampler

    class Queue(Protocol):
        """Where finished chunks go: to the worker, or to a recorder of a test's."""

        def put(self, chunk: list[Span]) -> None:
            """Take *chunk*; it must not be changed any more."""


class Pipeline:
    """Runs on the thread that finished the last span of a chunk."""

    def __init__(self, settings: Settings, worker: Queue, sampler: Sampler) -> None:
        self.worker: Queue = worker
        self._sampler = sampler
        self._span_sampler: SpanSampler | None = None
        if settings["DD_SPAN_SAMPLING_RULES"] or settings["DD_SPAN_SAMPLING_RULES_FILE"]:
            from ddmiddleware.tracing.span_sampling import SpanSampler

            self._span_sampler = SpanSampler(settings)
        self.filters: list[TraceFilter] = []
        self._high, self._high_text = 0, ""
        self._complete = Completion(settings).complete

    def process(self, chunk: list[Span], trace: LocalTrace) -> None:
        """Filter, sample and complete the spans of *chunk*, and queue them, the local root first if it is there."""
        with guard:
            if trace.pid != process.pid:
                return
            chunk.reverse()  # the root is mostly the last to finish
            root = _root_first(chunk)
            if self.filters:
                chunk = self._filter(chunk)
                if not chunk:
                    return
                root = _root_first(chunk)
            priority = trace.priority
            if priority is None:
                priority = self._sampler.decide(trace)
            if priority <= 0 and not self._rejected(chunk, trace):
                return
            self._tag(chunk, root, trace, priority)
            self._complete(chunk, root, trace)
            self.worker.put(chunk)

    def _filter(self, chunk: list[Span]) -> list[Span]:
        """Hand *chunk* through the user's filters; one that fails is passed over, one that returns None drops it."""
        kept: list[Span] | None = chunk
        for each in self.filters:
            with guard:
                found = each.process_trace(chunk)
                kept = None if found is None else list(found)
            if not kept:
                return []
            chunk = kept
        return chunk

    def _rejected(self, chunk: list[Span], trace: LocalTrace) -> bool:
        """Mark the spans that are kept out of a trace that is not; return whether the chunk is sent all the same."""
        trace.tags.pop(DECISION_MAKER, None)
        if trace.discarded:
            return False
        if self._span_sampler is not None:
            self._span_sampler.mark(chunk)
        # The agent counts what it then drops; where we count, the exporter leaves it out after that.
        return True

    def _tag(self, chunk: list[Span], root: Span | None, trace: LocalTrace, priority: int) -> None:
        """Give the first span what the wire wants to know of the chunk, and the local root what of the process."""
        first = chunk[0]
        high = first.trace_id >> 64
        if high:
            if high != self._high:  # the same for all traces that start within one second
                self._high, self._high_text = high, f"{high:016x}"
            first._meta[HIGH_TRACE_ID] = self._high_text
        first._meta.update(trace.tags)
        metrics = first._metrics
        metrics[SAMPLING_PRIORITY] = priority
        metrics[TRACER_KEPT_RATE] = self._sampler.delivered_rate
        if trace.open:
            metrics[PARTIAL_FLUSH] = len(chunk)
        if root is not None:
            root._metrics[TOP_LEVEL] = 1
            root._meta["language"] = "python"
            root._meta["runtime-id"] = process.runtime_id
            root._metrics["process_id"] = process.pid


def _root_first(chunk: list[Span]) -> Span | None:
    """Move the local root to the front and return it, or None where it is not in *chunk*."""
    if chunk[0]._parent is None:
        return chunk[0]
    root = next((span for span in chunk if span._parent is None), None)
    if root is not None:
        chunk.remove(root)
        chunk.insert(0, root)
    return root
