"""The collectors at work, and what they saw since the last profile."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from importlib import import_module

from ddmiddleware.profiling.collector import Collector
from ddmiddleware.profiling.samples import SNAPSHOTS, Profile, Sample
from ddmiddleware.tracing import Settings, guarded, warn

_SAMPLES = 100_000  # kept for one profile; what comes beyond them is dropped and counted
_FORK_WAITS_S = 1.0

Row = tuple[str, str, str]  # a setting, a module and its class


class Recording:
    """Starts the collectors that the settings ask for, and gathers their samples into profiles.

    Nothing here is ever called by the application's threads but ``start``, ``stop`` and what surrounds a fork; a lock
    keeps these and the export thread apart.
    """

    def __init__(self, settings: Settings, rows: Sequence[Row]) -> None:
        self._settings = settings
        self._rows = [row for row in rows if settings[row[0]]]
        self._collectors: list[Collector] = []
        self._running: list[Collector] = []
        self._lock = threading.Lock()
        self._samples: list[Sample] = []
        self._counts: dict[str, int] = {}
        self._dropped = 0
        self._started_ns = time.time_ns()
        self._held = False
        self.windows: list[list[Sample]] = []  # who else wants every sample from now on

    def start(self) -> None:
        """Start all collectors; one that cannot be is reported once, and the others are started all the same."""
        with self._lock:
            if not self._collectors:
                for _, module, noun in self._rows:
                    with guarded:
                        self._collectors.append(getattr(import_module(module), noun)(self._settings))
            self._samples, self._counts, self._dropped = [], {}, 0
            self._started_ns = time.time_ns()
            for collector in self._collectors:
                with guarded:
                    try:
                        collector.start()
                    except RuntimeError as error:
                        warn("the profiler goes without its %s: %s", type(collector).__name__, error)
                        continue
                    self._running.append(collector)

    def stop(self) -> None:
        """Stop all collectors; what they saw is kept."""
        with self._lock:
            for collector in self._running:
                with guarded:
                    collector.stop()
            self._gather()
            self._running = []

    def gather(self) -> None:
        """Fetch what the collectors saw until now."""
        with self._lock:
            self._gather()

    def take(self) -> Profile:
        """Return what was seen since the last profile, and begin the next one."""
        with self._lock:
            self._gather()
            now_ns = time.time_ns()
            profile = Profile(self._started_ns, now_ns, self._samples, self._counts, self.tags())
            if self._dropped:
                profile.tags["dropped_samples"] = str(self._dropped)
            self._started_ns = now_ns
            self._samples, self._counts, self._dropped = [], {}, 0
            return profile

    def tags(self) -> dict[str, str]:
        """Return what the collectors say of themselves."""
        found: dict[str, str] = {}
        for collector in self._collectors:
            with guarded:
                found.update(collector.tags())
        return found

    def _gather(self) -> None:
        gathered: list[Sample] = []
        for collector in self._running:
            with guarded:
                samples = list(collector.collect())
                gathered += samples
                for endpoint, count in collector.endpoint_counts().items():
                    self._counts[endpoint] = self._counts.get(endpoint, 0) + count
        self._dropped += add(self._samples, gathered)
        for window in self.windows:
            add(window, gathered)

    def before_fork(self) -> None:
        """Let no thread be in the middle of anything while the process forks."""
        self._held = self._lock.acquire(timeout=_FORK_WAITS_S)
        for collector in self._running:
            with guarded:
                collector.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        for collector in self._running:
            with guarded:
                collector.after_fork_in_parent()
        if self._held:
            self._held = False
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Leave to the parent what is the parent's, and be stopped."""
        self._lock = threading.Lock()
        self._held = False
        self._samples, self._counts, self.windows = [], {}, []
        self._running = []
        for collector in self._collectors:
            with guarded:
                collector.after_fork_in_child()


def add(kept: list[Sample], more: list[Sample]) -> int:
    """Add *more* to *kept*, sums for equal stacks and labels; return how many found no room.

    What is a snapshot takes the place of the one before.
    """
    if not kept:
        kept += more[:_SAMPLES]
        return max(len(more) - _SAMPLES, 0)
    index: dict[object, Sample] = {}
    for sample in kept:
        _join(index, sample, {name: value for name, value in sample.values.items() if name not in SNAPSHOTS})
    dropped = 0
    for sample in more:
        dropped += not _join(index, sample, sample.values)
    kept[:] = index.values()
    return dropped


def _join(index: dict[object, Sample], sample: Sample, values: dict[str, int]) -> bool:
    if not values:
        return True
    key = sample.stack, tuple(sorted(sample.labels.items()))
    found = index.get(key)
    if found is None:
        if len(index) >= _SAMPLES:
            return False
        found = index[key] = Sample(sample.stack, {}, sample.labels)
    for name, value in values.items():
        found.values[name] = found.values.get(name, 0) + value
    return True
