"""ddmiddleware's profiler beside ddtrace's, py-spy and pyroscope: its cost, and whether it tells the truth."""

from collections.abc import Iterator, Sequence

from benchmarks.figures import Outcome
from benchmarks.peers import Peer
from benchmarks.processes import Progress
from benchmarks.profiling_cost import IDLE, Costs
from benchmarks.profiling_hooks import HOOKED, Hooks
from benchmarks.profiling_peers import PROFILERS, TRACING, profiled
from benchmarks.profiling_truth import PLACES, WORKLOADS, Truths


def measure_profiler(rounds: int, quick: bool, progress: Progress) -> Outcome:
    """One process a profiler for all rounds; the profilers take turns in every case, in another order each round."""
    costs, truths, hooks = Costs(quick), Truths(quick), Hooks(quick)
    with profiled(progress, 1 if quick else 2) as processes:
        for number in range(rounds):

            def turns(peers: Sequence[Peer], case: str, number: int = number) -> Iterator[Peer]:
                shift = number % len(peers)
                for peer in (*peers[shift:], *peers[:shift]):
                    progress.step(f"round {number + 1} of {rounds}, {case}, {peer.label}")
                    yield peer

            for case in IDLE:
                for peer in turns(PROFILERS, case):
                    costs.tick(processes, peer, case)
            for peer in turns(PROFILERS, "fixed work"):
                costs.passes(processes, peer)
            for workload in WORKLOADS:
                for peer in turns(PROFILERS, workload):
                    truths.take_wall(processes, peer, workload)
            for place in PLACES:
                for peer in turns(TRACING, place):
                    truths.take_endpoints(processes, peer, place)
            for peer in turns(HOOKED, "hooks"):
                hooks.take(peer)
    parts = (costs.outcome(), truths.outcome(), hooks.outcome())
    return Outcome(
        [table for part in parts for table in part.tables],
        [verdict for part in parts for verdict in part.verdicts],
        [problem for part in parts for problem in part.problems],
        {name: value for part in parts for name, value in part.raw.items()},
    )
