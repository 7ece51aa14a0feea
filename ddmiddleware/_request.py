"""What every framework shares: how a request becomes a span, and when that span ends.

A framework's module only translates its own events to the methods of ``Request``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ddmiddleware._details import Details
from ddmiddleware._rules import Reader, rules
from ddmiddleware.integrations import options_of
from ddmiddleware.tracing import Silence, active, default_tracer, extract_headers

if TYPE_CHECKING:
    from ddmiddleware._header_tags import Headers
    from ddmiddleware._hooks import Hooks

# Where a request that is being served is found again: a key of the WSGI environ or the ASGI scope.
KEY = "ddmiddleware.request"

# RFC 9110, section 9, and RFC 5789. Anything else could be anything, and so be any number of resources.
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"))

# A framework that is another one beneath keeps its own name there.
_BUILT_ON = {"fastapi": "starlette"}


class Request:
    """One request being served, and its span.

    The resource is the method and the route's full template, unless a hook or the application names it; a raw path
    never becomes one. The span ends with the last byte of the body, and stays the active one of what goes on after
    that: the rule for finished spans then makes such work a trace of its own, linked to the request. Whoever begins a
    request puts back what was active before.
    """

    __slots__ = ("_details", "_ended", "_error", "_gone", "_method", "_prefix", "_resource", "_routed", "span")

    def __init__(
        self,
        component: str,
        method: str,
        url: str,
        agent: str,
        headers: Mapping[str, str],
        prefix: str = "",
        source: Any = None,
        reader: Reader | None = None,
    ) -> None:
        """Start the span and make it the active one.

        *url* has no query. *headers* are those of the trace context, names in lower case; *prefix* is what an ASGI
        server cuts off the path before the application sees it. *source* is what the interface calls a request, and
        *reader* reads what else is asked for from it.
        """
        self._method = method if method in _METHODS else "_OTHER"
        self._prefix = prefix
        self._resource = self._method  # as we have named it last; what else it is called, a hook or a view has set
        self._routed = False
        self._gone = False
        self._ended: float | None = None
        self._error: BaseException | None = None
        self._details: Details | None = None
        options = options_of(component)
        service = options.service
        special = rules.special or options.header_tags or options.query_string
        if special and rules.excluded is not None and rules.excluded.search(url):
            self.exclude()
            return
        remote = extract_headers(headers) if headers and options.distributed_tracing else None
        if remote is not None:
            active.set(remote)
        if special and reader is not None:
            self._details = Details()
            if self._details.begin(self._method, url, source, reader):
                service = service or default_tracer.service  # not the gateway's
        self.span = span = default_tracer.trace(f"{component}.request", service, self._method, "web")
        tags = span._meta
        tags["component"] = component
        tags["span.kind"] = "server"
        tags["http.method"] = self._method
        tags["http.url"] = url
        if agent:
            tags["http.useragent"] = agent
        span._metrics["_dd.measured"] = 1
        if self._details is not None and reader is not None:
            self._details.describe(span, options.header_tags, options.query_string, source, reader)

    def adopt(self, component: str, source: Any = None, reader: Reader | None = None) -> None:
        """Name the span after the framework that serves it, below a middleware that knew no framework."""
        span = self.span
        if _BUILT_ON.get(span._meta["component"]) == component:
            return
        span.name = f"{component}.request"
        options = options_of(component)
        span.service = options.service or span.service
        span._meta["component"] = component
        if (options.header_tags or options.query_string) and reader is not None:
            self._detailed().describe(span, options.header_tags, options.query_string, source, reader)

    def hook(self, hooks: Hooks, source: Any, reader: Reader) -> None:
        """Let the hooks of a middleware see the request, and then its response; or exclude it, if they do."""
        url = self.span._meta["http.url"].partition("?")[0]
        if hooks.excluded is not None and hooks.excluded.search(url):
            self.exclude()
        else:
            self._detailed().hook(hooks, self.span, source, reader)

    def _detailed(self) -> Details:
        if self._details is None:
            self._details = Details()
        return self._details

    def exclude(self) -> None:
        """Trace nothing of this request after all: neither its span nor what is started while it is active."""
        if self._details is not None:
            self._details.abandon()
        self.__class__ = Excluded
        self.span = silence = Silence()
        active.set(silence)

    def mounted(self, prefix: str, script_name: str = "") -> None:
        """Enter an application that is mounted under the template *prefix*; it may have routes of its own, or none.

        *script_name* is that of ``matched``.
        """
        self._prefix = (self._prefix or script_name) + prefix
        self._name(self._prefix + "/{path}")

    def matched(self, route: str, script_name: str = "") -> None:
        """Name the resource: *route* is the template that the innermost router found.

        *script_name* is what WSGI middleware cut off the path before it; the templates of mounts say it better.
        """
        self._routed = True
        self._name((self._prefix or script_name) + route)

    def called(self, handler: str) -> None:
        """Name the resource after the dotted name of what serves it, where the framework has no templates."""
        self._routed = True
        self._call(handler)

    def _name(self, template: str) -> None:
        self.span._meta["http.route"] = template
        self._call(template)

    def _call(self, what: str) -> None:
        span = self.span
        if span.resource == self._resource:
            span.resource = self._resource = f"{self._method} {what}"

    def answered(self, status: int, headers: Headers = ()) -> None:
        """Note the status of the response that begins, and of its headers those that are asked for."""
        span = self.span
        span._meta["http.status_code"] = str(status)
        if not self._gone and status in rules.error_statuses:
            span.error = 1
            # Whoever answers an error from an ``except`` block answers that exception, whatever the framework.
            error = sys.exc_info()[1]
            if isinstance(error, Exception):
                self._error = error
        if status >= 300 and not self._routed and (status in (404, 405) or "http.route" not in span._meta):
            span._meta.pop("http.route", None)
            self._call(str(status))
        if self._details is not None:
            self._details.answered(span, status, headers)

    def handled(self, error: BaseException) -> None:
        """Note an exception that the framework turns into a response; it counts if that response is an error."""
        self._error = error

    def failed(self, error: BaseException) -> None:
        """Note an exception that leaves the application: the server answers it, with 500 if nothing was sent yet.

        A cancelled or closed request has not failed: its client is gone.
        """
        if self.span.duration_ns is not None:
            return
        if not isinstance(error, (Exception, SystemExit, KeyboardInterrupt)):
            self.disconnected()
        elif not self._gone:
            if "http.status_code" not in self.span._meta:
                self.answered(500)
            self._error = None
            self.span.set_exc_info(type(error), error, error.__traceback__)

    def disconnected(self) -> None:
        """Note that the client is gone: what still goes wrong because of that is no error."""
        if self.span.duration_ns is None and self._ended is None:
            self._gone = True
            self.span._meta["http.disconnected"] = "true"

    def ended(self) -> None:
        """End the span, as the body is complete; an error that no exception explains yet waits for one to follow."""
        if self.span.error and self._error is None:
            self._ended = self.span.now()
        else:
            self.finish()

    def finish(self) -> None:
        """End the span; a second call changes nothing. The span stays active: see the class."""
        span = self.span
        if span.duration_ns is not None:
            return
        error, self._error = self._error, None
        try:
            if error is not None and span.error:
                span.set_exc_info(type(error), error, error.__traceback__)
        finally:
            if self._ended is None:
                span._finish_active()  # without an argument, as the accelerator does that
            else:
                span._finish_active(self._ended)
            if self._details is not None:
                self._details.finish(span, self._ended)


class Excluded(Request):
    """A request that is not traced: its events come as those of others, to a span that records nothing."""

    __slots__ = ()

    def exclude(self) -> None:
        """Do nothing, it is done."""

    def adopt(self, component: str, source: Any = None, reader: Reader | None = None) -> None:
        """Do nothing: there is no span to name."""

    def hook(self, hooks: Hooks, source: Any, reader: Reader) -> None:
        """Do nothing: there is no span to see."""

    def ended(self) -> None:
        """Go on, as what the application does after the response belongs to it; what outlives that, does not."""

    def finish(self) -> None:
        """Let what is still going on, such as a worker that was started, have traces of its own."""
        self.span.end()  # type: ignore[attr-defined]  # a Silence
