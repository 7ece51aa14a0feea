"""How metrics of requests leave the process: by DogStatsD, as OTLP, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddmiddleware._metrics import Measurement, http_metrics
from ddmiddleware.tracing import Histogram, OtlpMetrics, Settings, UpDownCounter

if TYPE_CHECKING:
    from ddmiddleware.tracing import DogStatsD

    Attributes = tuple[tuple[str, str | int | bool], ...]

_DURATION = "http.server.request.duration"
_ACTIVE = "http.server.active_requests"
_REQUEST_SIZE = "http.server.request.body.size"
_RESPONSE_SIZE = "http.server.response.body.size"
# What the conventions ask for; they leave the bounds of sizes open.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_BYTES = (0.0, *(float(1 << power) for power in range(6, 27, 2)))


def job(settings: Settings, client: DogStatsD) -> Report:
    """Return what reports, as *settings* say."""
    by_statsd = client if settings["DD_TRACE_HTTP_METRICS_ENABLED"] else None
    return Report(by_statsd, OtlpMetrics(settings) if settings["OTEL_METRICS_EXPORTER"] == "otlp" else None)


class Report:
    """Adds up what was measured, on the thread that sends it."""

    def __init__(self, by_statsd: DogStatsD | None, by_otlp: OtlpMetrics | None) -> None:
        self._by_statsd = by_statsd
        self._by_otlp = by_otlp
        self._durations = Histogram(_DURATION, "s", _SECONDS)
        self._request_sizes = Histogram(_REQUEST_SIZE, "By", _BYTES)
        self._response_sizes = Histogram(_RESPONSE_SIZE, "By", _BYTES)
        self._active = UpDownCounter(_ACTIVE, "{request}")

    def start(self) -> bool:
        """Begin; there is always something to do."""
        return True

    def report(self, deadline: float | None = None) -> None:
        """Report what ended since the last time, and what is active now."""
        taken = http_metrics.take()
        if self._by_statsd is not None:
            self._report_by_statsd(self._by_statsd, taken)
        if self._by_otlp is not None:
            self._report_by_otlp(self._by_otlp, taken, deadline)

    def stop(self, deadline: float | None = None) -> None:
        """End; until *deadline*, at the process's end, what is left is reported."""
        if deadline is not None:
            self.report(deadline)
        if self._by_otlp is not None:
            self._by_otlp.close()

    def _report_by_statsd(self, client: DogStatsD, taken: list[Measurement]) -> None:
        values: dict[tuple[str, tuple[str, ...]], list[float]] = {}
        for measurement in taken:
            tags = tuple(f"{key}:{value}" for key, value in _attributes(measurement))
            for name, value in (
                (_DURATION, measurement.duration_s),
                (_REQUEST_SIZE, measurement.request_size),
                (_RESPONSE_SIZE, measurement.response_size),
            ):
                if value is not None:
                    values.setdefault((name, tags), []).append(value)
        for (name, tags), found in values.items():
            client.distributions(name, found, tags)
        for (method, scheme), count in http_metrics.active.items():
            # Not a gauge: each worker process has a number of its own, and of gauges the last one counts.
            client.distribution(_ACTIVE, count, (f"http.request.method:{method}", f"url.scheme:{scheme}"))

    def _report_by_otlp(self, exporter: OtlpMetrics, taken: list[Measurement], deadline: float | None) -> None:
        for measurement in taken:
            attributes = _attributes(measurement)
            if measurement.duration_s is not None:
                self._durations.record(measurement.duration_s, attributes)
            if measurement.request_size is not None:
                self._request_sizes.record(measurement.request_size, attributes)
            if measurement.response_size is not None:
                self._response_sizes.record(measurement.response_size, attributes)
        for (method, scheme), count in http_metrics.active.items():
            self._active.values[("http.request.method", method), ("url.scheme", scheme)] = count
        metrics = (self._durations, self._active, self._request_sizes, self._response_sizes)
        exporter.send(metrics, deadline)


def _attributes(measurement: Measurement) -> Attributes:
    found: list[tuple[str, str | int | bool]] = [("http.request.method", measurement.method)]
    if measurement.route is not None:
        found.append(("http.route", measurement.route))
    if measurement.status is not None:
        found.append(("http.response.status_code", measurement.status))
    if measurement.error is not None:
        found.append(("error.type", measurement.error))
    found.append(("url.scheme", measurement.scheme))
    return tuple(found)
