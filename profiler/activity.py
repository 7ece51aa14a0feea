"""What a thread or task works for when something is sampled: its span and its request, read from the tracer's context.

A request's endpoint is often known late (a framework names the route after its first lines ran), so a sample holds its
request and asks for the endpoint when the profile is made. That is light: the span itself goes as soon as it ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ddmiddleware.tracing import Settings, Span, Tracer, active, guarded, open_redaction

_REQUESTS_MAX = 10_000
_ENDPOINTS_MAX = 2_000
_SHOWN_MAX = 10_000


class Request:
    """A local root as samples need it: its id, and what it is called, which is final once *span* is None."""

    __slots__ = ("resource", "root_id", "span", "trace_type")

    def __init__(self, span: Span) -> None:
        self.span: Span | None = span
        self.root_id = span.span_id
        self.resource, self.trace_type = "", ""

    def settle(self) -> None:
        """Take the names over from the span; let it go once it is over."""
        span = self.span
        if span is not None:
            self.resource, self.trace_type = span.resource, span.span_type or ""
            if span.duration_ns is not None:
                self.span = None


# The request and the id of the span that is open in it.
Activity = tuple[Request, int]

_requests: dict[int, Request] = {}  # by the id of the local root: those whose end is to be noticed


def current() -> Activity | None:
    """Return what the calling thread or task works for, or None where no request is open."""
    return of(_get())


_get = active.get


def of(span: object) -> Activity | None:
    """Return what *span*, the active one, stands for: nothing once its local root is over, or where it is remote."""
    if type(span) is not Span:
        return None
    while span.duration_ns is not None:  # what outlived its span works for the one around it
        if span._parent is None:
            return None
        span = span._parent
    root = span
    while root._parent is not None:
        root = root._parent
    if root.duration_ns is not None:
        return None
    request = _requests.get(root.span_id)
    if request is None:
        if len(_requests) >= _REQUESTS_MAX:
            forget()
        request = _requests.setdefault(root.span_id, Request(root))
    return request, span.span_id


def forget() -> None:
    """Let go of requests that are over; samples keep theirs."""
    for root_id, request in list(_requests.items()):
        request.settle()
        if request.span is None or len(_requests) >= _REQUESTS_MAX:
            _requests.pop(root_id, None)


def labels(activity: Activity) -> dict[str, str | int]:
    """Return the labels of *activity*, with the endpoint as it is known by now (only web requests have one)."""
    request, span_id = activity
    request.settle()
    return span_labels(span_id, request.root_id, request.resource, request.trace_type)


def span_labels(span_id: int, root_id: int, resource: str, trace_type: str) -> dict[str, str | int]:
    """Return the labels of a sample in the span *span_id* under the local root *root_id*."""
    found: dict[str, str | int] = {"span id": span_id, "local root span id": root_id}
    if trace_type and endpoints.labelled:
        found["trace type"] = trace_type
        if trace_type == "web":
            found["trace endpoint"] = endpoints.shown(resource)
    return found


def thread_labels(ident: int, native_id: int = 0, name: str = "") -> dict[str, str | int]:
    """Return the labels of the thread *ident*; *native_id* and *name* serve where ``threading`` knows it no more."""
    thread = threading._active.get(ident)  # type: ignore[attr-defined]  # enumerate() takes a lock that the app may hold
    if thread is not None and (not native_id or thread.native_id == native_id):
        native_id, name = thread.native_id or 0, thread.name
    found: dict[str, str | int] = {"thread id": ident}
    if native_id:
        found["thread native id"] = native_id
    if name:
        found["thread name"] = name
    return found


class Endpoints:
    """Counts the web requests that end, by endpoint; costs the tracer nothing until ``watch``."""

    def __init__(self) -> None:
        self.labelled = True
        self._counts: dict[str, int] = {}
        self._redact: Callable[[list[Span]], None] | None = None
        self._shown: dict[str, str] = {}
        self._tracer: Tracer | None = None
        self._export: Any

    def watch(self, tracer: Tracer, settings: Settings) -> None:
        """Look at every chunk that *tracer* finishes, from now on."""
        self.labelled = settings["DD_PROFILING_ENDPOINT_COLLECTION_ENABLED"]
        self._redact = open_redaction(settings)
        self.leave()
        self._tracer, self._export = tracer, tracer.export  # an attribute of the instance, and so is what replaces it
        export = tracer.export

        def counting(chunk: list[Span], trace: Any) -> None:
            with guarded:
                roots = [span for span in chunk if span._parent is None]
            export(chunk, trace)  # after which the user's filters have had their say
            with guarded:
                for root in roots:
                    self._ended(root)

        tracer.export = counting

    def leave(self) -> None:
        """Look no more."""
        if self._tracer is not None:
            self._tracer.export = self._export
            self._tracer = None

    def take(self) -> dict[str, int]:
        """Return what ended since the last call."""
        counts, self._counts = self._counts, {}
        shown: dict[str, int] = {}
        for resource, count in list(counts.items()):
            endpoint = self.shown(resource)
            shown[endpoint] = shown.get(endpoint, 0) + count
        return shown

    def shown(self, resource: str) -> str:
        """Return *resource* without secrets, as the tracer sends it."""
        redact = self._redact
        if redact is None:
            return resource
        found = self._shown.get(resource)
        if found is None:
            span = Span.__new__(Span)
            span.name, span.resource, span.span_type = "", resource, "web"
            span._meta, span._metrics, span._links, span._events = {}, {}, None, None
            redact([span])
            if len(self._shown) >= _SHOWN_MAX:
                self._shown.clear()
            found = self._shown[resource] = span.resource
        return found

    def _ended(self, root: Span) -> None:
        request = _requests.pop(root.span_id, None)
        if request is not None:
            request.settle()
        counts = self._counts
        if root.span_type == "web" and (root.resource in counts or len(counts) < _ENDPOINTS_MAX):
            counts[root.resource] = counts.get(root.resource, 0) + 1


endpoints = Endpoints()
