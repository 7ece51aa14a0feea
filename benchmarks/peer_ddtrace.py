"""ddtrace as `ddtrace-run` starts it, at its defaults."""

import ddtrace.auto  # noqa: F401 (it patches and must come before all else)
from ddtrace.trace import tracer

from benchmarks.workload import Tracing


def start() -> Tracing:
    with tracer.trace("first") as span:
        return Tracing(tracer.trace, type(span).set_tag, tracer.flush)


def instrument() -> None:
    """`ddtrace.auto` has done it."""
