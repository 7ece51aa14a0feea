"""CPU added per request, in process: each framework through WSGI or ASGI, with no server in between."""

from benchmarks.apps import APPS
from benchmarks.figures import Outcome, Table, Verdict, differences, number, ratios, worst
from benchmarks.peers import DDTRACES, NOTHING, OPENTELEMETRY, OURS, TRACERS, Peer
from benchmarks.processes import Child, NotMeasuredError, Progress, Sink
from benchmarks.rounds import Cells, Pass, take_turns

# 200 requests are 1800 spans of ddtrace with Flask, and 600 of OpenTelemetry through ASGI: below every queue limit.
_REQUESTS = 200

LABELS = {
    "flask": "Flask",
    "starlette": "Starlette",
    "fastapi": "FastAPI",
    "django": "Django",
    "django, async": "asynchronous Django",
}
# What we may add of what ddtrace adds, and of what OpenTelemetry adds.
BUDGETS = {
    "flask": (0.08, 0.2),
    "starlette": (0.15, 0.15),
    "fastapi": (0.15, 0.15),
    "django": (0.08, 0.2),
    "django, async": (0.08, 0.2),
}


def measure_requests(rounds: int, quick: bool, progress: Progress) -> Outcome:
    """Bursts of requests, each flushed inside the measured time, against the same without a tracer."""
    bursts = 1 if quick else 3

    def measure(child: Child, sink: Sink, case: str) -> Pass:
        before = sink.counted()
        answer = child.ask("requests", app=case, bursts=bursts, requests=_REQUESTS)
        made = answer["made"]
        after = sink.counted_since(before, 0 if child.peer is NOTHING else made)
        spans = (after["spans"] - before["spans"]) / made
        if child.peer is not NOTHING and (spans < 1 or spans != int(spans)):
            raise NotMeasuredError(f"{spans:.3f} spans per request reached the sink: some are missing.")
        names = sorted(name for name, count in after["names"].items() if count > before["names"].get(name, 0))
        return Pass(answer["cpu_s"] * 1e6 / made, {"spans per request": spans, "names": names})

    cells = take_turns((NOTHING, *TRACERS), list(APPS), rounds, 3, measure, progress)
    tables = [
        Table(
            f"CPU per request: {LABELS[case]}, hello with an int parameter",
            ("peer", "CPU us per request", "added us", "ddmiddleware / peer, added", "spans per request"),
            [_request_row(cells, peer, case) for peer in (NOTHING, *TRACERS)],
            "Whole process; least of three passes, median over rounds (min-max); added = minus the same round's "
            "baseline.",
        )
        for case in APPS
    ]
    verdicts = []
    for case, (of_ddtrace, of_opentelemetry) in BUDGETS.items():
        what = f"CPU added per {LABELS[case]} request, of"
        ddtraces = worst(_added_ratio(cells, peer, case) for peer in DDTRACES)
        verdicts.append(Verdict(f"{what} ddtrace", of_ddtrace, ddtraces, "x"))
        verdicts.append(
            Verdict(f"{what} OpenTelemetry", of_opentelemetry, _added_ratio(cells, OPENTELEMETRY, case), "x")
        )
    return Outcome(tables, verdicts, cells.problems(), cells.raw())


def _added_ratio(cells: Cells, peer: Peer, case: str) -> float:
    baseline = cells.get(NOTHING, case)
    return ratios(differences(cells.get(OURS, case), baseline), differences(cells.get(peer, case), baseline)).median


def _request_row(cells: Cells, peer: Peer, case: str) -> list[str]:
    series, baseline = cells.get(peer, case), cells.get(NOTHING, case)
    if peer is NOTHING:
        return [peer.label, series.text(), "-", "-", "-"]
    added = differences(series, baseline)
    ratio = "1" if peer is OURS else ratios(differences(cells.get(OURS, case), baseline), added).text(3)
    spans = number(cells.sight(peer, case, "spans per request", float("nan")), 0)
    return [peer.label, series.text(), added.text(), ratio, spans]
