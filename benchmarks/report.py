"""The results as text for a terminal and as Markdown for the repository."""

import contextlib
import datetime
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Outcome, Table, Verdict, number

PACKAGES = (
    "ddmiddleware",
    "ddtrace",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation",
    "django",
    "flask",
    "starlette",
)
# Measured where they are there.
OPTIONAL = ("py-spy", "pyroscope-io")

_HOW_TO_READ = """\
- Every figure is CPU time of the whole process, background threads included. Absolute figures move with the machine
  and its load by a factor of two; ratios are taken within a round, where the peers take turns, and are what to trust.
- "ddmiddleware / peer" below 1 means that ddmiddleware is cheaper: 0.1 is a tenth of the peer's cost. Budgets against
  ddtrace are judged against whichever of its two configurations is the cheaper one.
- Peers run at their defaults with every trace sampled, and send to a real server in another process, which decodes what
  it got. A row counts only when every span and tag arrived.
- What a request or a call adds is the difference of two such figures, and on a busy machine mostly chance: the columns
  show from what to what. Instructions, which valgrind counts, are the same in every run, and say how much is done.
- Spans are made in bursts of about 1000 and flushed inside the measured time; what a peer does on its own while others
  have their turn (heartbeats of ddtrace, for one) is not counted.
- Profilers look at stacks only, 100 times a second whatever that costs (their defaults keep to about 1 % of the CPU).
  A figure that says more about the machine's load than about a profiler is not shown but reported as not measured: too
  few ticks or samples, a clock that does not add up, ddtrace before its first 15 s are over.
- Nothing here says anything about latency or throughput of a service.
"""


def taken(load_at_start: float, rounds: int) -> str:
    """When a benchmark that ends now was taken."""
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return f"{date}, load average (1 min) {load_at_start:.1f} to {os.getloadavg()[0]:.1f}, {rounds} rounds"


def machine() -> list[tuple[str, str]]:
    """What the figures depend on; no host name and no path."""
    versions = ", ".join(f"{name} {version}" for name in (*PACKAGES, *OPTIONAL) if (version := _version(name)))
    return [
        ("CPU", f"{_cpu_model()}, {len(os.sched_getaffinity(0))} cores"),
        ("System", f"{platform.system()} {platform.release().partition('-')[0]}"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("Versions", versions),
    ]


def _version(package: str) -> str:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return ""


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    rows = [
        [
            verdict.what,
            f"<= {verdict.budget:g} {verdict.unit}".strip(),
            f"{number(verdict.measured, 3 if verdict.unit == 'x' else 2)} {verdict.unit}".strip()
            if verdict.word != "not measured"
            else "-",
            verdict.word,
        ]
        for verdict in verdicts
    ]
    return Table("Budgets", ("what", "budget", "measured", "verdict"), rows)


def as_text(table: Table) -> str:
    columns = list(zip(table.header, *table.rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (table.header, ["-" * width for width in widths], *table.rows)
    ]
    return "\n".join([table.title, "=" * len(table.title), *lines, *([table.note] if table.note else []), ""])


def as_markdown(table: Table) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (table.header, ["---"] * len(table.header), *table.rows)]
    return "\n".join([f"## {table.title}", "", *lines, "", *([table.note, ""] if table.note else [])])


def results(outcomes: dict[str, Outcome], facts: list[tuple[str, str]]) -> str:
    """The page benchmarks/RESULTS.md."""
    verdicts = [verdict for outcome in outcomes.values() for verdict in outcome.verdicts]
    tables = [verdict_table(verdicts), *(table for outcome in outcomes.values() for table in outcome.tables)]
    problems = [f"- {name}: {why}" for name, outcome in outcomes.items() for why in outcome.problems]
    parts = [
        "# Benchmark results",
        "",
        "Written by `python -m benchmarks`. Do not edit: run it again.",
        "",
        *(f"- {name}: {value}" for name, value in facts),
        "- Taken, each by itself:",
        *(f"  - {name}: {outcome.taken}" for name, outcome in outcomes.items()),
        "",
        "## How to read this",
        "",
        _HOW_TO_READ,
        *(["## Not measured", "", *problems, ""] if problems else []),
        *map(as_markdown, tables),
    ]
    return "\n".join(parts).rstrip() + "\n"
