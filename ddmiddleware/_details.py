"""What single requests have beyond their span, because settings or hooks ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ddmiddleware._header_tags import Headers, tag_request, tag_response, text
from ddmiddleware._rules import Reader, rules
from ddmiddleware.tracing import Span, guarded

if TYPE_CHECKING:
    from ddmiddleware._hooks import Hooks
    from ddmiddleware._metrics import HttpMetrics, Measurement


class Details:
    """The details of one request; a mistake in one of them costs that one only."""

    __slots__ = ("_header_tags", "_hooks", "_measurement", "_metrics", "_proxy")

    def __init__(self) -> None:
        self._header_tags: Mapping[str, str] = {}
        self._hooks: tuple[Hooks, ...] = ()
        self._proxy: Span | None = None
        self._metrics: HttpMetrics | None = None
        self._measurement: Measurement | None = None

    def begin(self, method: str, url: str, source: Any, reader: Reader) -> bool:
        """Start what comes before the request's own span; return whether a gateway's span is its parent."""
        self._metrics = rules.metrics
        if self._metrics is not None:
            with guarded:
                size = _number(reader.header(source, "content-length"))
                self._measurement = self._metrics.began(method, url.partition(":")[0], size)
        if rules.inferred_proxy is not None:
            with guarded:
                self._proxy = rules.inferred_proxy(source, reader)
        return self._proxy is not None

    def describe(
        self, span: Span, header_tags: Mapping[str, str], query_tag: bool, source: Any, reader: Reader
    ) -> None:
        """Tag the request; once more, where it turns out that another component serves it."""
        self._header_tags = header_tags
        if header_tags:
            with guarded:
                tag_request(span, header_tags, source, reader)
        if query_tag or rules.query_in_url:
            with guarded:
                _tag_query(span, reader.query(source), query_tag)
        if rules.client_address is not None:
            with guarded:
                span._meta.update(rules.client_address(source, reader))

    def hook(self, hooks: Hooks, span: Span, source: Any, reader: Reader) -> None:
        """Let *hooks* see the request, once, and then its response."""
        if hooks not in self._hooks:
            self._hooks = (*self._hooks, hooks)
            hooks.requested(span, source, reader)

    def answered(self, span: Span, status: int, headers: Headers) -> None:
        """Note the response that begins."""
        if iter(headers) is headers:  # what can be read once is the server's to read
            headers = ()
        if self._header_tags:
            with guarded:
                tag_response(span, self._header_tags, headers)
        if self._measurement is not None:
            with guarded:
                self._measurement.response_size = _length(headers)
        for hooks in self._hooks:
            hooks.responded(span, status, headers)

    def finish(self, span: Span, finish_time: float | None) -> None:
        """End what ends with the request's own span."""
        self._measured(span)
        proxy, self._proxy = self._proxy, None
        if proxy is not None:
            from ddmiddleware._inferred_proxy import end

            with guarded:
                end(proxy, span, finish_time)

    def abandon(self) -> None:
        """End without a trace."""
        self._measured(None)

    def _measured(self, span: Span | None) -> None:
        measurement, self._measurement = self._measurement, None
        if measurement is not None and self._metrics is not None:
            with guarded:
                self._metrics.ended(measurement, span)


def _length(headers: Headers) -> int | None:
    """Return the size of a body, where its headers say it."""
    for name, value in headers:
        if text(name).lower() == "content-length":
            return _number(text(value))
    return None


def _number(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None


def _tag_query(span: Span, query: str, query_tag: bool) -> None:
    if not query:
        return
    if query_tag:
        span._meta["http.query.string"] = query
    if rules.query_in_url and "?" not in span._meta["http.url"]:
        span._meta["http.url"] += "?" + query
