"""Metrics of the requests that are served: how long they take, how large they are, and how many are active.

Names and attributes are those of OpenTelemetry's semantic conventions,
https://opentelemetry.io/docs/specs/semconv/http/http-metrics/.

A request adds two entries to queues and no more; a second thread adds them up. So no lock is taken, and no request is
counted twice or half.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ddmiddleware.tracing import at_fork, constants

if TYPE_CHECKING:
    from ddmiddleware.tracing import Span

# Entries that may wait: some seconds of all that a process can serve. Requests above that are not counted at all.
_WAITING_MAX = 50_000


class Measurement:
    """One request; sizes are in bytes, and None where nobody says them."""

    __slots__ = (
        "duration_s",
        "error",
        "method",
        "process",
        "request_size",
        "response_size",
        "route",
        "scheme",
        "status",
    )

    def __init__(self, method: str, scheme: str, request_size: int | None, process: int) -> None:
        self.method = method
        self.scheme = scheme
        self.request_size = request_size
        self.process = process
        self.response_size: int | None = None
        self.duration_s: float | None = None  # None for one that is not to be counted after all
        self.route: str | None = None
        self.status: int | None = None
        self.error: str | None = None  # the exception's type, or else the status


class HttpMetrics:
    """What was served since the last report."""

    def __init__(self) -> None:
        self._process = 0
        self._forget()
        at_fork(in_child=self._forget)

    def _forget(self) -> None:
        """Leave to the parent process what began there."""
        self._process += 1
        self._began: deque[Measurement] = deque()
        self._ended: deque[Measurement] = deque()
        self._active: dict[tuple[str, str], int] = {}

    def began(self, method: str, scheme: str, request_size: int | None) -> Measurement | None:
        """Count a request in; return what to hand back at its end, or None where too much waits."""
        if len(self._began) + len(self._ended) >= _WAITING_MAX:
            return None
        measurement = Measurement(method, scheme, request_size, self._process)
        self._began.append(measurement)
        return measurement

    def ended(self, measurement: Measurement, span: Span | None) -> None:
        """Count a request out, as its span describes it; with None it leaves no other trace."""
        if measurement.process != self._process:
            return
        if span is not None:
            measurement.duration_s = span.duration
            measurement.route = span._meta.get("http.route")
            status = span._meta.get("http.status_code")
            measurement.status = int(status) if status else None
            if span.error:
                measurement.error = span._meta.get(constants.ERROR_TYPE, status)
        self._ended.append(measurement)

    def take(self) -> list[Measurement]:
        """Return the requests that ended since the last time."""
        ended = len(self._ended)  # before those that began, so that nothing ends before it began
        for _ in range(len(self._began)):
            begun = self._began.popleft()
            key = begun.method, begun.scheme
            self._active[key] = self._active.get(key, 0) + 1
        taken = [self._ended.popleft() for _ in range(ended)]
        for measurement in taken:
            self._active[measurement.method, measurement.scheme] -= 1
        return [measurement for measurement in taken if measurement.duration_s is not None]

    @property
    def active(self) -> dict[tuple[str, str], int]:
        """How many requests were being served at the last ``take``, by method and scheme."""
        return self._active


http_metrics = HttpMetrics()
