"""Events that Python code of ours notices in the midst of the program's: where they happened, for whom, how much."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from ddmiddleware.profiling import activity, stacks, tasks
from ddmiddleware.profiling.samples import Sample
from ddmiddleware.tracing import Settings

_EVENTS_MAX = 50_000
_STACKS_MAX = 20_000

Labels = tuple[tuple[str, "str | int"], ...]
_Key = tuple[stacks.Stack, tuple[str, ...], Labels, Labels, "tasks.Task | None", "activity.Activity | None"]


class EventLog:
    """Takes events from any thread, without a lock: one may be noticed inside of another one."""

    def __init__(self, settings: Settings) -> None:
        self._depth: int = settings["DD_PROFILING_MAX_FRAMES"]
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self.lost = 0
        self._events: list[tuple[_Key, tuple[float, ...]]] = []
        self._stacks: dict[stacks.Stack, stacks.Stack] = {}

    def add(self, names: tuple[str, ...], amounts: tuple[float, ...], labels: Labels, skip: int = 0) -> None:
        """Note *amounts* of the values *names*, at the caller's stack without the *skip* innermost frames of it."""
        if len(self._events) >= _EVENTS_MAX or len(self._stacks) >= _STACKS_MAX:
            self.lost += 1
            return
        stack = stacks.capture(self._depth, skip + 1)
        stack = self._stacks.setdefault(stack, stack)
        thread = tuple(activity.thread_labels(threading.get_ident()).items())
        self._events.append(((stack, names, labels, thread, tasks.current(), activity.current()), amounts))

    def take(self) -> Iterator[Sample]:
        """Return what was noted since the last call."""
        events, self._events, self._stacks = self._events, [], {}
        sums: dict[_Key, list[float]] = {}
        for key, amounts in events:
            known = sums.setdefault(key, [0.0] * len(amounts))
            for place, amount in enumerate(amounts):
                known[place] += amount
        for (stack, names, labels, thread, task, work), total in sums.items():
            found = dict(thread) | dict(labels)
            if task is not None:
                found |= tasks.labels(task)
            if work is not None:
                found |= activity.labels(work)
            values = {name: round(amount) for name, amount in zip(names, total, strict=True) if round(amount)}
            yield Sample(stacks.symbolise(stack), values, found)
