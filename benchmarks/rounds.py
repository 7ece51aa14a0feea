"""Rounds in which every peer has a fresh process, and all of them take turns while they live.

Peers take turns in short passes, in another order each time, so that a change of the machine's load meets all of them.
"""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.figures import Series
from benchmarks.peers import Peer
from benchmarks.processes import Child, NotMeasuredError, Progress, Sink, sink


@dataclass
class Pass:
    """One peer's turn: CPU microseconds per span or request, and what else was seen."""

    cpu_us: float
    seen: dict[str, Any]


Measure = Callable[[Child, Sink, str], Pass]


@dataclass
class Cells:
    """Figures and last sights by peer and case."""

    series: dict[tuple[str, str], Series] = field(default_factory=lambda: defaultdict(Series))
    seen: dict[tuple[str, str], dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))

    def get(self, peer: Peer, case: str) -> Series:
        return self.series[peer.name, case]

    def sight(self, peer: Peer, case: str, what: str, unknown: Any = "-") -> Any:
        return self.seen[peer.name, case].get(what, unknown)

    def problems(self) -> list[str]:
        return [f"{peer}, {case}: {why}" for (peer, case), series in self.series.items() for why in series.problems]

    def raw(self) -> dict[str, Any]:
        return {
            f"{peer}/{case}": {"cpu_us": series.values, "problems": series.problems, **self.seen[peer, case]}
            for (peer, case), series in self.series.items()
        }


def take_turns(
    peers: Sequence[Peer],
    cases: Sequence[str],
    rounds: int,
    passes: int,
    measure: Measure,
    progress: Progress,
    more: Mapping[str, str] | None = None,
    of_passes: Callable[[Sequence[float]], float] = min,
) -> Cells:
    """Measure every case of every peer; a round's figure is the least of its passes, after one that warms up.

    Of CPU time, that is: whatever else the machine does adds to it, and takes nothing from it. *of_passes* is for what
    is no CPU time.
    """
    cells = Cells()
    for round_number in range(rounds):
        with contextlib.ExitStack() as stack:
            living: dict[Peer, tuple[Child, Sink]] = {}
            failed: dict[Peer, str] = {}
            for peer in peers:
                progress.step(f"round {round_number + 1} of {rounds}, starting {peer.label}")
                try:
                    living[peer] = stack.enter_context(_life(peer, more or {}))
                except NotMeasuredError as error:
                    failed[peer] = str(error)
            for case_number, case in enumerate(cases):
                figures: dict[Peer, list[float]] = defaultdict(list)
                for turn in range(passes + 1):
                    shift = (round_number + case_number + turn) % len(peers)
                    for peer in (*peers[shift:], *peers[:shift]):
                        if peer in failed:
                            continue
                        progress.step(f"round {round_number + 1} of {rounds}, {case}, {peer.label}")
                        try:
                            result = measure(*living[peer], case)
                        except NotMeasuredError as error:
                            failed[peer] = str(error)
                            continue
                        cells.seen[peer.name, case].update(result.seen, threads=living[peer][0].threads)
                        if turn:
                            figures[peer].append(result.cpu_us)
                for peer in peers:
                    value = of_passes(figures[peer]) if figures[peer] else 0.0
                    cells.get(peer, case).add(value, failed.get(peer, ""))
    return cells


@contextlib.contextmanager
def _life(peer: Peer, more: Mapping[str, str]) -> Iterator[tuple[Child, Sink]]:
    with sink() as end:
        child = Child(peer, end.url, **more)
        try:
            # The span of the peer's own start must not be counted among those of the first case.
            child.ask("flush")
            yield child, end
        finally:
            child.kill()
