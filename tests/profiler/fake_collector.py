"""A collector that sees what a test wants."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import ClassVar

from ddmiddleware.profiling.collector import Collector
from ddmiddleware.profiling.samples import Sample
from ddmiddleware.tracing import Settings

STACK = (("View.get", "/srv/views.py", 20), ("main", "/srv/app.py", 10))


class FakeCollector(Collector):
    """One sample for each ``collect``, with the number of the calls so far as its value, and a thread while it runs."""

    made: ClassVar[list[FakeCollector]] = []
    refuses = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.calls: list[str] = []
        self.running = False
        self._over = threading.Event()
        self.made.append(self)

    def start(self) -> None:
        """Start, or refuse to."""
        self.calls.append("start")
        if self.refuses:
            raise RuntimeError("no such thing here")
        assert not self.running
        self.running = True
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._over.wait, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop."""
        assert self.running
        self.calls.append("stop")
        self.running = False
        self._over.set()
        self._thread.join()

    def collect(self) -> Iterable[Sample]:
        """Have seen two requests."""
        self.calls.append("collect")
        yield Sample(STACK, {"cpu-time": 1_000_000, "cpu-samples": 1}, {"trace endpoint": "GET /buy", "thread id": 1})
        yield Sample(STACK[1:], {"cpu-time": 2_000_000}, {"trace endpoint": "GET /<name>", "thread id": 1})

    def after_fork_in_child(self) -> None:
        """Be stopped."""
        self.calls.append("child")
        self.running = False

    def before_fork(self) -> None:
        """End the thread, as Python 3.12 warns of it."""
        self.calls.append("before")
        self._over.set()
        self._thread.join()

    def after_fork_in_parent(self) -> None:
        """Have a thread again."""
        self.calls.append("parent")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._over.wait, daemon=True)
        self._thread.start()

    def tags(self) -> Mapping[str, str]:
        """Say what it is."""
        return {"sampler": "fake"}

    def endpoint_counts(self) -> Mapping[str, int]:
        """Have seen three requests."""
        return {"GET /buy": 3}


ROWS = (("DD_PROFILING_STACK_ENABLED", "tests.profiler.fake_collector", "FakeCollector"),)
# What a script in a process of its own begins with.
PRELUDE = """
import os, sys, threading, time
os.environ.setdefault("DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS", "10")  # the machine is busy
from ddmiddleware.profiling import profiler as module
from ddmiddleware.profiling import Profiler
from tests.profiler.fake_collector import ROWS, FakeCollector
module.COLLECTORS = ROWS

def fork(work):
    pid = os.fork()
    if pid == 0:
        work()
        sys.exit()
    return os.waitpid(pid, 0)[1]
"""
