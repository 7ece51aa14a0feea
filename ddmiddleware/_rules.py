"""What the settings ask of every request, beyond the basics that all spans of requests have."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from ddmiddleware.tracing import add_job, default_settings, default_tracer, remove_job

if TYPE_CHECKING:
    from ddmiddleware._metrics import HttpMetrics
    from ddmiddleware.tracing import Span


# What a report that is under way does not know of.
_REPORTED = ("DD_TRACE_HTTP_METRICS_ENABLED", "OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")


class Reader(Protocol):
    """How the request of some interface is read; *source* is what that calls a request: environ, scope.

    There is one per interface, not per request, and it reads nothing before it is asked: most requests never ask.
    """

    def header(self, source: Any, name: str) -> str:
        """Return a header, repeated ones joined by commas, or ``""``; *name* is in lower case."""

    def query(self, source: Any) -> str:
        """Return the query string, or ``""``."""

    def peer(self, source: Any) -> str:
        """Return the address of the other end of the connection, or ``""``."""


class Rules:
    """The settings in force, compiled; read once, and again when code sets one.

    *special* says whether there is anything to do at all. *excluded* finds the URLs of requests that are not traced.
    """

    __slots__ = ("client_address", "error_statuses", "excluded", "inferred_proxy", "metrics", "query_in_url", "special")

    special: bool
    error_statuses: Container[int]
    excluded: re.Pattern[str] | None
    query_in_url: bool
    client_address: Callable[[Any, Reader], dict[str, str]] | None
    inferred_proxy: Callable[[Any, Reader], Span | None] | None
    metrics: HttpMetrics | None

    def __init__(self) -> None:
        self.metrics = None
        self.refresh()
        default_settings.listen(self.refresh)

    def refresh(self, changed: str = "") -> None:
        """Take over the settings as they are now; what a switched-off rule needs is not even loaded."""
        settings = default_settings
        self.error_statuses = settings["DD_TRACE_HTTP_SERVER_ERROR_STATUSES"]
        self.excluded = alternatives(settings["DD_TRACE_EXCLUDED_URLS"])
        self.query_in_url = settings["DD_HTTP_SERVER_TAG_QUERY_STRING"]
        self.client_address = self.inferred_proxy = None
        if settings["DD_TRACE_CLIENT_IP_ENABLED"]:
            from ddmiddleware._client_address import tags

            self.client_address = tags
        if settings["DD_TRACE_INFERRED_PROXY_SERVICES_ENABLED"]:
            from ddmiddleware._inferred_proxy import begin

            self.inferred_proxy = begin
        self._measure(settings["DD_TRACE_HTTP_METRICS_ENABLED"] or settings["OTEL_METRICS_EXPORTER"] == "otlp", changed)
        self.special = bool(
            self.excluded or self.query_in_url or self.client_address or self.inferred_proxy or self.metrics
        )

    def _measure(self, on: bool, changed: str) -> None:
        if not on and self.metrics is None:
            return
        from ddmiddleware._metrics import http_metrics
        from ddmiddleware._metrics_report import job

        if self.metrics is not None and (not on or changed in _REPORTED):
            self.metrics = None
            remove_job(default_tracer, job)
        if on and self.metrics is None:
            self.metrics = http_metrics
            add_job(default_tracer, job)


def alternatives(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """Return one pattern that is found where any of *patterns* is, or None where there are none."""
    found = [f"(?:{pattern})" for pattern in patterns]
    return re.compile("|".join(found)) if found else None


rules = Rules()
