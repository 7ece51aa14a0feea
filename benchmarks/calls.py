"""CPU added per call of a client library: a key, a row, a page, within the span of a request."""

import contextlib

from benchmarks.clients import CLIENTS
from benchmarks.figures import Outcome, Table, Verdict, differences, ratios, worst
from benchmarks.peers import DDTRACES, NOTHING, OURS, TRACERS, Peer
from benchmarks.processes import Child, NotMeasuredError, Progress, Sink
from benchmarks.rounds import Cells, Pass, take_turns
from benchmarks.servers import http_server, redis_server

# 50 requests of 10 calls are 550 spans, below every queue limit.
_REQUESTS, _CALLS = 50, 10
OF_DDTRACE = 0.3


def measure_calls(rounds: int, quick: bool, progress: Progress) -> Outcome:
    """Bursts of requests with ten calls each, flushed inside the measured time, against the same without a tracer."""
    bursts = 1 if quick else 3
    with contextlib.ExitStack() as stack:
        http, redis = stack.enter_context(http_server()), stack.enter_context(redis_server())

        def measure(child: Child, sink: Sink, case: str) -> Pass:
            url = redis if case.startswith("redis") else http
            child.ask("prepare_client", client=case, url=url)
            before = sink.counted()
            answer = child.ask("calls", client=case, bursts=bursts, requests=_REQUESTS, calls=_CALLS)
            expected = 0 if child.peer is NOTHING else answer["made"] + bursts * _REQUESTS
            spans = sink.counted_since(before, expected)["spans"] - before["spans"]
            if spans != expected:
                raise NotMeasuredError(f"{spans} of {expected} spans reached the sink.")
            return Pass(answer["cpu_s"] * 1e6 / answer["made"], {})

        cells = take_turns((NOTHING, *TRACERS), list(CLIENTS), rounds, 3, measure, progress)
    tables = [
        Table(
            f"CPU per call: {case}",
            ("peer", "CPU us per call", "added us", "ddmiddleware / peer, added"),
            [_row(cells, peer, case) for peer in (NOTHING, *TRACERS)],
            "Whole process; ten calls within a span of their own; least of three passes, median over rounds (min-max); "
            "added = minus the same round's baseline.",
        )
        for case in CLIENTS
    ]
    verdicts = []
    for case in CLIENTS:
        ddtraces = worst(_added_ratio(cells, peer, case) for peer in DDTRACES)
        verdicts.append(Verdict(f"CPU added per {case}, of ddtrace", OF_DDTRACE, ddtraces, "x"))
    return Outcome(tables, verdicts, cells.problems(), cells.raw())


def _row(cells: Cells, peer: Peer, case: str) -> list[str]:
    series = cells.get(peer, case)
    if peer is NOTHING:
        return [peer.label, series.text(), "-", "-"]
    baseline = cells.get(NOTHING, case)
    added = differences(series, baseline)
    ratio = "1" if peer is OURS else ratios(differences(cells.get(OURS, case), baseline), added).text(3)
    return [peer.label, series.text(), added.text(), ratio]


def _added_ratio(cells: Cells, peer: Peer, case: str) -> float:
    nothing = cells.get(NOTHING, case)
    return ratios(differences(cells.get(OURS, case), nothing), differences(cells.get(peer, case), nothing)).median
