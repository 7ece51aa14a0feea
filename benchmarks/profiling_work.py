"""What is profiled: a thread that computes at depth 30, idle ones beside it, and three endpoints that share the CPU."""

import asyncio
import contextlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from tests.profiler.workloads import PER_MS, spin

# Of the stack below `busy`: it, 27 of `level` and `leaf`.
_LEVELS = 27
COST_MS = {"GET /much": 7, "GET /some": 2, "GET /little": 1}
Trace = Callable[..., AbstractContextManager[Any]]


def leaf(number: int) -> int:
    document = {"id": number, "tags": ["a", "b", "c"], "values": [number * factor for factor in range(20)]}
    return len(json.loads(json.dumps(document))) + sum(factor * number % 7 for factor in range(60))


def level(left: int, number: int) -> int:
    return level(left - 1, number + 1) if left else leaf(number)


def busy(calls: int) -> None:
    """A fixed amount of work at depth 30."""
    for number in range(calls):
        level(_LEVELS - 1, number)


def busy_for(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        busy(20)


@contextlib.contextmanager
def idle_threads(count: int) -> Iterator[list[int]]:
    """Threads that wait at depth 30; gives their native ids."""
    released = threading.Event()
    ready = threading.Barrier(count + 1)

    def rest(left: int) -> None:
        if left:
            rest(left - 1)
        else:
            ready.wait()
            released.wait()

    threads = [threading.Thread(target=rest, args=(_LEVELS,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    ready.wait()
    try:
        yield [thread.native_id or 0 for thread in threads]
    finally:
        released.set()
        for thread in threads:
            thread.join()


def _step(truth: Counter[str], endpoint: str) -> None:
    before = time.thread_time()
    spin(PER_MS)
    truth[endpoint] += time.thread_time() - before  # type: ignore[assignment]  # seconds


def in_threads(trace: Trace, seconds: float) -> Counter[str]:
    """Four threads that serve requests; returns the CPU seconds of each endpoint."""
    until = time.monotonic() + seconds
    truths: list[Counter[str]] = [Counter() for _ in range(4)]

    def serve(truth: Counter[str]) -> None:
        while time.monotonic() < until:
            endpoint = random.choice(list(COST_MS))
            with trace("web.request", span_type="web") as span:
                for _ in range(COST_MS[endpoint]):
                    _step(truth, endpoint)
                    time.sleep(0.0005)
                span.resource = endpoint  # routes are known last

    threads = [threading.Thread(target=serve, args=(truth,)) for truth in truths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(truths, Counter())


def in_tasks(trace: Trace, seconds: float) -> Counter[str]:
    """100 requests at once that one event loop interleaves; returns the CPU seconds of each endpoint."""
    until = time.monotonic() + seconds
    truth: Counter[str] = Counter()

    async def handle(endpoint: str) -> None:
        with trace("web.request", span_type="web") as span:
            for _ in range(COST_MS[endpoint]):
                _step(truth, endpoint)
                await asyncio.sleep(random.random() * 0.02)
            span.resource = endpoint

    async def client() -> None:
        while time.monotonic() < until:
            await asyncio.create_task(handle(random.choice(list(COST_MS))))

    async def main() -> None:
        await asyncio.gather(*(client() for _ in range(100)))

    asyncio.run(main())
    return truth


PLACES: dict[str, Callable[[Trace, float], Counter[str]]] = {"threads": in_threads, "100 tasks": in_tasks}
