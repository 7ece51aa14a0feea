"""CPU per span end to end: made, encoded and sent, whole process; and the same with tracing disabled."""

from benchmarks.figures import Outcome, Table, Verdict, number, ratios, worst
from benchmarks.peers import DDTRACE, DDTRACES, NOTHING, OPENTELEMETRY, OURS, TRACERS, Peer
from benchmarks.processes import Child, NotMeasuredError, Progress, Sink
from benchmarks.rounds import Cells, Pass, take_turns
from benchmarks.workload import SHAPES


def measure_spans(rounds: int, quick: bool, progress: Progress) -> Outcome:
    """Bursts of about 1000 spans, each flushed inside the measured time; all of them must reach the sink."""
    bursts = 2 if quick else 4

    def measure(child: Child, sink: Sink, case: str) -> Pass:
        before = sink.counted()
        answer = child.ask("spans", shape=case, bursts=bursts)
        made = answer["made"]
        after = sink.counted_since(before, made)
        counted = after["spans"] - before["spans"]
        shape = SHAPES[case]
        tags = made // shape.spans * shape.tags
        if counted != made:
            raise NotMeasuredError(f"{counted} of {made} spans reached the sink.")
        if after["tags"] - before["tags"] != tags:
            raise NotMeasuredError(f"{after['tags'] - before['tags']} of {tags} tags reached the sink.")
        sent = (after["bytes"] - before["bytes"]) / made
        return Pass(answer["cpu_s"] * 1e6 / made, {"delivered": counted / made, "bytes per span": sent})

    cells = take_turns(TRACERS, list(SHAPES), rounds, 3, measure, progress)
    tables = [
        Table(
            f"CPU per span: {shape.title}",
            ("peer", "CPU us per span", "ddmiddleware / peer", "delivered", "bytes per span"),
            [_span_row(cells, peer, case) for peer in TRACERS],
            "Whole process, made to sent; least of three passes, median over rounds (min-max), ratio per round.",
        )
        for case, shape in SHAPES.items()
    ]
    ours = cells.get(OURS, "nested")
    ddtrace = worst(ratios(ours, cells.get(peer, "nested")).median for peer in DDTRACES)
    opentelemetry = ratios(ours, cells.get(OPENTELEMETRY, "nested")).median
    verdicts = [
        Verdict("CPU per span, 10 nested with 5 tags, of ddtrace", 0.2, ddtrace, "x"),
        Verdict("CPU per span, 10 nested with 5 tags, of OpenTelemetry", 0.08, opentelemetry, "x"),
    ]
    return Outcome(tables, verdicts, cells.problems(), cells.raw())


def _span_row(cells: Cells, peer: Peer, case: str) -> list[str]:
    series = cells.get(peer, case)
    delivered, sent = (cells.sight(peer, case, what, float("nan")) for what in ("delivered", "bytes per span"))
    ratio = "1" if peer is OURS else ratios(cells.get(OURS, case), series).text(3)
    share = f"{delivered:.0%}" if series.valid else "INVALID"
    return [peer.label, series.text(), ratio, share, number(sent, 0)]


def measure_disabled(rounds: int, quick: bool, progress: Progress) -> Outcome:
    """The same spans while tracing is switched off; nothing may reach the sink."""
    peers, cases = (NOTHING, OURS, DDTRACE, OPENTELEMETRY), ("single", "nested")
    bursts = 10 if quick else 20

    def measure(child: Child, sink: Sink, case: str) -> Pass:
        answer = child.ask("spans", shape=case, bursts=bursts)
        if counted := sink.counted()["spans"]:
            raise NotMeasuredError(f"{counted} spans reached the sink although tracing is disabled.")
        return Pass(answer["cpu_s"] * 1e6 / answer["made"], {})

    disabled = {"DD_TRACE_ENABLED": "false", "OTEL_SDK_DISABLED": "true"}
    cells = take_turns(peers, cases, rounds, 3, measure, progress, disabled)
    tables = [
        Table(
            f"CPU per span, tracing disabled: {SHAPES[case].title}",
            ("peer", "CPU us per span", "ddmiddleware / peer", "OS threads"),
            [
                [
                    peer.label,
                    cells.get(peer, case).text(2),
                    "1" if peer is OURS else ratios(cells.get(OURS, case), cells.get(peer, case)).text(3),
                    str(cells.sight(peer, case, "threads")),
                ]
                for peer in peers
            ],
            "DD_TRACE_ENABLED=false, OTEL_SDK_DISABLED=true; the loop around the span is in the figure. "
            "The baseline is that loop with an empty context manager and an empty method.",
        )
        for case in cases
    ]
    verdicts = [
        Verdict(f"CPU per span, disabled, {SHAPES[case].title}", 1.0, cells.get(OURS, case).median, "us")
        for case in cases
    ]
    return Outcome(tables, verdicts, cells.problems(), cells.raw())
