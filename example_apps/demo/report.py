"""What the demo prints in the end: the endpoints, one trace as a tree, and what was wrong."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.bar import Bar
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from example_apps.demo.collected import EndpointRow, HotEndpoint, HotFunction, Span

MAX_PROBLEMS = 20
BARS_FROM_WIDTH = 100

# Widths are given to every column, for rich would cut numbers as soon as it cuts names.
_PLAIN: dict[str, Any] = {
    "box": None,
    "title_justify": "left",
    "pad_edge": False,
    "padding": (0, 1, 0, 0),
    "header_style": "bold underline",
}


def endpoints_table(rows: Sequence[EndpointRow], spans_below: Mapping[tuple[str, str], float], width: int) -> Table:
    """Return the table of endpoints; *spans_below* is the mean number of spans of a request and all that it led to."""
    table = Table(title="Endpoints, as the collector counted them", **_PLAIN)
    numbers = {"Requests": 8, "Errors": 6, "p50": 8, "p95": 8, "Spans": 5}
    space = width - sum(numbers.values()) - len(numbers)
    longest = max((len(row.resource) for row in rows), default=0)
    table.add_column("Endpoint", width=min(longest + 2, space), no_wrap=True, overflow="ellipsis")
    for heading, needed in numbers.items():
        table.add_column(heading, justify="right", width=needed, no_wrap=True)
    before = ""
    for row in rows:
        if row.service != before:
            table.add_row(Text(row.service, "bold cyan"))
        table.add_row(
            Text(row.resource),
            f"{row.requests:,}",
            Text(f"{row.errors:,}", "red" if row.errors else "dim"),
            duration(row.p50_ns),
            duration(row.p95_ns),
            f"{spans_below.get((row.service, row.resource), 0):.1f}",
        )
        before = row.service
    return table


def hottest_table(endpoints: Sequence[HotEndpoint], width: int) -> Table:
    """Return the table of the functions that took most CPU time, by endpoint."""
    table = Table(title="Hottest functions of each endpoint, by the CPU time they took themselves", **_PLAIN)
    space = width - 8 - 6 - 4
    where = min(max((len(_where(item)) for row in endpoints for item in row.functions), default=0), space * 2 // 5)
    table.add_column("Endpoint, function", width=space - where, no_wrap=True, overflow="ellipsis")
    table.add_column("Where", width=where, no_wrap=True, overflow="ellipsis")
    table.add_column("CPU", justify="right", width=8, no_wrap=True)
    table.add_column("Share", justify="right", width=6, no_wrap=True)
    before = ""
    for row in endpoints:
        if row.service != before:
            table.add_row(Text(row.service, "bold cyan"))
        table.add_row(Text(row.resource, "bold"), "", duration(row.cpu_ns), "")
        for item in row.functions:
            table.add_row(Text(f"  {item.name}"), Text(_where(item), "dim"), duration(item.own_ns), f"{item.share:.0%}")
        before = row.service
    return table


def _where(function: HotFunction) -> str:
    """Return the last parts of a function's file, and its line."""
    return "/".join(function.file.split("/")[-2:]) + (f":{function.line}" if function.line else "")


def mean_spans(traces: Iterable[Sequence[Span]]) -> dict[tuple[str, str], float]:
    """Return the mean size of the trees below the requests of each service and resource."""
    sizes: Counter[tuple[str, str]] = Counter()
    roots: Counter[tuple[str, str]] = Counter()
    for spans in traces:
        children = _children(spans)
        known = {span.span_id for span in spans}
        for span in spans:
            if span.tags.get("span.kind") == "server" or span.parent_id not in known:
                roots[span.service, span.resource] += 1
                sizes[span.service, span.resource] += sum(1 for _ in _walk(span, children))
    return {key: sizes[key] / count for key, count in roots.items()}


def trace_tree(trace_id: str, root: Span, spans: Sequence[Span], width: int) -> Table:
    """Return one trace as a tree, with durations, and with bars where the terminal is wide enough."""
    table = Table(title=f"One trace, {trace_id}", **_PLAIN)
    service, bars = max(len(span.service) for span in spans), 24 if width >= BARS_FROM_WIDTH else 0
    table.add_column("Span", width=width - service - 8 - bars - 3, no_wrap=True, overflow="ellipsis")
    table.add_column("Service", min_width=service, no_wrap=True)
    table.add_column("Duration", width=8, justify="right", no_wrap=True)
    if bars:
        table.add_column(width=bars)
    for span, guide in _walk(root, _children(spans)):
        label = Text(guide, "dim") + Text(span.name, "red" if span.error else "bold")
        if span.resource != span.name:
            label += Text(f" {' '.join(span.resource.split())}", "default")
        cells: list[RenderableType] = [label, span.service, duration(span.duration_ns)]
        begin = span.start_ns - root.start_ns
        bar = Bar(max(root.duration_ns, 1), begin, begin + span.duration_ns, color="red" if span.error else "cyan")
        table.add_row(*cells, *([bar] if bars else []))
    return table


def print_problems(console: Console, problems: Sequence[str]) -> None:
    """Print what was wrong, the first of it."""
    console.print(f"[bold red]{len(problems)} {'check' if len(problems) == 1 else 'checks'} failed[/]")
    for problem in problems[:MAX_PROBLEMS]:
        console.print(f"  {problem}", markup=False, highlight=False, soft_wrap=True)
    if len(problems) > MAX_PROBLEMS:
        console.print(f"  and {len(problems) - MAX_PROBLEMS} more")


def duration(nanoseconds: int) -> str:
    """Write a time in milliseconds, or in seconds when it is long."""
    if nanoseconds >= 1_000_000_000:
        return f"{nanoseconds / 1e9:.2f} s"
    return f"{nanoseconds / 1e6:.1f} ms" if nanoseconds >= 100_000 else f"{nanoseconds / 1e6:.2f} ms"


def _children(spans: Sequence[Span]) -> dict[str, list[Span]]:
    children: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start_ns):
        children[span.parent_id].append(span)
    return children


def _walk(
    span: Span, children: Mapping[str, list[Span]], guide: str = "", above: frozenset[str] = frozenset()
) -> Iterator[tuple[Span, str]]:
    """Yield a span and all below it with the lines that draw the tree; a span below itself is left out."""
    yield span, guide
    above |= {span.span_id}
    below = [child for child in children.get(span.span_id, []) if child.span_id not in above]
    stem = guide.replace("├─ ", "│  ").replace("└─ ", "   ")
    for child in below:
        yield from _walk(child, children, stem + ("└─ " if child is below[-1] else "├─ "), above)
