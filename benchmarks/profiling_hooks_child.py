"""The hooks of one profiler: `python -m benchmarks.profiling_hooks_child ddmiddleware|ddtrace SECONDS` prints JSON.

`small` and `json` are how many times longer the work takes with the hook in Python's allocators; `lock_ns` and
`create_ns` are what is added to `with lock:` around nothing, and to `threading.Lock()`.
"""

import importlib
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

_DOCUMENT = json.dumps(
    [{"id": each, "name": f"n{each}", "v": [1.5 * each, 2, 3], "o": {"a": None}} for each in range(800)]
)
_DEPTH = 20
_LOOPS = 50_000


class _Node:
    def __init__(self, value: int, following: "_Node | None") -> None:
        self.value, self.following, self.more = value, following, {"value": value}


def small() -> int:
    node = None
    for number in range(3000):
        node = _Node(number * 1000, node)
    texts = [str(number) * 3 for number in range(6000)]
    tuples = [(number, number + 1, [number]) for number in range(3000)]
    return len(texts) + len(tuples)


def documents() -> int:
    return len(json.dumps(json.loads(_DOCUMENT)))


def deep(depth: int, function: Callable[[], int]) -> int:
    return deep(depth - 1, function) if depth else function()


def factor(function: Callable[[], int], collector: Any, seconds: float) -> float:
    """Off, on, on, off, again and again: the median of what the work takes longer when on."""
    end = time.monotonic() + seconds
    deep(_DEPTH, function)
    factors: list[float] = []
    while time.monotonic() < end or len(factors) < 5:
        took = [0.0, 0.0]
        for on, change in ((0, None), (1, collector.start), (1, None), (0, collector.stop)):
            if change is not None:
                change()
            deep(_DEPTH, function)
            start = time.thread_time()
            for _ in range(3):
                deep(_DEPTH, function)
            took[on] += time.thread_time() - start
        factors.append(took[1] / took[0])
    return statistics.median(factors)


def _enter(lock: Any) -> None:
    for _ in range(_LOOPS):
        with lock:
            pass


def _make(_: Any) -> None:
    make = threading.Lock
    for _ in range(_LOOPS):
        make()


def _ns(function: Callable[[Any], None], argument: Any = None) -> float:
    """Nanoseconds of CPU time a loop, the best of nine: what is more is others' noise."""
    best = float("inf")
    for _ in range(9):
        start = time.thread_time_ns()
        function(argument)
        best = min(best, time.thread_time_ns() - start)
    return best / _LOOPS


def locks(collector: Any) -> tuple[float, float]:
    native_ns, native_make_ns = _ns(_enter, threading.Lock()), _ns(_make)
    native = type(threading.Lock())
    collector.start()
    lock = threading.Lock()
    if type(lock) is native:
        sys.exit("locks are not profiled here")
    added = _ns(_enter, lock) - native_ns, _ns(_make) - native_make_ns
    collector.stop()
    return added


def ours() -> tuple[Any, Any]:
    settings = importlib.import_module("ddmiddleware.tracing").Settings({})
    memory = importlib.import_module("ddmiddleware.profiling.memory").MemoryCollector(settings)
    return memory, importlib.import_module("ddmiddleware.profiling.locks").LockCollector(settings)


def ddtrace() -> tuple[Any, Any]:
    ddup = importlib.import_module("ddtrace.internal.datadog.profiling.ddup")
    ddup.config(service="benchmark", env="", version="", tags={})
    ddup.start()
    memory = importlib.import_module("ddtrace.profiling.collector.memalloc").MemoryCollector()
    return memory, importlib.import_module("ddtrace.profiling.collector.threading").ThreadingLockCollector()


def main() -> None:
    try:
        memory, lock = {"ddmiddleware": ours, "ddtrace": ddtrace}[sys.argv[1]]()
    except ImportError as error:
        sys.exit(str(error))
    seconds = float(sys.argv[2])
    answer = {"small": factor(small, memory, seconds), "json": factor(documents, memory, seconds)}
    answer["lock_ns"], answer["create_ns"] = locks(lock)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
