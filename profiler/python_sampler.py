"""The sampler without C: a thread that looks at the others. Profiles made by it are tagged ``sampler:python``.

It is the readable twin of ``_tick.c``. But a thread has to wait for the GIL before it can look, so it sees the program
where that lets go of it: what computes looks smaller than it is, what waits larger. CPU time is charged to where the
thread is seen, for the one that computed sleeps while this one looks, like those that wait. And the span of a thread or
task is known from its start only, by a hook of the tracer's: Python cannot read another thread's context.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ddmiddleware.profiling import activity, greenlets, stacks, tasks
from ddmiddleware.profiling.idents import keep_ident, own_ident
from ddmiddleware.profiling.samples import Sample
from ddmiddleware.profiling.stacks import Stack, class_of
from ddmiddleware.tracing import Settings, Span, Tracer, active, guarded

FASTEST_S, SLOWEST_S = 0.01, 0.05
_JITTER = 0.3
_THREADS_MAX = 64
_SAMPLES_MAX = 20_000
_SPANS_MAX = 10_000


class _Thread:
    """What is remembered of one thread from tick to tick."""

    __slots__ = ("clock", "cpu_ns", "key", "name", "native_id", "seen_ns")

    def __init__(self, native_id: int, name: str, now_ns: int) -> None:
        self.native_id, self.name = native_id, name
        # The clock id of a thread by its kernel id: for one that is dead this is an error and no more, while
        # pthread_getcpuclockid may crash. Linux: kernel/time/posix-cpu-timers.c.
        self.clock = (~native_id << 3) | 6 if native_id and sys.platform == "linux" else None
        self.cpu_ns, self.seen_ns = 0, now_ns
        self.key: Any = None


class PythonSampler:
    """Samples all threads at 20 to 100 Hz, within *budget* of the CPU time (0.01 is 1 %)."""

    kind = "python"
    bias = ""  # its kind says it

    def __init__(self, settings: Settings, tracer: Tracer) -> None:
        self._depth: int = settings["DD_PROFILING_MAX_FRAMES"]
        self._budget: float = settings["DD_PROFILING_MAX_TIME_USAGE_PCT"] / 100
        self._ignore_ours: bool = settings["DD_PROFILING_IGNORE_PROFILER"]
        self._tracer = tracer
        self._worker: threading.Thread | None = None
        self._ended = threading.Event()
        self.ticks = self._looked_ns = 0
        self.forget()

    def forget(self) -> None:
        """Drop what was seen."""
        self._threads: dict[int, _Thread] = {}
        self._table: dict[Any, list[int]] = {}
        self._spans: dict[int, Span] = {}  # by the id of a task, or the ident of a thread

    def start(self) -> None:
        """Begin."""
        self._ended = threading.Event()
        self._looked_ns = 0
        self._tracer.on_start_span(self._started)
        self._worker = threading.Thread(
            target=self._run, args=(self._ended,), name="ddmiddleware profiler", daemon=True
        )
        self._worker.start()

    def stop(self) -> None:
        """End the thread."""
        self._tracer.deregister_on_start_span(self._started)
        self._ended.set()
        if self._worker is not None:
            self._worker.join(1)
            self._worker = None

    def after_fork_in_child(self) -> None:
        """Be stopped: the thread is the parent's."""
        self._tracer.deregister_on_start_span(self._started)
        self._worker = None
        self.forget()

    def collect(self) -> Iterator[Sample]:
        """Return the samples since the last call."""
        table, self._table = self._table, {}
        for (stack, thread, work, task, suspended), values in table.items():
            labels = {} if suspended else activity.thread_labels(*thread)
            if work is not None:
                labels |= activity.labels(work)
            if task is not None:
                labels |= tasks.labels(task)
            yield sample(stacks.symbolise(stack), labels, suspended, values)

    def _started(self, span: Span) -> None:
        if len(self._spans) >= _SPANS_MAX:
            self._spans.clear()
        task = tasks.current()
        self._spans[threading.get_ident() if task is None else task[0]] = span

    def _run(self, ended: threading.Event) -> None:
        interval, last_ns = FASTEST_S, time.monotonic_ns()
        clocks = _clocks()
        while not ended.wait(interval * random.uniform(1 - _JITTER, 1 + _JITTER)):
            with guarded:
                self._tick(last_ns)
            last_ns = time.monotonic_ns()
            self.ticks += 1
            if self.ticks % 50 == 0:
                before, clocks = clocks, _clocks()
                allowed = self._budget * (clocks[0] - before[0])
                interval *= (clocks[1] - before[1]) / allowed if allowed > 0 else 2
                interval = min(max(interval, FASTEST_S), SLOWEST_S)
        keep_ident()

    def _tick(self, last_ns: int) -> None:
        frames = sys._current_frames()
        me = frames.pop(own_ident(), None)
        del me
        now_ns = time.monotonic_ns()
        busy = tasks.running()
        idents = list(frames)
        if len(idents) > _THREADS_MAX:
            idents = random.sample(idents, _THREADS_MAX)
        for ident in idents:
            self._sample(ident, frames[ident], busy.get(ident), now_ns, last_ns)
        if self.ticks % 10 == 0:
            self._sample_suspended(now_ns - (self._looked_ns or last_ns))
            self._looked_ns = now_ns
            self._threads = {ident: thread for ident, thread in self._threads.items() if ident in frames}

    def _sample(self, ident: int, frame: Any, task: Any, now_ns: int, last_ns: int) -> None:
        known = threading._active.get(ident)  # type: ignore[attr-defined]  # as in activity.thread_labels
        native_id = (known.native_id or 0) if known is not None else 0
        thread = self._threads.get(ident)
        if thread is None or thread.native_id != native_id:  # new: idents are used again
            thread = self._threads[ident] = _Thread(native_id, known.name if known is not None else "", last_ns)
            thread.cpu_ns = _cpu_ns(thread)
        if self._ignore_ours and thread.name.startswith("ddmiddleware"):
            return
        cpu_ns = _cpu_ns(thread)
        used = cpu_ns - thread.cpu_ns
        wall_ns, thread.seen_ns, thread.cpu_ns = now_ns - thread.seen_ns, now_ns, cpu_ns
        if used or thread.key is None:  # a thread whose clock stands still has not moved
            named = None if task is None else (id(task), tasks.name_of(task))
            work = activity.of(self._open_span(ident, task))
            thread.key = stacks.walk(frame, self._depth), (ident, native_id, thread.name), work, named, False
        cell = self._cell(thread.key)
        cell[0] += 1
        cell[1] += wall_ns
        if used > 0:
            cell[2] += 1
            cell[3] += used

    def _open_span(self, ident: int, task: Any) -> Span | None:
        span = self._spans.get(ident if task is None else id(task))
        while span is not None and span.duration_ns is not None:
            span = span._parent
        if span is None:
            self._spans.pop(ident if task is None else id(task), None)
        return span

    def _sample_suspended(self, elapsed_ns: int) -> None:
        found, weight = tasks.suspended()
        for task, stack in found:
            named = (id(task), tasks.name_of(task))
            self._add_suspended(stack, self._open_span(0, task), named, elapsed_ns * weight)
        waiting, weight = greenlets.suspended(self._depth)
        for named, stack, context in waiting:
            span: Any = None if context is None else context.get(active)
            self._add_suspended(stack, span, named, elapsed_ns * weight)

    def _add_suspended(self, stack: Stack, span: Any, task: tasks.Task, wall_ns: float) -> None:
        cell = self._cell((stack, (0, 0, ""), activity.of(span), task, True))
        cell[0] += 1
        cell[1] += int(wall_ns)

    def _cell(self, key: Any) -> list[int]:
        cell = self._table.get(key)
        if cell is None:
            if len(self._table) >= _SAMPLES_MAX:
                key = ((("[too many stacks]", "", 0),), *key[1:2], None, None, False)
            cell = self._table.setdefault(key, [0, 0, 0, 0])
        return cell


def sample(stack: Stack, labels: dict[str, str | int], suspended: bool, values: Sequence[int]) -> Sample:
    """Return a sample of *values*: how often it was seen, for how long, how often it computed, for how long (ns).

    A suspended task has a time of its own, beside that of the thread whose loop waits; its label tells it apart.
    """
    if suspended:
        labels["task state"] = "suspended"
    owner = class_of(stack[0][0]) if stack else ""
    if owner:
        labels["class name"] = owner
    names = ("wall-samples", "wall-time", "cpu-samples", "cpu-time")
    return Sample(stack, {name: value for name, value in zip(names, values, strict=True) if value}, labels)


def _clocks() -> tuple[float, float]:
    return time.process_time(), time.thread_time()


def _cpu_ns(thread: _Thread) -> int:
    if thread.clock is None:
        return thread.cpu_ns
    try:
        return time.clock_gettime_ns(thread.clock)
    except OSError:  # it ended
        return thread.cpu_ns
