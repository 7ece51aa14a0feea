"""How long an exporter keeps the application waiting: the longest time that another thread could not run meanwhile."""

import statistics

from benchmarks.figures import Outcome, Table, Verdict, ratios
from benchmarks.peers import NOTHING, OURS, TRACERS
from benchmarks.processes import Child, Progress, Sink
from benchmarks.rounds import Pass, take_turns

_CASE = "nested"


def measure_hold(rounds: int, quick: bool, progress: Progress) -> Outcome:
    """A thread that does nothing but read the clock, while another one flushes a burst of about 1000 spans."""
    peers = (NOTHING, *TRACERS)
    bursts = 3 if quick else 10

    def measure(child: Child, _sink: Sink, case: str) -> Pass:
        return Pass(child.ask("hold", shape=case, bursts=bursts)["longest_s"] * 1e6, {})

    cells = take_turns(peers, [_CASE], rounds, 3, measure, progress, of_passes=statistics.median)
    rows = []
    for peer in peers:
        series = cells.get(peer, _CASE)
        rows.append(
            [peer.label, series.text(0), "1" if peer is OURS else ratios(cells.get(OURS, _CASE), series).text(3)]
        )
    table = Table(
        "The longest hold while a burst is encoded and sent",
        ("peer", "longest gap us", "ddmiddleware / peer"),
        rows,
        f"Wall time between two readings of the clock by a busy thread, the longest of {bursts} flushes; median over "
        "rounds (min-max), without the time that the process's threads waited for a core (schedstat).",
    )
    verdict = Verdict("Longest hold of the GIL by the exporter", 2.0, cells.get(OURS, _CASE).median / 1e3, "ms")
    return Outcome([table], [verdict], cells.problems(), cells.raw())
