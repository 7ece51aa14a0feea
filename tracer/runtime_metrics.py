"""Figures of this process: CPU, memory, threads, garbage collection, event loop lag.

Names and units are those of ddtrace's runtime metrics, which dashboards know; pauses and lags are in nanoseconds.
"""

from __future__ import annotations

import gc
import os
import time
from typing import TYPE_CHECKING

from ddmiddleware.tracing.loop_lag import loop_meter

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]  # tested for below

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ddmiddleware.tracing.dogstatsd import DogStatsD

_STAT = "/proc/self/stat"


class RuntimeMetrics:
    """Reports the changes since the last report, and the state of now; one of a process at a time."""

    reporting: RuntimeMetrics | None = None

    def __init__(self, client: DogStatsD) -> None:
        self._client = client
        self._pauses = Pauses()
        self._collections = _collections()
        self._usage = _usage()
        self._read_at = time.monotonic()

    def start(self) -> bool:
        """Begin to measure; return False where another one does already."""
        if RuntimeMetrics.reporting is not None:
            return False
        RuntimeMetrics.reporting = self
        gc.callbacks.append(self._pauses)
        loop_meter.start()
        return True

    def stop(self, deadline: float | None = None) -> None:
        """Leave the garbage collector and the event loops alone."""
        if RuntimeMetrics.reporting is self:
            RuntimeMetrics.reporting = None
            loop_meter.stop()
        if self._pauses in gc.callbacks:
            gc.callbacks.remove(self._pauses)

    def report(self) -> None:
        """Hand all figures to the client; it sends them."""
        for name, value in self._figures():
            self._client.distribution("runtime.python." + name, value)
        for lag_ns in loop_meter.take():
            self._client.distribution("runtime.python.asyncio.loop_lag", lag_ns)

    def _figures(self) -> Iterator[tuple[str, float]]:
        yield from ((f"gc.count.gen{number}", count) for number, count in enumerate(gc.get_count()))
        before, self._collections = self._collections, _collections()
        for number, (now, then) in enumerate(zip(self._collections, before, strict=True)):
            yield f"gc.collections.gen{number}", now - then
        total_ns, longest_ns = self._pauses.take()
        yield "gc.pause.time", total_ns
        yield "gc.pause.max", longest_ns
        yield from _state()
        yield from self._changes()

    def _changes(self) -> Iterator[tuple[str, float]]:
        before, self._usage = self._usage, _usage()
        began, self._read_at = self._read_at, time.monotonic()
        changes = {name: self._usage[name] - value for name, value in before.items()}
        yield from changes.items()
        busy_s = changes["cpu.time.user"] + changes["cpu.time.sys"]
        yield "cpu.percent", 100 * busy_s / max(self._read_at - began, 1e-9)


class Pauses:
    """How long garbage collection stopped the process, as a callback of ``gc``; two collections never overlap."""

    def __init__(self) -> None:
        self._began = self._total_ns = self._longest_ns = 0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter_ns()
        elif self._began:
            pause_ns = time.perf_counter_ns() - self._began
            self._total_ns += pause_ns
            if pause_ns > self._longest_ns:
                self._longest_ns = pause_ns

    def take(self) -> tuple[int, int]:
        """Return the sum of all pauses and the longest since the last call, in nanoseconds."""
        found = self._total_ns, self._longest_ns
        self._total_ns = self._longest_ns = 0
        return found


def _collections() -> list[int]:
    return [generation["collections"] for generation in gc.get_stats()]


def _usage() -> dict[str, float]:
    if resource is None:
        times = os.times()
        return {"cpu.time.user": times.user, "cpu.time.sys": times.system}
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu.time.user": usage.ru_utime,
        "cpu.time.sys": usage.ru_stime,
        "cpu.ctx_switch.voluntary": usage.ru_nvcsw,
        "cpu.ctx_switch.involuntary": usage.ru_nivcsw,
    }


def _state() -> Iterator[tuple[str, float]]:
    """Yield threads and memory as Linux tells them; elsewhere neither can be read without help."""
    try:
        with open(_STAT, encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()  # a program's name may hold spaces and brackets
    except OSError:
        return
    # proc(5): num_threads is field 20, rss field 24; the first here is field 3.
    yield "thread_count", int(fields[17])
    yield "mem.rss", int(fields[21]) * resource.getpagesize()
