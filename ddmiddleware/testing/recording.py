"""Recording what is traced in place of sending it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ddmiddleware.testing.spans import Spans
from ddmiddleware.tracing import Tracer, active, default_tracer, open_redaction


@contextmanager
def recorded(tracer: Tracer = default_tracer) -> Iterator[Spans]:
    """Collect the spans that finish inside the block, instead of sending them; nothing is active at its beginning.

    They pass the whole pipeline (filters, sampling, redaction) as they would on their way to an agent. What was active
    before, and where *tracer* sends to, are as before afterwards. A tracer that is switched off is on meanwhile.
    """
    spans = Spans(open_redaction(tracer.settings))
    outside, before, enabled = active.get(), tracer.divert(spans), tracer.enabled
    active.set(None)
    tracer.enabled = True
    try:
        yield spans
    finally:
        tracer.enabled = enabled
        tracer.divert(before)
        active.set(outside)
