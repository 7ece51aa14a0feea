"""What one middleware is told beyond the settings: functions of the user's, URLs, headers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ddmiddleware._header_tags import Headers, tag_request, tag_response, text, wanted
from ddmiddleware._rules import Reader, alternatives
from ddmiddleware.tracing import Span, guarded

RequestHook = Callable[[Span, Any], object]
ResponseHook = Callable[[Span, int, list[tuple[str, str]]], object]


class Hooks:
    """The keyword arguments of one ``TraceMiddleware``.

    *span_modifier* (ddtrace's name) and *request_hook* (OpenTelemetry's) get the span and the environ or scope before
    the application runs, *response_hook* the span, the status and the headers of each response that begins.
    *excluded_urls* are regular expressions, a comma between them; *header_tags* are names, or names with their tags.
    """

    __slots__ = ("_header_tags", "_on_request", "_on_response", "excluded")

    def __init__(
        self,
        span_modifier: RequestHook | None = None,
        request_hook: RequestHook | None = None,
        response_hook: ResponseHook | None = None,
        excluded_urls: str | Iterable[str] = (),
        header_tags: Iterable[str] | Mapping[str, str] | str = (),
    ) -> None:
        """Raise ``re.error`` for what is no regular expression, TypeError for what is no hook: both stand in code."""
        given = {"span_modifier": span_modifier, "request_hook": request_hook, "response_hook": response_hook}
        for name, hook in given.items():
            if hook is not None and not callable(hook):
                raise TypeError(f"{name}={hook!r} is no function")
        self._on_request = tuple(hook for hook in (span_modifier, request_hook) if hook is not None)
        self._on_response = response_hook
        patterns = excluded_urls.split(",") if isinstance(excluded_urls, str) else excluded_urls
        self.excluded = alternatives(filter(None, map(str.strip, patterns)))
        self._header_tags = wanted(header_tags)

    def requested(self, span: Span, source: Any, reader: Reader) -> None:
        """Tell of a request; *source* is what the user's functions get, as it is."""
        if self._header_tags:
            with guarded:
                tag_request(span, self._header_tags, source, reader)
        for hook in self._on_request:
            with guarded:
                hook(span, source)

    def responded(self, span: Span, status: int, headers: Headers) -> None:
        """Tell of a response; the user's function gets a copy of its headers, as text."""
        if self._header_tags:
            with guarded:
                tag_response(span, self._header_tags, headers)
        if self._on_response is not None:
            with guarded:
                self._on_response(span, status, [(text(name), text(value)) for name, value in headers])


def hooks(**given: Any) -> Hooks | None:
    """Return the hooks of a middleware, or None where it is given none: then no request looks for any."""
    found = {name: value for name, value in given.items() if value is not None and value != ()}
    return Hooks(**found) if found else None
