"""ddmiddleware's profiler, stacks only."""

import os
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from benchmarks.processes import NotMeasuredError
from benchmarks.profiling_watch import Found, cpu_ns, samples_of, stem, take_files
from ddmiddleware import tracer
from ddmiddleware.profiling import Profiler

_NAME = "ddmiddleware"


class Ours:
    def __init__(self) -> None:
        os.environ["DD_PROFILING_OUTPUT_PPROF"] = stem(_NAME)
        tracer.trace("first").finish()
        tracer.flush()
        self._before = [
            int(task) for task in os.listdir("/proc/self/task")
        ]  # the tracer's own threads are no cost of it
        self._profiler = Profiler(tags={"benchmark": "1"})
        self._profiler.start()
        recording = self._profiler._recording
        if recording is None:
            raise NotMeasuredError("the profiler does not run")
        (collector,) = recording._running
        if collector.tags().get("sampler") != "native":
            raise NotMeasuredError("the sampler in C does not run here")
        self._collector = collector
        self._tick = import_module("ddmiddleware.profiling._tick")
        self._ticks = 0

    def tracer(self) -> Any:
        return tracer

    def begin(self) -> None:
        self._flushed()
        self._ticks = self._tick.counts()["ticks"]

    def end(self) -> Found:
        counts = self._tick.counts()
        return Found(samples_of(self._flushed()), counts["ticks"] - self._ticks, {"late": counts["late"]})

    def _flushed(self) -> list[Any]:
        self._profiler._flush()
        files = take_files(_NAME)
        if not files:
            raise NotMeasuredError("ddmiddleware wrote no profile")
        return files

    def pause(self) -> None:
        self._collector.stop()

    def resume(self) -> None:
        self._collector.start()

    def cost_ns(self, application: Iterable[int]) -> int:
        # From Python 3.12 on ticks run in the application's threads, which the kernel charges with them.
        return cpu_ns(without={*application, *self._before}) + int(self._tick.counts()["tick_cpu_ns"])


start = Ours
