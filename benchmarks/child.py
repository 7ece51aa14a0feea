"""A peer in a process of its own: `python -m benchmarks.child MODULE`, one JSON command a line, one JSON answer each.

Commands: `{"do": "flush"}`, `{"do": "spans", "shape": "nested", "bursts": 4}`,
`{"do": "paced", "seconds": 3, "spans_per_s": 2000}`, `{"do": "hold", "shape": "nested", "bursts": 3}`,
`{"do": "requests", "app": "flask", "bursts": 3, "requests": 200}`,
`{"do": "prepare_client", "client": "redis GET", "url": "redis://127.0.0.1:6379/0"}`,
`{"do": "calls", "client": "redis GET", "bursts": 3, "requests": 50, "calls": 10}`.
The end of the input lets the process exit the ordinary way, its exit handlers included.
"""

import contextlib
import importlib
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

# First of all imports that matter: ddtrace.auto wants to come before what it patches.
PEER = importlib.import_module(sys.argv[1])

from benchmarks.apps import APPS  # noqa: E402
from benchmarks.clients import CLIENTS  # noqa: E402
from benchmarks.workload import SHAPES, Tracing, burst, paced, unsent  # noqa: E402


def _cpu_s() -> float:
    """CPU seconds of the whole process, its background threads included."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


_GAP_S = 1e-4


def _run_delay_s() -> float:
    """Seconds that this process's threads have been ready to run and had no core (the kernel's schedstat)."""
    total = 0
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/schedstat") as stat:
            total += int(stat.read().split()[1])
    return total / 1e9


class _Commands:
    def __init__(self, tracing: Tracing) -> None:
        self.tracing = tracing
        self.apps: dict[str, Callable[[int], None]] = {}
        self.clients: dict[str, Callable[[], object]] = {}
        self.instrumented = False

    def flush(self) -> dict[str, Any]:
        self.tracing.flush()
        return {}

    def spans(self, shape: str, bursts: int) -> dict[str, Any]:
        start = _cpu_s()
        for _ in range(bursts):
            burst(self.tracing, SHAPES[shape])
        spans = bursts * SHAPES[shape].traces_per_burst * SHAPES[shape].spans
        return {"cpu_s": _cpu_s() - start, "made": spans}

    def paced(self, seconds: float, spans_per_s: int) -> dict[str, Any]:
        start, start_s = _cpu_s(), time.monotonic()
        made = paced(self.tracing, SHAPES["nested"], seconds, spans_per_s)
        return {"cpu_s": _cpu_s() - start, "made": made, "took_s": time.monotonic() - start_s}

    def hold(self, shape: str, bursts: int) -> dict[str, Any]:
        longest = 0.0
        for _ in range(bursts):
            unsent(self.tracing, SHAPES[shape])
            flush = threading.Thread(target=self._flush_and_rest)
            flush.start()
            delay = _run_delay_s()
            last = time.perf_counter()
            while flush.is_alive():
                now = time.perf_counter()
                if now - last > _GAP_S:
                    before, delay = delay, _run_delay_s()
                    longest = max(longest, now - last - (delay - before))
                    now = time.perf_counter()
                last = now
        return {"longest_s": longest}

    def _flush_and_rest(self) -> None:
        self.tracing.flush()
        time.sleep(0.02)  # long enough for the baseline, which flushes nothing, to show the system's interruptions

    def requests(self, app: str, bursts: int, requests: int) -> dict[str, Any]:
        self._instrument()
        if app not in self.apps:
            self.apps[app] = APPS[app]()
        start = _cpu_s()
        for _ in range(bursts):
            self.apps[app](requests)
            self.tracing.flush()
        return {"cpu_s": _cpu_s() - start, "made": bursts * requests}

    def _instrument(self) -> None:
        if not self.instrumented:
            self.instrumented = True
            PEER.instrument()

    def prepare_client(self, client: str, url: str) -> dict[str, Any]:
        self._instrument()
        if client not in self.clients:
            self.clients[client] = CLIENTS[client](url)
            self.clients[client]()
        return self.flush()

    def calls(self, client: str, bursts: int, requests: int, calls: int) -> dict[str, Any]:
        call, trace = self.clients[client], self.tracing.trace
        start = _cpu_s()
        for _ in range(bursts):
            for _ in range(requests):
                with trace("request"):
                    for _ in range(calls):
                        call()
            self.tracing.flush()
        return {"cpu_s": _cpu_s() - start, "made": bursts * requests * calls}


def main() -> None:
    # A library that prints would break the protocol: standard output is kept for the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    commands = _Commands(PEER.start())
    print(json.dumps({"threads": len(os.listdir("/proc/self/task"))}), file=answers)
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(commands, command.pop("do"))(**command)), file=answers)
    answers.close()


if __name__ == "__main__":
    main()
