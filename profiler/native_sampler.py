"""The sampler in C (``_tick.c``), where it could be built and works: exact, and cheap enough to be always on."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

from ddmiddleware.profiling import activity
from ddmiddleware.profiling.python_sampler import FASTEST_S, SLOWEST_S, PythonSampler, sample
from ddmiddleware.profiling.samples import Sample
from ddmiddleware.profiling.stacks import Stack, frame_at, symbolise
from ddmiddleware.tracing import Settings, Span, Tracer, active, debug

_TEST_S = 3.0
_SLICE = 200  # samples that are made without a pause for other threads


class NativeSampler:
    """Samples all threads and tasks at 20 to 100 Hz, within a share of the CPU time the process uses."""

    kind = "native"
    # Before 3.12 only the main thread makes pending calls, so the tick asks for the GIL, and where several threads want
    # it another one may be quicker: what lets go of it by itself is seen too often.
    bias = "other_threads" if sys.version_info < (3, 12) else ""
    _tested = False  # in this process

    def __init__(self, settings: Settings, tick: ModuleType) -> None:
        self._tick = tick
        self._depth: int = settings["DD_PROFILING_MAX_FRAMES"]
        self._budget: float = settings["DD_PROFILING_MAX_TIME_USAGE_PCT"] / 100
        self._ignore_ours: bool = settings["DD_PROFILING_IGNORE_PROFILER"]

    @property
    def ticks(self) -> int:
        """How often it has looked since the start."""
        ticks: int = self._tick.counts()["ticks"]
        return ticks

    def start(self) -> None:
        """Begin. Raises RuntimeError where the interpreter does not let it tick."""
        self._tick.start(self._depth, int(FASTEST_S * 1e9), int(SLOWEST_S * 1e9), self._budget, self._ignore_ours)
        if not NativeSampler._tested:
            self._test()

    def _test(self) -> None:
        """See that a thread that holds the GIL, as this one does, is interrupted by the tick."""
        until = time.monotonic() + _TEST_S
        while not self.ticks:
            if time.monotonic() > until:
                self._tick.stop()
                raise RuntimeError("the sampler in C is not served by this interpreter")
        NativeSampler._tested = True

    def stop(self) -> None:
        """End the timer; what was seen is kept."""
        self._tick.stop()

    def after_fork_in_child(self) -> None:
        """Be stopped: the timer is the parent's, and so is what was seen."""
        self._tick.forget()

    def collect(self) -> Iterator[Sample]:
        """Return the samples since the last call."""
        handle = self._tick.swap()
        known: dict[int, Stack] = {}
        first = 0
        while rows := self._tick.rows(handle, first, _SLICE):
            first += len(rows)
            for stack, thread, request, task, suspended, *values in rows:
                if stack not in known:
                    known[stack] = self._named(handle, stack)
                labels = {} if suspended else activity.thread_labels(thread[0], thread[1], thread[2] or "")
                if request is not None:
                    span_id, root_id, resource, trace_type = request
                    labels |= activity.span_labels(span_id, root_id, resource or "", trace_type or "")
                if task[0]:
                    labels |= {"task id": task[0], "task name": task[1] or ""}
                yield sample(known[stack], labels, bool(suspended), values)
            time.sleep(0)  # other threads wait for the GIL

    def _named(self, handle: object, index: int) -> Stack:
        parts = self._tick.stack(handle, index)
        if not parts:
            return (("[too many stacks]", "", 0),)
        return symbolise(tuple(frame_at(code, offset) for code, offset in zip(parts[::2], parts[1::2], strict=True)))


Sampler = NativeSampler | PythonSampler


def make_sampler(settings: Settings, tracer: Tracer) -> Sampler:
    """Return the sampler in C, or that in Python where it is missing: no compiler, another interpreter or system."""
    if not os.environ.get("_DD_PURE_PYTHON"):  # for tests
        try:
            _tick = import_module("ddmiddleware.profiling._tick")
            _tick.prepare(Span, active)
            return NativeSampler(settings, _tick)
        except ImportError as error:
            debug("the sampler in Python is used: %s", error)
    return PythonSampler(settings, tracer)
