"""Forks of a busy process with every collector: ``python -m tests.profiler.forks_program [ROUNDS [CHILDREN]]``.

Each child is profiled anew, computes, allocates, waits for a lock, raises and exits; the parent goes on, and sends
profiles meanwhile. Prints how many children ended with status 0, and how many there were.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import warnings

from ddmiddleware import tracer
from ddmiddleware.profiling import Profiler
from ddmiddleware.profiling import profiler as module

LIMIT_S = 60  # of a child
lock = threading.Lock()
kept: list[bytes] = []


def work() -> None:
    with tracer.trace("web.request", resource="GET /", span_type="web"):
        for number in range(200):
            with lock:
                kept.append(bytes(1000 + number))
            try:
                int("x")
            except ValueError:
                sum(range(500))
        kept.clear()
        gc.collect()


def child() -> None:
    global lock
    signal.alarm(LIMIT_S)
    lock = threading.Lock()  # a thread that is not here may hold the program's
    assert module._active is not None
    assert module._active.running
    for _ in range(5):
        work()


def main(rounds: int = 50, children: int = 8) -> None:
    warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: of forks beside threads, which are the point here
    Profiler().start()
    over = threading.Event()

    def churn() -> None:
        while not over.is_set():
            work()

    threads = [threading.Thread(target=churn) for _ in range(2)]
    for thread in threads:
        thread.start()
    statuses = []
    for _ in range(rounds):
        pids = []
        for _ in range(children):
            pid = os.fork()
            if pid == 0:
                child()
                sys.exit()
            pids.append(pid)
        statuses += [os.waitpid(pid, 0)[1] for pid in pids]
    over.set()
    for thread in threads:
        thread.join()
    print(statuses.count(0), len(statuses))


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:3]))
