"""What the profilers' hooks cost a program: those in Python's allocators, and in `threading.Lock`."""

import json
import subprocess
import sys
from collections import defaultdict

from benchmarks.figures import Outcome, Series, Table, Verdict
from benchmarks.peers import ROOT, Peer, environment
from benchmarks.profiling_peers import DDTRACE, OURS

HOOKED = (OURS, DDTRACE)
_LIMIT_S = 120.0
_NOWHERE = "http://127.0.0.1:9"  # nothing is sent
# What is measured: its title, its unit, the budget, and between which figures it can be true.
_CASES = {
    "small": ("allocating small objects", "x", 1.08, (0.7, 5.0)),
    "json": ("allocating by json", "x", 1.08, (0.7, 5.0)),
    "lock_ns": ("a lock that is free", "ns", 150.0, (-100.0, 20_000.0)),
    "create_ns": ("making a lock", "ns", 400.0, (-100.0, 50_000.0)),
}


class Hooks:
    """Takes the figures of one round after the other, each in a new process."""

    def __init__(self, quick: bool) -> None:
        self._seconds = 0.5 if quick else 1.0
        self.series: dict[tuple[str, str], Series] = defaultdict(Series)

    def take(self, peer: Peer) -> None:
        command = [sys.executable, "-m", "benchmarks.profiling_hooks_child", peer.label, str(self._seconds)]
        # The exceptions, the heap and the locks that the stacks' processes leave out are what is measured here.
        clean = {name: value for name, value in environment(peer, _NOWHERE).items() if not name.startswith("DD_PROF")}
        problem, figures = "", {}
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=_LIMIT_S, check=False
            )
            if done.returncode == 0:
                figures = json.loads(done.stdout)
            else:
                last = (done.stderr.strip().splitlines() or ["no output"])[-1]
                problem = f"exit status {done.returncode}: {last}"
        except subprocess.TimeoutExpired:
            problem = f"it took longer than {_LIMIT_S:.0f} s"
        for case, (_, unit, _, (least, most)) in _CASES.items():
            value = figures.get(case, 0.0)
            absurd = "" if least <= value <= most else f"{value:.2f} {unit} cannot be"
            self.series[peer.name, case].add(value, problem or absurd)

    def outcome(self) -> Outcome:
        table = Table(
            "Profiler: hooks",
            ("profiler", *(f"{title}, {unit}" for title, unit, _, _ in _CASES.values())),
            [
                [
                    peer.label,
                    *(self.series[peer.name, case].text(3 if _CASES[case][1] == "x" else 0) for case in _CASES),
                ]
                for peer in HOOKED
            ],
            "Memory profiled: how many times longer allocating takes, in CPU time: off, on, on, off in one process. "
            "Locks profiled: what is added to `with lock:` around nothing, and to `threading.Lock()`.",
        )
        verdicts = [
            Verdict(f"Profiler: {title}", budget, self.series[OURS.name, case].median, unit)
            for case, (title, unit, budget, _) in _CASES.items()
        ]
        problems = dict.fromkeys(
            f"{peer}, hooks: {why}" for (peer, _), one in self.series.items() for why in one.problems
        )
        raw = {f"{peer}/{case}": one.values for (peer, case), one in self.series.items()}
        return Outcome([table], verdicts, list(problems), raw)
