"""CPU and wall time by stack: the collector over one of the two samplers."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from ddmiddleware.profiling import greenlets
from ddmiddleware.profiling.activity import endpoints, forget
from ddmiddleware.profiling.collector import Collector
from ddmiddleware.profiling.native_sampler import Sampler, make_sampler
from ddmiddleware.profiling.python_sampler import PythonSampler
from ddmiddleware.profiling.samples import Sample
from ddmiddleware.tracing import Settings, Tracer, debug, default_tracer


class StackCollector(Collector):
    """Samples what every thread and task does, and for which request."""

    def __init__(self, settings: Settings, tracer: Tracer = default_tracer) -> None:
        self._settings, self._tracer = settings, tracer
        self._sampler: Sampler = make_sampler(settings, tracer)
        self._running = False
        self._lock = threading.Lock()  # any thread may fork while another one starts or stops the profiler

    def start(self) -> None:
        """Begin to sample."""
        with self._lock:
            endpoints.watch(self._tracer, self._settings)
            greenlets.start()
            self._start_sampler()
            self._running = True

    def _start_sampler(self) -> None:
        try:
            self._sampler.start()
        except RuntimeError as error:
            if isinstance(self._sampler, PythonSampler):
                raise
            debug("the sampler in Python is used: %s", error)
            self._sampler = PythonSampler(self._settings, self._tracer)
            self._sampler.start()

    def stop(self) -> None:
        """Sample no more; what was seen is kept until ``collect``."""
        with self._lock:
            self._sampler.stop()
            greenlets.stop()
            endpoints.leave()
            self._running = False

    def collect(self) -> Iterable[Sample]:
        """Return the samples since the last call."""
        if self._running:
            greenlets.look()
        yield from self._sampler.collect()
        forget()

    def before_fork(self) -> None:
        """Let no thread of ours be alive while the process is copied."""
        with self._lock:
            if self._running:
                self._sampler.stop()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        with self._lock:
            if self._running:
                self._start_sampler()

    def after_fork_in_child(self) -> None:
        """Forget what the parent saw, and be stopped."""
        self._lock = threading.Lock()
        self._sampler.after_fork_in_child()
        greenlets.stop()
        endpoints.leave()
        endpoints.take()
        self._running = False

    def tags(self) -> Mapping[str, str]:
        """Return which sampler it is, and ``sampler_bias`` where it is known to be less true for some threads."""
        bias = {"sampler_bias": self._sampler.bias} if self._sampler.bias else {}
        return {"sampler": self._sampler.kind, **bias}

    def endpoint_counts(self) -> Mapping[str, int]:
        """Return how many web requests ended since the last call, by endpoint."""
        return endpoints.take()
