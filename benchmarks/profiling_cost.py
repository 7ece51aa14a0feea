"""What a profiler costs: CPU per tick, and how much longer the program takes."""

from collections import defaultdict
from typing import Any

from benchmarks.figures import Outcome, Series, Table, Verdict, ratios
from benchmarks.peers import Peer
from benchmarks.profiling_peers import DDTRACE, OURS, PROFILERS, Profiled

IDLE = {"1 busy thread": 0, "1 busy, 16 idle threads": 16}
_BUDGETS = {"1 busy thread": 0.65, "1 busy, 16 idle threads": 0.35}
# Outside of these a figure says more about the machine, or about a mistake, than about a profiler.
_HZ = (50.0, 125.0)
_TICK_US = (2.0, 50_000.0)
_ADDED_PERCENT = 50.0


class Costs:
    """Takes the figures of one round after the other."""

    def __init__(self, quick: bool) -> None:
        self._seconds, self._blocks = (0.8, 1) if quick else (2.0, 2)
        self.ticks: dict[tuple[str, str], Series] = defaultdict(Series)
        self.rates: dict[tuple[str, str], Series] = defaultdict(Series)
        self.added: dict[str, Series] = defaultdict(Series)
        self.facts: dict[str, list[Any]] = defaultdict(list)

    def tick(self, processes: Profiled, peer: Peer, case: str) -> None:
        answer, problem = processes.ask(peer, "tick", _wrong_tick, seconds=self._seconds, idle=IDLE[case])
        tick_us, rate_hz = (
            (0.0, 0.0) if problem else (answer["cost_us"] / answer["ticks"], answer["ticks"] / answer["took_s"])
        )
        self.ticks[peer.name, case].add(tick_us, problem)
        self.rates[peer.name, case].add(rate_hz, problem)
        self.facts[f"{peer.name}/{case}"].append(answer)

    def passes(self, processes: Profiled, peer: Peer) -> None:
        answer, problem = processes.ask(peer, "passes", _wrong_passes, blocks=self._blocks)
        self.added[peer.name].add(answer.get("added_percent", 0.0), problem)

    def outcome(self) -> Outcome:
        tables = [
            Table(
                f"Profiler: CPU per tick, {case}",
                ("profiler", "CPU us per tick", "ddmiddleware / peer", "ticks per s", "% of a core at 100 Hz"),
                [self._row(peer, case) for peer in PROFILERS],
                "The busy thread computes at depth 30, idle ones wait there. CPU of the profiler's own threads, or of "
                "py-spy's process, by the kernel's schedstat; of ticks in the application's threads by their clock.",
            )
            for case in IDLE
        ]
        tables.append(
            Table(
                "Profiler: how much longer the program takes",
                ("profiler", "% added at 100 Hz"),
                [[peer.label, self.added[peer.name].text(2)] for peer in PROFILERS],
                "Fixed work of 0.2 s at depth 30, off, on, on, off in one process; wall time without that in which "
                "the thread was ready and others had the core: what the profiler's own threads use is not in it. "
                "On a busy machine some points are noise.",
            )
        )
        verdicts = [
            Verdict(
                f"Profiler: CPU per tick, {case}, of ddtrace",
                _BUDGETS[case],
                ratios(self.ticks[OURS.name, case], self.ticks[DDTRACE.name, case]).median,
                "x",
            )
            for case in IDLE
        ]
        problems = [f"{peer}, {case}: {why}" for (peer, case), one in self.ticks.items() for why in one.problems]
        problems += [f"{peer}, passes: {why}" for peer, one in self.added.items() for why in one.problems]
        raw = {
            f"{peer}/{case}": {"tick_us": one.values, "facts": self.facts[f"{peer}/{case}"]}
            for (peer, case), one in self.ticks.items()
        }
        return Outcome(
            tables, verdicts, problems, {**raw, "added_percent": {peer: one.values for peer, one in self.added.items()}}
        )

    def _row(self, peer: Peer, case: str) -> list[str]:
        one = self.ticks[peer.name, case]
        ratio = "1" if peer is OURS else ratios(self.ticks[OURS.name, case], one).text(3)
        share = f"{one.median / 100:.2f}" if one.valid else "-"
        return [peer.label, one.text(), ratio, self.rates[peer.name, case].text(0), share]


def _wrong_tick(answer: dict[str, Any]) -> str:
    ticks, took_s = answer["ticks"], answer["took_s"]
    if not _HZ[0] <= ticks / took_s <= _HZ[1]:
        return f"it looked {ticks / took_s:.0f} times a second, not 100 times"
    # ddtrace sees a third less often than it ticks. What its other ticks cost is in the figure, to its advantage.
    if answer["looked"] < 0.5 * ticks:
        return f"the busy thread was seen by {answer['looked']} of {ticks:.0f} ticks"
    if answer["facts"].get("fast copy") is False:
        return "ddtrace still copies memory by system calls, as it does in its first seconds"
    tick_us = answer["cost_us"] / ticks
    return "" if _TICK_US[0] <= tick_us <= _TICK_US[1] else f"{tick_us:.1f} us a tick cannot be"


def _wrong_passes(answer: dict[str, Any]) -> str:
    added = answer["added_percent"]
    return f"{added:.0f} % cannot be" if abs(added) > _ADDED_PERCENT else ""
