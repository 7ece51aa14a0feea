"""Figures of our own work: what was taken, sent and dropped, with ddtrace's names.

Each is a change since the last report; what did not change is not sent.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable

    from ddmiddleware.tracing.dogstatsd import DogStatsD

# By counter: what ``tracer.stats()`` leaves out, as it shows what becomes of spans.
OTHERS = {
    "queued_traces": ("writer.accepted.traces", ()),
    "unencoded_traces": ("encoder.dropped.traces", ()),
    "accepted_traces": ("buffer.accepted.traces", ()),
    "accepted_spans": ("buffer.accepted.spans", ()),
    "full_traces": ("buffer.dropped.traces", ("reason:full",)),
    "requests": ("http.requests", ()),
    "failed_requests": ("http.errors", ()),
    "sent_bytes": ("http.sent.bytes", ()),
    "sent_traces": ("http.sent.traces", ()),
    "dropped_bytes": ("http.dropped.bytes", ()),
    "dropped_traces": ("http.dropped.traces", ()),
}
_METRICS = {**OTHERS, "stats_collapsed": ("stats.collapsed_spans", ())}


class HealthMetrics:
    """Reports the counters that *read* returns."""

    def __init__(self, client: DogStatsD, read: Callable[[], dict[str, int]]) -> None:
        self._client = client
        self._read = read
        self._before: dict[str, int] = {}

    def start(self) -> bool:
        """Begin; there is always something to do."""
        return True

    def report(self) -> None:
        """Hand all changes to the client; it sends them."""
        now = self._read()
        for key, (name, tags) in _METRICS.items():
            change = now.get(key, 0) - self._before.get(key, 0)
            if change:
                self._client.distribution("datadog.tracer." + name, change, tags)
        self._before = now

    def stop(self, deadline: float | None = None) -> None:
        """End; nothing is left behind."""
