"""A process that is profiled: `python -m benchmarks.profiling_child MODULE`, JSON commands as `benchmarks.child`'s.

`{"do": "tick", "seconds": 2, "idle": 16}`, `{"do": "passes", "blocks": 2}`, `{"do": "wall", "workload": "pure",
"seconds": 2}`, `{"do": "endpoints", "place": "threads", "seconds": 2}`.
"""

import importlib
import json
import os
import statistics
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.processes import NotMeasuredError
from benchmarks.profiling_watch import Found, Watch, schedule
from benchmarks.profiling_work import PLACES, busy, busy_for, idle_threads
from tests.profiler.workloads import WORKLOADS, run

_PASS_S = 0.2
_MAIN = Path(f"/proc/self/task/{os.getpid()}")


class _Commands:
    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._pass_calls = 0

    def tick(self, seconds: float, idle: int) -> dict[str, Any]:
        """CPU of the profiler while one thread computes at depth 30, and how often it looked."""
        with idle_threads(idle) as natives:
            application = [threading.main_thread().native_id or 0, *natives]
            busy_for(0.2)
            self.watch.begin()
            busy_for(0.1)  # what begins anew meets every stack for the first time
            before_ns, start = self.watch.cost_ns(application), time.monotonic()
            busy_for(seconds)
            cost_ns, took_s = self.watch.cost_ns(application) - before_ns, time.monotonic() - start
            found = self.watch.end()
        looked = _count(found, "busy_for")
        ticks = looked if found.ticks is None else found.ticks
        # They were counted from `begin` on, the cost a little later.
        return {
            "cost_us": cost_ns / 1000,
            "ticks": ticks * took_s / (took_s + 0.1),
            "took_s": took_s,
            "looked": looked,
            "facts": found.facts,
        }

    def passes(self, blocks: int) -> dict[str, Any]:
        """How much longer fixed work takes with the profiler, in per cent: off, on, on, off; then the median."""
        if not self._pass_calls:
            self._pass_calls = self._calibrated()
        added = []
        self.watch.pause()
        for _ in range(blocks):
            took = [0.0, 0.0]
            for on, change in ((0, None), (1, self.watch.resume), (1, None), (0, self.watch.pause)):
                if change is not None:
                    change()
                busy(self._pass_calls // 10)
                took[on] += self._pass()
            added.append(100 * (took[1] / took[0] - 1))
        self.watch.resume()
        return {"added_percent": statistics.median(added)}

    def _calibrated(self) -> int:
        busy(200)
        start = time.thread_time()
        busy(200)
        return int(200 * _PASS_S / (time.thread_time() - start))

    def _pass(self) -> float:
        """Seconds for the work, without those in which it was ready to run and other processes had the core."""
        start_s, waited_ns = time.monotonic(), schedule(_MAIN)[1]
        busy(self._pass_calls)
        return time.monotonic() - start_s - (schedule(_MAIN)[1] - waited_ns) / 1e9

    def wall(self, workload: str, seconds: float) -> dict[str, Any]:
        """The seconds of each function, true and as seen."""
        functions = WORKLOADS[workload]
        self.watch.begin()
        truth, _ = run(functions, seconds)
        found = self.watch.end()
        names = {function.__name__ for function in functions}
        seen: Counter[str] = Counter()
        count = 0
        for sample in found.samples:
            name = next((name for name in sample.stack if name in names), None)
            if name is not None and "run" in sample.stack:
                seen[name] += sample.values.get("wall-time", 0)
                count += sample.values.get("wall-samples", 0)
        return {"truth": truth, "seen": {name: ns / 1e9 for name, ns in seen.items()}, "samples": count}

    def endpoints(self, place: str, seconds: float) -> dict[str, Any]:
        """The CPU seconds of each endpoint, true and as seen; "no endpoint" is what was charged to none."""
        tracer = self.watch.tracer()
        self.watch.begin()
        truth = PLACES[place](tracer.trace, seconds)
        tracer.flush()
        found = self.watch.end()
        seen: Counter[str] = Counter()
        for sample in found.samples:
            if "spin" in sample.stack:
                seen[sample.labels.get("trace endpoint") or "no endpoint"] += sample.values.get("cpu-time", 0)
        return {"truth": truth, "seen": {name: ns / 1e9 for name, ns in seen.items()}}


def _count(found: Found, function: str) -> int:
    return sum(seen.values.get("wall-samples", 0) for seen in found.samples if function in seen.stack)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        commands = _Commands(importlib.import_module(sys.argv[1]).start())
    except (NotMeasuredError, ImportError) as error:
        sys.exit(str(error))
    print(json.dumps({"threads": len(os.listdir("/proc/self/task"))}), file=answers)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(commands, command.pop("do"))(**command)
        except NotMeasuredError as error:
            sys.exit(str(error))
        print(json.dumps(answer), file=answers)
    answers.close()


if __name__ == "__main__":
    main()
