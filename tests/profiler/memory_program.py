"""A program that allocates all the time and ends while memory is profiled, in the way that its argument says."""

import gc
import os
import sys
import threading
from typing import Any

from ddmiddleware.profiling.memory import MemoryCollector
from ddmiddleware.tracing import Settings


class Node:
    """Part of a cycle, which allocates when it dies."""

    def __init__(self) -> None:
        self.self: Any = self
        self.text = "x" * 100

    def __del__(self) -> None:
        _kept.append({self.text: [self.text] * 10})


_kept: list[Any] = []
_started = threading.Event()


def storm(rounds: int) -> None:
    for number in range(rounds):
        nodes = [Node() for _ in range(20)]
        _kept.append([{str(number): bytes(number % 3000)} for _ in range(50)])
        gen = (str(index) for index in range(100))
        "".join(gen)
        del nodes, gen
        if len(_kept) > 500:
            _kept.clear()
        _started.set()


def deep(level: int) -> Any:
    text = [level] * 50
    return deep(level + 1), text


def main(how: str) -> None:
    collector = MemoryCollector(Settings({"DD_PROFILING_HEAP_SAMPLE_SIZE": "256"}))
    collector.start()
    gc.set_threshold(50)
    storm(100)
    if how == "thread":
        for _ in range(4):
            threading.Thread(target=storm, args=(10**9,), daemon=True).start()
        _started.clear()
        _started.wait()
    elif how == "error":
        sys.excepthook = lambda *_: os._exit(0)
        raise ValueError([bytes(100) for _ in range(100)])
    elif how == "exit":
        sys.exit(0)
    elif how == "fork":
        for _ in range(10):
            child = os.fork()
            if not child:
                collector.after_fork_in_child()
                collector.start()
                storm(30)
                list(collector.collect())
                return
            storm(10)
            assert os.waitpid(child, 0)[1] == 0
    elif how == "deep":
        for _ in range(3):
            try:
                deep(0)
            except RecursionError:
                storm(2)
    elif how == "collect":
        threads = [threading.Thread(target=storm, args=(100,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            list(collector.collect())
        collector.stop()
        list(collector.collect())


if __name__ == "__main__":
    main(sys.argv[1])
