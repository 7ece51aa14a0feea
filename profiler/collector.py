"""What the profiler asks of a collector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from ddmiddleware.profiling.samples import Sample
from ddmiddleware.tracing import Settings


class Collector(Protocol):
    """Watches one kind of thing: stacks, memory, locks, exceptions, pauses of the garbage collector.

    It is made with the settings and watches nothing until ``start``; after ``stop`` it may be started again. What it
    keeps between two calls of ``collect`` has a cap. The profiler never calls two of these methods at a time, and calls
    ``collect`` on its own thread, or on the one that stops it. Those with a body here need not be written: derive from
    this class.
    """

    def __init__(self, settings: Settings) -> None:
        """Read *settings*; start nothing."""

    def start(self) -> None:
        """Begin to watch, with nothing seen so far. Raises RuntimeError, saying why, where that is not possible."""

    def stop(self) -> None:
        """Watch no more and put everything back; what was seen is kept until ``collect``."""

    def collect(self) -> Iterable[Sample]:
        """Return what was seen since the last call, and begin anew: swap tables first, look up names after it."""
        return ()

    def after_fork_in_child(self) -> None:
        """Forget what the parent saw, make locks anew, and be stopped: no thread of the parent's is alive here."""

    def before_fork(self) -> None:
        """End threads that Python knows of, which is warned of from 3.12 on, and keep what was seen."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def tags(self) -> Mapping[str, str]:
        """Return how it watches, for the profile: ``{"sampler": "native"}``."""
        return {}

    def endpoint_counts(self) -> Mapping[str, int]:
        """Return how many requests ended since the last call, by endpoint."""
        return {}
