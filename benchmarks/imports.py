"""What importing costs: CPU, memory, modules and threads, each in fresh processes."""

import itertools
import json
import os
import subprocess
import sys
import sysconfig
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import Outcome, Series, Table, Verdict, number
from benchmarks.peers import DDTRACE, NOTHING, OPENTELEMETRY, OURS, ROOT, Peer, environment
from benchmarks.processes import NotMeasuredError, Progress

# No room of ours may import these for its user: the libraries it watches, and the standard library's heavy ones.
WATCHED = ("flask", "starlette", "requests", "httpx", "redis", "sqlite3", "ssl", "asyncio", "http.client")

# Loopback, nobody listens: what starts a thread at import may try to send, and must find a closed door quickly.
_CLOSED = "http://127.0.0.1:1"

_OPENTELEMETRY = """
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
"""
_SET_UP = """
from opentelemetry import trace
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
"""


@dataclass(frozen=True)
class Variant:
    """Statements to run; `between` runs after the first of two and is not counted."""

    label: str
    peer: Peer
    statements: str
    between: str = ""
    then: str = ""


_IMPORT = Variant("import ddmiddleware", OURS, "import ddmiddleware")
# wrapt after our own import: before it, it would also hide what both of them need of the standard library.
_PATCH = Variant(
    "the same and patch_all(), wrapt's import left out",
    OURS,
    "import ddmiddleware",
    "import wrapt",
    "ddmiddleware.patch_all()",
)
_VARIANTS = (
    Variant("nothing", NOTHING, "pass"),
    _IMPORT,
    _PATCH,
    Variant("import wrapt (for comparison)", NOTHING, "import wrapt"),
    Variant("import ddtrace", DDTRACE, "import ddtrace"),
    Variant("import ddtrace.auto", DDTRACE, "import ddtrace.auto"),
    Variant("import OpenTelemetry SDK and OTLP exporter", OPENTELEMETRY, _OPENTELEMETRY),
    Variant("the same, set up", OPENTELEMETRY, _OPENTELEMETRY + _SET_UP),
)


@dataclass
class _Figures:
    cpu_ms: Series
    rss_mb: Series
    rss_added_mb: Series
    modules: int = 0
    threads: int = 0
    watched: tuple[str, ...] = ()


def measure_import(rounds: int, quick: bool, progress: Progress) -> Outcome:
    """Two fresh processes of every variant a round, after one that writes the byte code."""
    figures: dict[Variant, _Figures] = defaultdict(lambda: _Figures(Series(), Series(), Series()))
    count = rounds * 2
    for number_ in range(count + 1):
        for variant in _VARIANTS:
            progress.step(f"{number_} of {count}, {variant.label}")
            try:
                probe = _probe(variant)
            except NotMeasuredError as error:
                figures[variant].cpu_ms.add(0.0, str(error))
                continue
            if number_:
                _add(figures[variant], probe)
    tables = [
        Table(
            "Import",
            (
                "statements",
                "CPU ms",
                "least CPU ms",
                "RSS MB",
                "RSS added MB",
                "modules loaded",
                "OS threads",
                "watched",
            ),
            [_row(variant, figures[variant]) for variant in _VARIANTS],
            f"Median (min-max) of {count} fresh processes without the site module. Watched: those of "
            f"{', '.join(WATCHED)} that the statements loaded.",
        )
    ]
    problems = [f"{variant.label}: {why}" for variant in _VARIANTS for why in figures[variant].cpu_ms.problems]
    raw = {
        variant.label: {"cpu_ms": one.cpu_ms.values, "rss_mb": one.rss_mb.values, "modules": one.modules}
        for variant, one in figures.items()
    }
    verdicts = _verdicts(figures[_IMPORT], "import ddmiddleware", 20.0)
    verdicts += _verdicts(figures[_PATCH], "import and patch_all(), wrapt's import left out", 60.0)
    return Outcome(tables, verdicts, problems, raw)


def _verdicts(figures: _Figures, what: str, cpu_budget_ms: float) -> list[Verdict]:
    measured = figures.cpu_ms.valid
    threads = float(figures.threads - 1) if measured else float("nan")
    watched = float(len(figures.watched)) if measured else float("nan")
    return [
        Verdict(f"{what}: CPU", cpu_budget_ms, figures.cpu_ms.median, "ms"),
        Verdict(f"{what}: RSS", 14.0, figures.rss_mb.median, "MB"),
        Verdict(f"{what}: threads started", 0.0, threads, ""),
        Verdict(f"{what}: watched libraries imported", 0.0, watched, ""),
    ]


def _probe(variant: Variant) -> list[dict[str, Any]]:
    paths = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(ROOT)))
    steps = [step for step in (variant.statements, variant.between, variant.then) if step]
    probe = str(ROOT / "benchmarks" / "import_probe.py")
    command = [sys.executable, "-I", "-S", probe, os.pathsep.join(paths), *steps]
    variables = environment(variant.peer, _CLOSED)
    try:
        result = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        raise NotMeasuredError("no end after 60 s") from None
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["no output"])[-1]
        raise NotMeasuredError(f"exit status {result.returncode}: {last}")
    answer: list[dict[str, Any]] = json.loads(result.stdout.splitlines()[-1])
    return answer


def _add(figures: _Figures, states: list[dict[str, Any]]) -> None:
    # Steps 0 and 2 count, step 1 is what stands between them.
    steps = list(itertools.pairwise(states))[::2]
    loaded = {name for start, end in steps for name in set(end["modules"]) - set(start["modules"])}
    rss_added_mb = sum(end["rss_mb"] - start["rss_mb"] for start, end in steps)
    figures.cpu_ms.add(sum(end["cpu_ms"] - start["cpu_ms"] for start, end in steps))
    figures.rss_added_mb.add(rss_added_mb)
    figures.rss_mb.add(states[0]["rss_mb"] + rss_added_mb)
    figures.modules = len(loaded)
    figures.threads = max(figures.threads, *(state["threads"] for state in states))
    figures.watched = tuple(name for name in WATCHED if name in loaded)


def _row(variant: Variant, figures: _Figures) -> list[str]:
    if not figures.cpu_ms.valid:
        return [variant.label, *["not measured"] * 7]
    return [
        variant.label,
        figures.cpu_ms.text(),
        number(figures.cpu_ms.least),
        number(figures.rss_mb.median),
        number(figures.rss_added_mb.median),
        str(figures.modules),
        str(figures.threads),
        ", ".join(figures.watched) or "none",
    ]
