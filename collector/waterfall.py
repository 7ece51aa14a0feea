"""The spans of a trace as a tree in reading order, on one clock."""

from dataclasses import dataclass

from ddmiddleware.collector.span import Span


@dataclass(slots=True)
class Bar:
    """A span in the waterfall. Times are nanoseconds.

    shift_ns: what was added to the recorded start, because the clocks of two machines contradict each other.
    orphan: its parent is not in the store. chunk: a number for the chunk that it came in.
    """

    span: Span
    chunk: int
    depth: int = 0
    shift_ns: int = 0
    orphan: bool = False

    @property
    def start_ns(self) -> int:
        """When the bar begins, in nanoseconds since the Unix epoch."""
        return self.span.start_ns + self.shift_ns

    @property
    def end_ns(self) -> int:
        """When the bar ends; a span that was recorded with a negative duration ends where it begins."""
        return self.start_ns + max(self.span.duration_ns, 0)


def arrange(chunks: list[list[Span]]) -> list[Bar]:
    """Return every span once, parents before their children and siblings by their start.

    A span that was sent twice is taken once. Spans whose parent is missing stand at the top, and so does one span of
    each ring of parents.
    """
    bars: dict[int, Bar] = {}
    for number, spans in enumerate(chunks):
        for span in spans:
            bars.setdefault(span.span_id, Bar(span, number))
    children: dict[int, list[Bar]] = {}
    tops: list[Bar] = []
    for bar in bars.values():
        if bar.span.parent_id in bars and bar.span.parent_id != bar.span.span_id:
            children.setdefault(bar.span.parent_id, []).append(bar)
        else:
            bar.orphan = bar.span.parent_id != 0
            tops.append(bar)
    ordered: dict[int, Bar] = {}
    # The tops reach all but rings, which their earliest span then opens.
    for top in (*_by_start(tops), *_by_start(list(bars.values()))):
        _walk(top, children, ordered)
    return list(ordered.values())


def _walk(top: Bar, children: dict[int, list[Bar]], ordered: dict[int, Bar]) -> None:
    """Add a bar and all below it that are not there yet; without recursion, as a chain may be of any depth."""
    stack = [top]
    while stack:
        bar = stack.pop()
        if bar.span.span_id in ordered:
            continue
        ordered[bar.span.span_id] = bar
        for child in reversed(_by_start(children.get(bar.span.span_id, []))):
            if child.span.span_id not in ordered:
                child.depth = bar.depth + 1
                child.shift_ns = _shift(bar, child)
                stack.append(child)


def _by_start(bars: list[Bar]) -> list[Bar]:
    return sorted(bars, key=lambda bar: (bar.span.start_ns, bar.span.span_id))


def _shift(parent: Bar, child: Bar) -> int:
    """Return what to add to the child's start.

    Another service has another clock, which is wrong only where cause and effect say so: no span begins before its
    parent, and a server's span begins while its client waits. Then it is put into the middle of its parent, as the
    way there and the way back are taken to be of the same length, or to its start when it is longer.
    """
    if child.chunk == parent.chunk or child.span.service == parent.span.service:
        return parent.shift_ns
    start_ns = child.span.start_ns
    late = (
        start_ns > parent.end_ns
        and parent.span.tags.get("span.kind") == "client"
        and child.span.tags.get("span.kind") == "server"
    )
    if parent.start_ns <= start_ns and not late:
        return 0
    room = max(parent.span.duration_ns, 0) - max(child.span.duration_ns, 0)
    return parent.start_ns + max(room, 0) // 2 - start_ns
