"""Metrics as OTLP protobuf: sums and histograms since the start of the process.

https://github.com/open-telemetry/opentelemetry-proto, ``metrics.proto``: the numbers of the fields.
"""

from __future__ import annotations

import struct
import time
from bisect import bisect_left
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ddmiddleware.tracing.export.http import Connection, Unreachable
from ddmiddleware.tracing.export.otlp_mapping import SCOPE, Mapping
from ddmiddleware.tracing.export.otlp_protobuf import attribute
from ddmiddleware.tracing.log import warn
from ddmiddleware.tracing.protobuf import field_bytes, field_double, field_fixed64, field_number, field_text
from ddmiddleware.tracing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ddmiddleware.tracing.settings import Settings

    Attributes = tuple[tuple[str, str | int | bool], ...]

_CUMULATIVE = 2
_POINTS_MAX = 2000  # OpenTelemetry, metrics SDK, "Cardinality limits"
_OVERFLOW: Attributes = (("otel.metric.overflow", True),)


class _Point:
    """The values of one set of attributes."""

    __slots__ = ("buckets", "count", "total")

    def __init__(self, buckets: int) -> None:
        self.buckets = [0] * buckets
        self.count = 0
        self.total = 0.0


class Histogram:
    """How values are spread: how many are at most each of *bounds*, since the start."""

    def __init__(self, name: str, unit: str, bounds: tuple[float, ...]) -> None:
        self._head = field_text(1, name) + field_text(3, unit)
        self._bounds = bounds
        self._points: dict[Attributes, _Point] = {}

    def record(self, value: float, attributes: Attributes) -> None:
        """Add a value."""
        point = self._points.get(attributes)
        if point is None:
            if len(self._points) >= _POINTS_MAX:
                attributes = _OVERFLOW
            point = self._points.setdefault(attributes, _Point(len(self._bounds) + 1))
        point.buckets[bisect_left(self._bounds, value)] += 1
        point.count += 1
        point.total += value

    def encoded(self, times: bytes) -> bytes:
        """Return a ``Metric``, or nothing where there is no value."""
        bounds = field_bytes(7, struct.pack(f"<{len(self._bounds)}d", *self._bounds))
        points = b"".join(
            field_bytes(
                1,
                times
                + field_fixed64(4, point.count)
                + field_double(5, point.total)
                + field_bytes(6, struct.pack(f"<{len(point.buckets)}Q", *point.buckets))
                + bounds
                + b"".join(attribute(9, key, value) for key, value in attributes),
            )
            for attributes, point in self._points.items()
        )
        return self._head + field_bytes(9, points + field_number(2, _CUMULATIVE)) if points else b""


class UpDownCounter:
    """A number that goes up and down."""

    def __init__(self, name: str, unit: str) -> None:
        self._head = field_text(1, name) + field_text(3, unit)
        self.values: dict[Attributes, int] = {}

    def encoded(self, times: bytes) -> bytes:
        """Return a ``Metric``, or nothing where there is no value."""
        points = b"".join(
            field_bytes(
                1,
                times
                + field_fixed64(6, value & ((1 << 64) - 1))
                + b"".join(attribute(7, key, text) for key, text in attributes),
            )
            for attributes, value in self.values.items()
        )
        return self._head + field_bytes(7, points + field_number(2, _CUMULATIVE)) if points else b""


class OtlpMetrics:
    """Posts metrics to ``OTEL_EXPORTER_OTLP_METRICS_ENDPOINT``; what is lost on the way, the next report holds too."""

    def __init__(self, settings: Settings) -> None:
        self._started_ns = time.time_ns()
        mapping = Mapping(settings)
        resource = b"".join(attribute(1, key, value) for key, value in mapping.resource(mapping.service).items())
        self._resource = field_bytes(1, resource)
        self._scope = field_bytes(1, field_text(1, SCOPE[0]) + field_text(2, SCOPE[1]))
        url, self._path = _endpoint(settings)
        timeout_s = settings["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"] / 1000
        self._connection = Connection(url, timeout_s, settings["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"])
        self._headers = {
            "user-agent": f"ddmiddleware/{__version__}",
            **settings["OTEL_EXPORTER_OTLP_TRACES_HEADERS"].values,
            "content-type": "application/x-protobuf",
        }
        self._complained = False

    def send(self, metrics: Iterable[Histogram | UpDownCounter], deadline: float | None = None) -> None:
        """Post what *metrics* hold, until *deadline* (monotonic seconds); one warning says where it cannot go."""
        times = field_fixed64(2, self._started_ns) + field_fixed64(3, time.time_ns())
        encoded = b"".join(field_bytes(2, found) for metric in metrics if (found := metric.encoded(times)))
        if not encoded:
            return
        body = field_bytes(1, self._resource + field_bytes(2, self._scope + encoded))
        try:
            status, _ = self._connection.request("POST", self._path, self._headers, body, deadline)
            problem = "" if status == 200 else f"it answered {status}"
        except Unreachable as error:
            problem = str(error)
        if problem and not self._complained:
            self._complained = True
            warn("metrics cannot be sent to %s%s: %s", self._connection.address, self._path, problem)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _endpoint(settings: Settings) -> tuple[str, str]:
    """Return the address to connect to and the path: as it is given for metrics, or below the common one."""
    url: str = settings["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"]
    parts = urlsplit(url or settings["OTEL_EXPORTER_OTLP_ENDPOINT"])
    path = (parts.path or "/") if url else parts.path.rstrip("/") + "/v1/metrics"
    return f"{parts.scheme}://{parts.netloc}", f"{path}?{parts.query}" if parts.query else path
