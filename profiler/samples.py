"""What a profile is made of: frames, samples, and the values and labels that a sample can have.

Names and units are those of Datadog's Python profiles, so that every viewer of those knows ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# The qualified name of a function, with its class where that is known; its file; the line, 0 where unknown.
Frame = tuple[str, str, int]

# The order is that of the values in a pprof file.
UNITS = {
    "cpu-time": "nanoseconds",
    "cpu-samples": "count",
    "wall-time": "nanoseconds",
    "wall-samples": "count",
    "exception-samples": "count",
    "lock-acquire-wait": "nanoseconds",
    "lock-acquire": "count",
    "lock-release-hold": "nanoseconds",
    "lock-release": "count",
    "alloc-space": "bytes",
    "alloc-samples": "count",
    "heap-space": "bytes",
    "heap-live-samples": "count",
    "gc-time": "nanoseconds",
    "gc-samples": "count",
}

# Not what happened since the last time, but what is there now.
SNAPSHOTS = frozenset(("heap-space", "heap-live-samples"))

# Labels that hold an int; all others hold a str.
NUMERIC_LABELS = frozenset(
    ("thread id", "thread native id", "task id", "span id", "local root span id", "end_timestamp_ns")
)


class Sample:
    """A stack, leaf first, with what was measured there: *values* by a name in ``UNITS``, *labels* by theirs."""

    __slots__ = ("labels", "stack", "values")

    def __init__(self, stack: tuple[Frame, ...], values: dict[str, int], labels: dict[str, str | int]) -> None:
        self.stack, self.values, self.labels = stack, values, labels

    def __repr__(self) -> str:
        leaf = self.stack[0][0] if self.stack else "no frame"
        return f"Sample({leaf}, {self.values}, {self.labels})"


@dataclass
class Profile:
    """What all collectors saw between two moments, in nanoseconds since the epoch."""

    start_ns: int
    end_ns: int
    samples: list[Sample] = field(default_factory=list)
    endpoint_counts: dict[str, int] = field(default_factory=dict)  # resource: requests that ended meanwhile
    tags: dict[str, str] = field(default_factory=dict)  # how it was made: sampler:native or sampler:python
