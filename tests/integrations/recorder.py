"""Finished spans, taken where the tracer hands them over, as dictionaries that can be compared whole."""

from __future__ import annotations

from typing import Any

from ddmiddleware.testing import Spans
from ddmiddleware.tracing import Span


class Recorder(Spans):
    """Stands for the pipeline: ``default_tracer.export = recorder``."""

    def __call__(self, chunk: list[Span], _trace: object) -> None:
        for span in chunk:
            assert span.duration_ns is not None
            assert span.duration_ns >= 0
            assert not span._meta.keys() & span._metrics.keys(), "a tag is a metric as well"
        self.put(chunk)

    def take(self) -> list[dict[str, Any]]:
        """Return what has finished since the last time, as ``Spans.snapshot`` shows it."""
        taken = self.snapshot()
        self.clear()
        return taken

    def take_resources(self) -> set[str]:
        """Return no more than the resources of web requests, which may be very many."""
        found = {span.resource for span in self._spans if span.span_type == "web"}
        self.clear()
        return found

    def names(self) -> list[str]:
        """Return the names only."""
        return [span["name"] for span in self.take()]


def failed(error: BaseException) -> dict[str, str]:
    """Return the tags that say that a span failed with *error*."""
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    text = str(error)
    shown = kind.removeprefix("builtins.")
    last_line = (f"{shown}: {text}" if text else shown).rstrip().rpartition("\n")[2]
    return {"error.type": kind, "error.message": text, "error.stack": last_line}
