"""The sampler's budgets, by hand: ``python -m tests.stress.profiler_truth [SECONDS [RUNS]]``, on a quiet machine.

Prints the median error of each workload (facts: 3 points of wall time are allowed, 5 where C code holds the GIL) and of
the three endpoints in each place (3 points, 8 on Python 3.10 and 3.11 outside of the main thread), with all runs.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

from tests.profiler.sampling import by, function_of, sampled
from tests.profiler.truth import PLACES
from tests.profiler.workloads import WORKLOADS, error, run


def wall_error(name: str, seconds: float) -> float:
    names = {function.__name__ for function in WORKLOADS[name]}
    with sampled() as samples:
        wall, _ = run(WORKLOADS[name], seconds)
    return error(wall, by(samples, "wall-time", lambda sample: function_of(sample, names)))


def endpoint_error(place: str, seconds: float) -> float | None:
    command = [sys.executable, "-m", "tests.profiler.truth", place, str(seconds)]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return float(found.stdout.split()[0]) if found.returncode == 0 else None


def main(seconds: float = 10, runs: int = 5) -> None:
    for name in WORKLOADS:
        show(f"wall time, {name}", [wall_error(name, seconds) for _ in range(runs)])
    for place in PLACES:
        show(f"endpoints, {place}", [endpoint_error(place, seconds) for _ in range(runs)])


def show(what: str, errors: list[float | None]) -> None:
    known = sorted(each for each in errors if each is not None)
    if known:
        print(f"{what:36} {statistics.median(known):5.1f}  {[round(each, 1) for each in known]}", flush=True)


if __name__ == "__main__":
    main(*(float(word) for word in sys.argv[1:2]), *(int(word) for word in sys.argv[2:3]))
