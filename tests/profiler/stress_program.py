"""Everything that can go wrong under a sampler, at once: ``python -m tests.profiler.stress_program SECONDS``.

It ends with status 0 and prints how much it grew, in KiB, from the second to the last quarter of its time.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import resource
import statistics
import sys
import threading
import time
import warnings
from collections.abc import Callable, Generator

from ddmiddleware import tracer
from ddmiddleware.profiling.stack_collector import StackCollector
from ddmiddleware.tracing import Settings, Span, at_fork


class Nowhere:
    def put(self, chunk: list[Span]) -> None:
        pass


def recurse(depth: int) -> int:
    return depth if depth == 0 else recurse(depth - 1)


def count(stop: int) -> Generator[int, None, None]:
    for number in range(stop):
        if number == 7:
            yield from count(3)
        yield number


def fail(depth: int) -> None:
    try:
        if depth == 0:
            raise ValueError(depth)
        fail(depth - 1)
    except ValueError as error:
        raise KeyError(depth) from error


def make_code() -> None:
    exec(compile(f"def made_{time.monotonic_ns()}():\n    return sum(range(500))\n", "made", "exec"), space := {})
    next(value for name, value in space.items() if name.startswith("made"))()


def churn() -> None:
    threads = [threading.Thread(target=lambda: list(count(50))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def fork() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads, which the application has
        child = os.fork()
    if child == 0:
        collector.start()
        recurse(100)
        list(collector.collect())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


async def tasks() -> None:
    async def one(number: int) -> None:
        with tracer.trace("web.request", resource=f"GET /{number % 5}", span_type="web"):
            for _ in range(3):
                await asyncio.sleep(0.001)
                list(count(20))

    await asyncio.gather(*(one(number) for number in range(80)))


def fail_often() -> None:
    for _ in range(20):
        try:
            fail(30)
        except KeyError:
            continue


def repeat(action: Callable[[], object], until: float, pause_s: float = 0) -> None:
    while time.monotonic() < until:
        with tracer.trace("web.request", resource=getattr(action, "__name__", ""), span_type="web"):
            action()
        time.sleep(pause_s)


collector = StackCollector(Settings({"DD_PROFILING_MAX_TIME_USAGE_PCT": "100"}), tracer)


def main(seconds: float, forks: bool) -> None:
    faulthandler.enable()
    sys.setrecursionlimit(3000)
    tracer.divert(Nowhere())
    at_fork(
        before=collector.before_fork,
        in_parent=collector.after_fork_in_parent,
        in_child=collector.after_fork_in_child,
    )
    collector.start()
    until = time.monotonic() + seconds
    actions: list[tuple[Callable[[], object], float]] = [
        (lambda: recurse(2500), 0),
        (lambda: list(count(200)), 0),
        (fail_often, 0),
        (make_code, 0.001),
        (churn, 0.002),
        (lambda: asyncio.run(tasks()), 0),
    ]
    if forks:
        actions.append((fork, 0.1))
    threads = [threading.Thread(target=repeat, args=(action, until, pause)) for action, pause in actions]
    for thread in threads:
        thread.start()
    sizes, seen = [], 0
    while time.monotonic() < until:
        time.sleep(max(seconds / 20, 0.05))
        seen += len(list(collector.collect()))
        sizes.append(_resident_kib())
        if len(sizes) % 7 == 0:
            collector.stop()
            collector.start()
    for thread in threads:
        thread.join()
    collector.stop()
    seen += len(list(collector.collect()))
    assert seen
    quarter = len(sizes) // 4
    # What a moment's samples and threads need comes and goes.
    grew = statistics.median(sizes[-quarter:]) - statistics.median(sizes[quarter : 2 * quarter])
    print(collector.tags()["sampler"], seen, "samples; grew", grew, "KiB; had", *sizes)


def _resident_kib() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() // 1024


if __name__ == "__main__":
    main(float(sys.argv[1]), "noforks" not in sys.argv)
