"""What allocates memory, and what holds it: the collector over the allocator hook in C (``_memory_hook.c``).

Python's own allocations are seen, not those that libraries in C make by themselves. There is no twin in Python: only
``tracemalloc`` could be one, which makes a program ten times slower.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType

from ddmiddleware.profiling import activity
from ddmiddleware.profiling.collector import Collector
from ddmiddleware.profiling.samples import Sample
from ddmiddleware.profiling.stacks import Stack, frame_at, symbolise
from ddmiddleware.tracing import Settings, Span, active

_SLICE = 200  # samples that are made without a pause for other threads


class MemoryCollector(Collector):
    """Samples allocations, one per ``DD_PROFILING_HEAP_SAMPLE_SIZE`` bytes on average, and what of them is alive."""

    def __init__(self, settings: Settings) -> None:
        self._mean: int = settings["DD_PROFILING_HEAP_SAMPLE_SIZE"]
        self._depth: int = settings["DD_PROFILING_MAX_FRAMES"]
        self._heap: bool = settings["DD_PROFILING_HEAP_ENABLED"]
        self._memory: ModuleType | None = None
        self._lost = 0

    def start(self) -> None:
        """Begin; what was allocated before is not known. Raises RuntimeError without the extension."""
        if self._memory is None:
            try:
                memory = import_module("ddmiddleware.profiling._memory")
                memory.prepare(Span, active)
            except ImportError as error:  # no compiler when it was installed, or another interpreter
                raise RuntimeError(f"memory is profiled by an extension in C, which is missing: {error}") from None
            self._memory = memory
        self._memory.start(float(self._mean), self._depth, self._heap)

    def stop(self) -> None:
        """Look at no more allocations."""
        if self._memory is not None:
            self._memory.stop()

    def collect(self) -> Iterator[Sample]:
        """Return what was allocated since the last call, and what lives now of all that was seen."""
        memory = self._memory
        if memory is None:
            return
        handle = memory.swap()
        self._lost = memory.counts()["lost"]
        known: dict[int, Stack] = {}
        first = 0
        while rows := memory.rows(handle, first, _SLICE):
            first += len(rows)
            for stack, thread, request, _, _, *numbers in rows:
                values = {name: value for name, value in zip(_VALUES, numbers, strict=True) if value}
                if not values:  # what was alive before has gone
                    continue
                if stack not in known:
                    known[stack] = _named(memory, handle, stack)
                labels = activity.thread_labels(*thread)
                if request is not None:
                    span_id, root_id, resource, trace_type = request
                    labels |= activity.span_labels(span_id, root_id, resource or "", trace_type or "")
                yield Sample(known[stack], values, labels)
            time.sleep(0)  # other threads wait for the GIL

    def after_fork_in_child(self) -> None:
        """Be stopped, with nothing seen."""
        if self._memory is not None:
            self._memory.forget()

    def tags(self) -> Mapping[str, str]:
        """Return how much went unseen, where that is the case."""
        return {"memory_samples_lost": str(self._lost)} if self._lost else {}


_VALUES = ("alloc-samples", "alloc-space", "heap-live-samples", "heap-space")


def _named(memory: ModuleType, handle: object, index: int) -> Stack:
    parts = memory.stack(handle, index)
    if not parts:
        return (("[too many stacks]", "", 0),)
    return symbolise(tuple(frame_at(code, offset) for code, offset in zip(parts[::2], parts[1::2], strict=True)))
