"""The spans every peer makes: the same names, tags and nesting, through each peer's own context manager."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

# What the sink counts by, and where it says how many.
TAG_PREFIX = "app."
COUNTED = "/_counted"
_USERS = [f"user-{number}" for number in range(1000)]


@dataclass(frozen=True)
class Tracing:
    """What a peer offers; unbound methods, so that no wrapper of ours stands between the workload and the peer."""

    trace: Callable[[str], AbstractContextManager[Any]]
    set_tag: Callable[[Any, str, str], object]
    flush: Callable[[], object]


@dataclass(frozen=True)
class Shape:
    """A kind of trace; a burst of it stays below every peer's queue limit (OpenTelemetry's is 2048 spans)."""

    title: str
    make: Callable[[Tracing, str], None]
    spans: int
    tags: int
    traces_per_burst: int


def _single(tracing: Tracing, user: str) -> None:
    with tracing.trace("job.run") as span:
        tracing.set_tag(span, "app.user", user)


def _nested(tracing: Tracing, user: str, depth: int = 10) -> None:
    set_tag = tracing.set_tag
    with tracing.trace("layer.call") as span:
        set_tag(span, "app.user", user)
        set_tag(span, "app.tenant", "northwind")
        set_tag(span, "app.plan", "enterprise")
        set_tag(span, "app.region", "eu-central-1")
        set_tag(span, "app.feature", "checkout")
        if depth > 1:
            _nested(tracing, user, depth - 1)


def _wide(tracing: Tracing, user: str) -> None:
    trace, set_tag = tracing.trace, tracing.set_tag
    with trace("batch.run") as root:
        set_tag(root, "app.user", user)
        for _ in range(999):
            with trace("batch.item") as span:
                set_tag(span, "app.user", user)


SHAPES = {
    "single": Shape("one root span, 1 tag", _single, spans=1, tags=1, traces_per_burst=1000),
    "nested": Shape("10 nested spans, 5 tags each", _nested, spans=10, tags=50, traces_per_burst=100),
    "wide": Shape("a trace of 1000 spans, 1 tag each", _wide, spans=1000, tags=1000, traces_per_burst=1),
}


def unsent(tracing: Tracing, shape: Shape) -> None:
    """Make one burst, about 1000 spans."""
    make = shape.make
    for user in _USERS[: shape.traces_per_burst]:
        make(tracing, user)


def burst(tracing: Tracing, shape: Shape) -> None:
    """Make one burst, and wait until it is sent."""
    unsent(tracing, shape)
    tracing.flush()


def paced(tracing: Tracing, shape: Shape, seconds: float, spans_per_s: int) -> int:
    """Make traces at a steady pace, as a service would, without ever flushing; return how many spans were made.

    The number of spans is fixed, so that a peer that blocks its caller takes longer instead of making fewer of them.
    """
    pause_s = 0.02
    ticks, traces = round(seconds / pause_s), round(spans_per_s * pause_s / shape.spans)
    for _ in range(ticks):
        for user in _USERS[:traces]:
            shape.make(tracing, user)
        time.sleep(pause_s)
    return ticks * traces * shape.spans
