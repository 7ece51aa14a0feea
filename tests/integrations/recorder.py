"""Finished spans, taken where the tracer hands them over, as dictionaries that can be compared whole."""

from __future__ import annotations

from typing import Any

from ddmiddleware.tracing import Span

_OF_CHUNKS = ("_dd.p.dm", "_dd.p.tid", "_sampling_priority_v1", "language", "process_id", "runtime-id")


class Recorder:
    """Stands for the pipeline: ``default_tracer.export = recorder``."""

    def __init__(self) -> None:
        self._spans: list[Span] = []

    def __call__(self, chunk: list[Span], _trace: object) -> None:
        self._spans.extend(chunk)

    def take(self) -> list[dict[str, Any]]:
        """Return what has finished since the last time, in the order of starting; ids and traces count from 1.

        A parent that was not recorded is 0. An error's stack is shown by its last line.
        """
        spans = sorted(self._spans, key=lambda span: span.start_ns)
        self._spans = []
        numbers = {span.span_id: number for number, span in enumerate(spans, 1)}
        traces = {trace_id: number for number, trace_id in enumerate(dict.fromkeys(span.trace_id for span in spans), 1)}
        return [_plain(span, numbers, traces) for span in spans]

    def names(self) -> list[str]:
        """Return the names only."""
        return [span["name"] for span in self.take()]


def _plain(span: Span, numbers: dict[int, int], traces: dict[int, int]) -> dict[str, Any]:
    assert span.duration_ns is not None
    assert span.duration_ns >= 0
    tags: dict[str, Any] = {key: value for key, value in span._meta.items() if key not in _OF_CHUNKS}
    tags.update((key, value) for key, value in span._metrics.items() if key not in _OF_CHUNKS)
    assert len(tags) == len(span._meta.keys() | span._metrics.keys() - set(_OF_CHUNKS)), "a tag is a metric as well"
    if "error.stack" in tags:
        tags["error.stack"] = tags["error.stack"].rstrip().rpartition("\n")[2]
    shown: dict[str, Any] = {
        "trace": traces[span.trace_id],
        "parent": numbers.get(span.parent_id or 0, 0),
        "service": span.service,
        "name": span.name,
        "resource": span.resource,
        "type": span.span_type,
        "error": span.error,
        "tags": tags,
    }
    if span._links:
        shown["links"] = [numbers.get(int(str(link["span_id"]), 16), 0) for link in span._links]
    return shown


def failed(error: BaseException) -> dict[str, str]:
    """Return the tags that say that a span failed with *error*."""
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    text = str(error)
    last_line = (f"{kind}: {text}" if text else kind).rstrip().rpartition("\n")[2]
    return {"error.type": kind, "error.message": text, "error.stack": last_line}
