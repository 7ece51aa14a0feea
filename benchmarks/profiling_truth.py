"""Whether a profile is true: wall time by function, CPU time by endpoint, against the program's own clocks."""

import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from benchmarks.figures import Outcome, Series, Table, Verdict, number
from benchmarks.peers import Peer
from benchmarks.profiling_peers import OURS, PROFILERS, TRACING, Profiled
from tests.profiler.workloads import error, shares

WORKLOADS = ("pure", "without the GIL", "compute and wait", "short waits")
PLACES = ("threads", "100 tasks")
_POINTS = 3.0
# Before Python 3.12 several busy threads race for the GIL that the sampler asks for (docs/profiling.md).
_THREADS_POINTS = 3.0 if sys.version_info >= (3, 12) else 8.0
_NOBODYS = 1.0
_SAMPLES_PER_S = 40  # of 100
_SEEN = (0.6, 1.4)  # wall time as seen, of what passed


class Sums:
    """The truth and what was seen, over all rounds: chance evens out there, and what is wrong stays."""

    def __init__(self) -> None:
        self.truth: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.errors = Series()
        self.samples = 0

    def add(self, answer: Mapping[str, Any], problem: str) -> None:
        value = 0.0
        if not problem:
            truth, seen = Counter(answer["truth"]), Counter(answer["seen"])
            self.truth.update(truth)
            self.seen.update(seen)
            self.samples += answer.get("samples", 0)
            value = error(truth, seen)
        self.errors.add(value, problem)

    @property
    def points(self) -> float:
        """What is charged to the wrong place, of all, in points."""
        return error(self.truth, self.seen) if self.errors.valid else float("nan")

    @property
    def nobodys(self) -> float:
        """What is charged to no endpoint, in per cent."""
        return shares(self.seen).get("no endpoint", 0.0) if self.errors.valid else float("nan")

    @property
    def part(self) -> float:
        """How much was seen of the time that was spent, in per cent."""
        return 100 * self.seen.total() / self.truth.total() if self.errors.valid else float("nan")

    def raw(self) -> dict[str, Any]:
        return {
            "truth": dict(self.truth),
            "seen": dict(self.seen),
            "points": self.errors.values,
            "problems": self.errors.problems,
        }


class Truths:
    """Takes the figures of one round after the other."""

    def __init__(self, quick: bool) -> None:
        self._wall_s, self._endpoints_s = (0.8, 1.2) if quick else (2.0, 2.5)
        self.wall: dict[tuple[str, str], Sums] = defaultdict(Sums)
        self.endpoints: dict[tuple[str, str], Sums] = defaultdict(Sums)

    def take_wall(self, processes: Profiled, peer: Peer, workload: str) -> None:
        self.wall[peer.name, workload].add(
            *processes.ask(peer, "wall", _wrong_wall, workload=workload, seconds=self._wall_s)
        )

    def take_endpoints(self, processes: Profiled, peer: Peer, place: str) -> None:
        self.endpoints[peer.name, place].add(
            *processes.ask(peer, "endpoints", _wrong_endpoints, place=place, seconds=self._endpoints_s)
        )

    def outcome(self) -> Outcome:
        tables = [
            Table(
                f"Profiler: error of wall time, {workload}",
                ("profiler", "points off", "points off, each round", "samples", "% of the time seen"),
                [_wall_row(peer, self.wall[peer.name, workload]) for peer in PROFILERS],
                "Half of the summed differences between true and seen shares of a program's functions: first over all "
                "rounds, then round by round. Chance alone gives 1.5 points at 1000 samples, and 4 at 150.",
            )
            for workload in WORKLOADS
        ]
        tables += [
            Table(
                f"Profiler: error of CPU time by endpoint, {place}",
                ("profiler", "points off", "points off, each round", "% for no endpoint", "% of the time seen"),
                [_endpoint_row(peer, self.endpoints[peer.name, place]) for peer in TRACING],
                "Three endpoints share the CPU 70/20/10, and are named at the end of each request.",
            )
            for place in PLACES
        ]
        verdicts = [
            Verdict(
                f"Profiler: error of wall time, {workload}", _POINTS, self.wall[OURS.name, workload].points, "points"
            )
            for workload in WORKLOADS
        ]
        for place in PLACES:
            ours = self.endpoints[OURS.name, place]
            budget = _THREADS_POINTS if place == "threads" else _POINTS
            verdicts.append(Verdict(f"Profiler: error of CPU time by endpoint, {place}", budget, ours.points, "points"))
            verdicts.append(Verdict(f"Profiler: CPU time for no endpoint, {place}", _NOBODYS, ours.nobodys, "%"))
        both = {**self.wall, **self.endpoints}
        problems = [f"{peer}, {case}: {why}" for (peer, case), one in both.items() for why in one.errors.problems]
        return Outcome(tables, verdicts, problems, {f"{peer}/{case}": one.raw() for (peer, case), one in both.items()})


def _wall_row(peer: Peer, one: Sums) -> list[str]:
    return [peer.label, number(one.points), one.errors.text(), str(one.samples), number(one.part, 0)]


def _endpoint_row(peer: Peer, one: Sums) -> list[str]:
    return [peer.label, number(one.points), one.errors.text(), number(one.nobodys), number(one.part, 0)]


def _wrong_wall(answer: Mapping[str, Any]) -> str:
    true_s, seen_s = sum(answer["truth"].values()), sum(answer["seen"].values())
    if answer["samples"] < _SAMPLES_PER_S * true_s:
        return f"{answer['samples']} samples in {true_s:.1f} s are too few"
    if not _SEEN[0] <= seen_s / true_s <= _SEEN[1]:
        return f"{seen_s:.1f} s were seen of {true_s:.1f} s"
    return ""


def _wrong_endpoints(answer: Mapping[str, Any]) -> str:
    return "" if sum(answer["seen"].values()) > 0 else "no CPU time was seen at all"
