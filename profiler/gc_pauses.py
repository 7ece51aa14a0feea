"""How long the garbage collector stops the program, and whose allocation set it off."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping
from time import monotonic_ns
from typing import Any

from ddmiddleware.profiling.collector import Collector
from ddmiddleware.profiling.event_log import EventLog
from ddmiddleware.profiling.samples import Sample
from ddmiddleware.profiling.thinning import Thinning
from ddmiddleware.tracing import Settings, guarded


class GcCollector(Collector):
    """Measures every collection of the garbage collector."""

    def __init__(self, settings: Settings) -> None:
        self._log = EventLog(settings)
        self._thinning = Thinning()
        self._begun_ns = 0

    def start(self) -> None:
        """Begin."""
        if self._told not in gc.callbacks:
            self._log.clear()
            self._thinning, self._begun_ns = Thinning(), 0
            gc.callbacks.append(self._told)

    def stop(self) -> None:
        """Measure no more."""
        if self._told in gc.callbacks:
            gc.callbacks.remove(self._told)

    def collect(self) -> Iterable[Sample]:
        """Return the pauses since the last call."""
        return self._log.take()

    def after_fork_in_child(self) -> None:
        """Be stopped, with nothing seen."""
        self.stop()
        self._log.clear()

    def tags(self) -> Mapping[str, str]:
        """Return how much went unseen, where that is the case."""
        return {"gc_events_lost": str(self._log.lost)} if self._log.lost else {}

    def _told(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":  # no other collection begins before this one ends
            self._begun_ns = monotonic_ns()
            return
        begun_ns, self._begun_ns = self._begun_ns, 0
        if not begun_ns:
            return
        ns = monotonic_ns() - begun_ns
        with guarded:
            weight = self._thinning.weight(ns)
            if weight:
                labels = (("gc generation", str(info.get("generation", ""))),)
                self._log.add(("gc-samples", "gc-time"), (weight, ns * weight), labels, 1)
