"""Statistics of finished spans: counts, errors and durations per ten seconds and kind of span.

Counted is what a Datadog Agent would count: local roots and other spans that enter a service, spans with
``_dd.measured``, and spans of a kind that meets the outside. The worker's thread counts, after redaction.
"""

from __future__ import annotations

import time

from ddmiddleware.tracing.constants import ORIGIN_KEY
from ddmiddleware.tracing.ddsketch import DDSketch
from ddmiddleware.tracing.errors import has_failed

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NamedTuple

    from ddmiddleware.tracing.span import Span

    class Key(NamedTuple):
        """What spans have in common that are counted together; made as a plain tuple, which takes half the time."""

        service: str | None
        name: str
        resource: str
        span_type: str | None
        kind: str
        status: str | float | None
        synthetics: bool
        is_root: bool | None
        method: str
        endpoint: str
        grpc_status: str
        peer_tags: tuple[str, ...]


BUCKET_NS = 10_000_000_000
# The agent counts what is older in the oldest bucket that it still has, so there is no use in keeping more.
_LATE_NS = 2 * BUCKET_NS
BLOCKED = "tracer_blocked_value"
_COLLAPSED = BLOCKED, BLOCKED, BLOCKED, "", "", None, False, None, "", "", "", ()
_KINDS = frozenset(("client", "server", "producer", "consumer"))


class Group:
    """The figures of the spans with one key; durations in nanoseconds."""

    __slots__ = ("duration_ns", "errors", "failed", "hits", "succeeded", "top_level")

    def __init__(self) -> None:
        self.hits = 0
        self.errors = 0
        self.duration_ns = 0
        self.top_level = 0
        self.succeeded = DDSketch()
        self.failed = DDSketch()


class Concentrator:
    """Sorts finished spans into buckets of ten seconds by the time of their end, and into groups by what they are.

    A bucket holds *max_groups*; further ones are counted as one group of the resource ``tracer_blocked_value``.
    """

    def __init__(self, max_groups: int, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.peer_tags: tuple[str, ...] = ()
        self.collapsed = 0
        self.uncounted = 0
        self._max_groups = max_groups
        self._clock_ns = clock_ns
        self._buckets: dict[int, dict[Key, Group]] = {}

    def __bool__(self) -> bool:
        return bool(self._buckets)

    def add(self, chunk: list[Span]) -> None:
        """Count the spans of *chunk*; one with fields that nobody can count is left out."""
        now_ns = self._clock_ns()
        kinds = _KINDS
        for span in chunk:
            try:
                parent, metrics = span._parent, span._metrics
                top_level = parent is None or parent.service != span.service
                if top_level or span._meta.get("span.kind") in kinds or (metrics and metrics.get("_dd.measured") == 1):
                    self._count(span, top_level, now_ns)
            except (TypeError, ValueError, OverflowError):  # a field set by hand to what it cannot be
                self.uncounted += 1

    def _count(self, span: Span, top_level: bool, now_ns: int) -> None:
        meta, duration_ns = span._meta, span.duration_ns or 0
        get = meta.get
        kind = get("span.kind", "")
        end_ns = span.start_ns + duration_ns
        if not now_ns - _LATE_NS < end_ns <= now_ns:
            end_ns = min(max(end_ns, now_ns - _LATE_NS), now_ns)
        start_ns = end_ns - end_ns % BUCKET_NS
        groups = self._buckets.get(start_ns)
        if groups is None:
            groups = self._buckets[start_ns] = {}
        key: Key = (  # type: ignore[assignment]  # see Key
            span.service,
            span.name,
            span.resource,
            span.span_type,
            kind,
            get("http.status_code") or span._metrics.get("http.status_code"),
            ORIGIN_KEY in meta and meta[ORIGIN_KEY].startswith("synthetics"),
            not span.parent_id,
            get("http.method", ""),
            get("http.endpoint") or get("http.route", ""),
            get("rpc.grpc.status_code", ""),
            self._peers(meta, kind) if self.peer_tags else (),
        )
        group = groups.get(key) or self._new_group(groups, key)
        if has_failed(span.error):
            group.failed.add(duration_ns)
            group.errors += 1
        else:
            group.succeeded.add(duration_ns)
        group.hits += 1
        group.duration_ns += duration_ns
        group.top_level += top_level

    def _new_group(self, groups: dict[Key, Group], key: Key) -> Group:
        if len(groups) >= self._max_groups:
            self.collapsed += 1
            key = _COLLAPSED  # type: ignore[assignment]  # see Key
        group = groups.get(key)
        if group is None:
            group = groups[key] = Group()
        return group

    def _peers(self, meta: dict[str, str], kind: str) -> tuple[str, ...]:
        """Return ``key:value`` of the tags that tell what a call went to, as the agent asks for them."""
        if kind == "server" or kind not in _KINDS:
            return ()
        return tuple([f"{tag}:{meta[tag]}" for tag in self.peer_tags if tag in meta])

    def take(self, *, unfinished: bool = False) -> list[tuple[int, dict[Key, Group]]]:
        """Remove and return the buckets that are over, by start in nanoseconds; with *unfinished*, all of them."""
        now_ns = self._clock_ns()
        # One in the future is over too: the clock was set back.
        over = sorted(start for start in self._buckets if unfinished or not start <= now_ns < start + BUCKET_NS)
        return [(start, self._buckets.pop(start)) for start in over]
