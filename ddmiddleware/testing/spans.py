"""Finished spans, to ask and to compare."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from textwrap import dedent
from typing import Any

from ddmiddleware.tracing import Span

# What differs from run to run, belongs to a chunk and not to the span, or follows from service and parent.
_OF_CHUNKS = frozenset(
    (
        "_dd.p.dm",
        "_dd.p.tid",
        "_dd.py.partial_flush",
        "_dd.top_level",
        "_dd.tracer_kr",
        "_sampling_priority_v1",
        "language",
        "process_id",
        "runtime-id",
    )
)


@dataclass(frozen=True)
class FinishedSpan:
    """One finished span; *tags* holds texts and numbers, *duration_ns* is in nanoseconds, *parent_id* 0 at a root."""

    name: str
    service: str
    resource: str
    type: str
    error: int
    tags: dict[str, str | float]
    trace_id: int
    span_id: int
    parent_id: int
    start_ns: int
    duration_ns: int
    links: tuple[dict[str, Any], ...] = ()
    events: tuple[tuple[str, int, dict[str, Any]], ...] = ()

    @property
    def line(self) -> str:
        """The span in a tree: its name, its resource where that says more, and ``!`` for an error."""
        resource = "" if self.resource == self.name else f" | {' '.join(self.resource.split())}"
        return f"{self.name}{resource}{' !' if self.error else ''}"

    def texts(self) -> Iterator[str]:
        """Yield every string that would leave the process with this span."""
        yield from (self.name, self.service, self.resource, self.type)
        for key, value in self.tags.items():
            yield from (key, str(value))
        for link in self.links:
            yield str(link)
        for name, _, attributes in self.events:
            yield from (name, str(attributes))


class Spans:
    """What has finished so far, in the order of starting; ``for span in spans``, ``len(spans)``, ``spans[0]``."""

    def __init__(self, redact: Callable[[list[Span]], None] | None = None) -> None:
        """*redact* cuts out of each chunk what must not leave the process."""
        self._spans: list[Span] = []
        self._redact = redact

    def put(self, chunk: list[Span]) -> None:
        """Take a finished chunk, as the exporters would get it."""
        if self._redact is not None:
            self._redact(chunk)
        self._spans.extend(chunk)

    def _all(self) -> list[FinishedSpan]:
        return [_finished(span) for span in sorted(self._spans[:], key=_started)]

    def __iter__(self) -> Iterator[FinishedSpan]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, index: int) -> FinishedSpan:
        return self._all()[index]

    def clear(self) -> None:
        """Forget what has finished so far."""
        self._spans.clear()

    def where(self, tags: dict[str, Any] | None = None, **fields: Any) -> list[FinishedSpan]:
        """Return the spans whose *fields* and *tags* are these; texts may hold ``*``: ``where(resource="GET *")``."""
        return [
            span
            for span in self
            if all(_fits(getattr(span, field), wanted) for field, wanted in fields.items())
            and all(key in span.tags and _fits(span.tags[key], wanted) for key, wanted in (tags or {}).items())
        ]

    def one(self, tags: dict[str, Any] | None = None, **fields: Any) -> FinishedSpan:
        """Return the only span that ``where`` finds; raise AssertionError, showing all of them, if it is not one."""
        found = self.where(tags, **fields)
        if len(found) != 1:
            wanted = {**fields, **({"tags": tags} if tags else {})}
            raise AssertionError(f"{len(found)} spans are {wanted}, among these:\n{self.tree()}")
        return found[0]

    def tree(self) -> str:
        """Return all traces as text: a line a span, indented by four spaces below its parent."""
        spans = self._all()
        known = {span.span_id for span in spans}
        below: dict[int, list[FinishedSpan]] = {}
        for span in spans:
            below.setdefault(span.parent_id if span.parent_id in known else 0, []).append(span)

        lines: list[str] = []
        waiting = [(0, span) for span in reversed(below.get(0, []))]
        while waiting:
            depth, span = waiting.pop()
            lines.append("    " * depth + span.line)
            waiting += [(depth + 1, child) for child in reversed(below.get(span.span_id, []))]
        return "\n".join(lines)

    def assert_tree(self, expected: str) -> None:
        """Raise AssertionError unless ``tree()`` is *expected*, whose lines may hold ``*``, indented as one likes."""
        wanted = dedent(expected).strip("\n").splitlines()
        found = self.tree().splitlines()
        if len(wanted) != len(found) or not all(map(fnmatchcase, found, map(_literal, wanted))):
            difference = "\n".join(difflib.ndiff(wanted, found))
            raise AssertionError(f"the spans are not as expected (- expected, + found):\n{difference}")

    def assert_no_sensitive(self, *canaries: str) -> None:
        """Raise AssertionError where a string that would leave the process holds one of *canaries*."""
        for span in self:
            for text in span.texts():
                for canary in canaries:
                    if canary in text:
                        raise AssertionError(f"{canary!r} is in the span {span.line!r}: {text!r}")

    def snapshot(self) -> list[dict[str, Any]]:
        """Return all spans as dictionaries that are the same in each run: ids and traces count from 1.

        A parent that was not recorded is 0, an error's stack is shown by its last line, times are left out.
        """
        spans = self._all()
        numbers = {span.span_id: number for number, span in enumerate(spans, 1)}
        traces = {trace_id: number for number, trace_id in enumerate(dict.fromkeys(span.trace_id for span in spans), 1)}
        return [_snapshot(span, numbers, traces) for span in spans]


def _started(span: Span) -> int:
    """Return when *span* was started, by the clock that all traces of a process share."""
    return span.start_ns - span._trace.clock_offset


def _finished(span: Span) -> FinishedSpan:
    return FinishedSpan(
        span.name,
        span.service or "",
        span.resource,
        span.span_type or "",
        span.error,
        {**span._meta, **span._metrics},
        span.trace_id,
        span.span_id,
        span.parent_id or 0,
        span.start_ns,
        span.duration_ns or 0,
        tuple(span._links or ()),
        tuple(span._events or ()),
    )


def _fits(value: object, wanted: object) -> bool:
    if isinstance(wanted, str) and isinstance(value, str):
        return fnmatchcase(value, _literal(wanted))
    return value == wanted


def _literal(pattern: str) -> str:
    """Return *pattern* for ``fnmatch`` with ``*`` as its only wild card: templates hold brackets."""
    return pattern.replace("[", "[[]").replace("?", "[?]")


def _snapshot(span: FinishedSpan, numbers: dict[int, int], traces: dict[int, int]) -> dict[str, Any]:
    tags = {key: value for key, value in span.tags.items() if key not in _OF_CHUNKS}
    if "error.stack" in tags:
        tags["error.stack"] = str(tags["error.stack"]).rstrip().rpartition("\n")[2]
    shown: dict[str, Any] = {
        "trace": traces[span.trace_id],
        "parent": numbers.get(span.parent_id, 0),
        "service": span.service or None,
        "name": span.name,
        "resource": span.resource,
        "type": span.type or None,
        "error": span.error,
        "tags": tags,
    }
    if span.links:
        shown["links"] = [numbers.get(int(str(link["span_id"]), 16), 0) for link in span.links]
    if span.events:
        shown["events"] = [(name, attributes) for name, _, attributes in span.events]
    return shown
