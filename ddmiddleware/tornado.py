"""Tornado: one span per request, named after the pattern of the handler's rule, as it is written.

``trace_app(application)`` traces one application; ``patch_all()`` traces all of them.

https://www.tornadoweb.org
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ddmiddleware._arrival import begin
from ddmiddleware._hooks import hooks
from ddmiddleware._request import KEY, Request
from ddmiddleware.integrations import Integration
from ddmiddleware.tracing import active, default_settings, guarded

if TYPE_CHECKING:
    from tornado.web import Application

_ROUTE = "ddmiddleware.route"
_serving = Integration("tornado")
integration = Integration("tornado", requires="tornado>=6.1", parts=(_serving,))


def trace_app(application: Application, **given: Any) -> None:
    """Trace the requests of one application.

    What is *given* are the keyword arguments of ``ddmiddleware.wsgi.TraceMiddleware``: the hooks get the handler.
    """
    found = hooks(**given)
    if default_settings["DD_TRACE_ENABLED"]:
        application.settings[KEY] = found or application.settings.get(KEY)
        _serving.keep()


# _execute, because everything that a handler does for a request, but for its own making, is below it.
@integration.replaces("tornado.web:RequestHandler._execute")
def call(original: Any) -> Any:
    return _around(original, lambda _handler: integration.patched)


@_serving.replaces("tornado.web:RequestHandler._execute")
def call_of_one(original: Any) -> Any:
    return _around(original, lambda handler: KEY in handler.application.settings)


# get_target_delegate, because it is called with what a rule leads to, once the rule has matched.
@_serving.observes("tornado.web:_ApplicationRouter.get_target_delegate")
def route(self: Any, target: Any, request: Any, **_params: Any) -> None:
    if not isinstance(target, type):
        return  # another router, whose rules have whole paths as well
    for rule in self.rules:
        if rule.target is target and rule.matcher.match(request) is not None:
            regex = getattr(rule.matcher, "regex", None)
            if regex is not None:
                request.__dict__[_ROUTE] = regex.pattern.removeprefix("^").removesuffix("$")
            return


# flush, because the head of a response is written by the first one, whoever calls it.
@_serving.replaces("tornado.web:RequestHandler.flush")
def start(original: Any) -> Any:
    def flushing(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = self._headers_written
        done = original(self, *args, **kwargs)
        with guarded:
            served = _served(self)
            if served is not None and not before:
                served.answered(self.get_status(), list(self._headers.get_all()))
        return done

    return flushing


@_serving.replaces("tornado.web:RequestHandler.finish")
def end(original: Any) -> Any:
    def finishing(self: Any, *args: Any, **kwargs: Any) -> Any:
        done = original(self, *args, **kwargs)
        with guarded:
            served = _served(self)
            if served is not None:
                served.finish()
        return done

    return finishing


# _handle_request_exception, because log_exception and write_error are for applications to override.
@_serving.observes("tornado.web:RequestHandler._handle_request_exception")
def error(self: Any, raised: BaseException) -> None:
    from tornado.iostream import StreamClosedError
    from tornado.web import Finish

    served = _served(self)
    if served is None or isinstance(raised, Finish):
        return
    if isinstance(raised, StreamClosedError) and self.request.connection.stream.closed():
        served.disconnected()
    if self._headers_written:
        served.failed(raised)
    else:
        served.handled(raised)


@_serving.observes("tornado.web:RequestHandler.on_connection_close")
def left(self: Any) -> None:
    served = _served(self)
    if served is not None:
        served.disconnected()


def _served(handler: Any) -> Request | None:
    found: Request | None = handler.request.__dict__.get(KEY)
    return found


def _around(original: Any, traced: Callable[[Any], bool]) -> Any:
    """Return *original* with a span of its request around it; one that is there already is kept."""

    async def executing(self: Any, *args: Any, **kwargs: Any) -> None:
        outside = active.get()
        served = None
        with guarded:
            if _served(self) is None and traced(self):
                served = _begin(self)
                if served is not None:
                    found = self.application.settings.get(KEY)
                    if found is not None:
                        served.hook(found, self, _READER)
        if served is None:
            active.set(outside)  # where it failed half-way
            await original(self, *args, **kwargs)
            return
        try:
            await original(self, *args, **kwargs)
        except BaseException as error:
            with guarded:
                served.failed(error)
            raise
        finally:
            with guarded:
                served.finish()
            active.set(outside)

    return executing


class _Reader:
    """Reads the request of a handler."""

    def header(self, source: Any, name: str) -> str:
        """Return a header, repeated ones as a list (RFC 9110, section 5.3)."""
        return ",".join(source.request.headers.get_list(name))

    def query(self, source: Any) -> str:
        """Return the query string."""
        query: str = source.request.query
        return query

    def peer(self, source: Any) -> str:
        """Return the other end's address."""
        return source.request.remote_ip or ""


_READER = _Reader()


def _begin(handler: Any) -> Request | None:
    from tornado.web import FallbackHandler

    if isinstance(handler, FallbackHandler):
        return None  # a WSGI application answers, and has a span of its own
    asked = handler.request
    path = unquote(asked.path) if "%" in asked.path else asked.path
    headers = list(asked.headers.get_all())
    served = begin("tornado", asked.method, asked.protocol, path, asked.query, headers, asked.remote_ip)
    if served is not None:
        asked.__dict__[KEY] = served
        template = asked.__dict__.get(_ROUTE)
        if template is not None:
            served.matched(template)
    return served
