"""Sanic: one span per request, named after the path template of its route, on its own server and on ASGI servers.

``trace_app(app)`` traces one application; ``patch_all()`` traces all of them.

At its start Sanic compiles several of its methods anew from their source, which undoes what stands in their place: none
of these is replaced here.

https://sanic.dev
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ddmiddleware import _servers, asgi
from ddmiddleware._arrival import begin
from ddmiddleware._hooks import Hooks, hooks
from ddmiddleware._request import KEY, Request
from ddmiddleware.integrations import Integration
from ddmiddleware.tracing import active, default_settings, guarded

if TYPE_CHECKING:
    from sanic import Sanic

_serving = Integration("sanic", parts=(_servers.integration,))
integration = Integration("sanic", requires="sanic>=22.6", parts=(_serving,))

# What is traced alone, with its hooks. Sanic has a registry of applications too, where they stay.
_traced: dict[Any, Hooks | None] = {}
# What Sanic's own server is asked, and the span of that; on an ASGI server it is in the scope.
_current: ContextVar[tuple[Any, Request] | None] = ContextVar("ddmiddleware.sanic", default=None)


def trace_app(app: Sanic[Any, Any], **given: Any) -> None:
    """Trace the requests of one application.

    What is *given* are the keyword arguments of ``ddmiddleware.wsgi.TraceMiddleware``: the hooks get Sanic's request.
    """
    found = hooks(**given)
    if default_settings["DD_TRACE_ENABLED"]:
        _traced[app] = found or _traced.get(app)
        _serving.keep()


# __call__, because an ASGI server calls nothing else.
@integration.replaces("sanic.app:Sanic.__call__")
def call(original: Any) -> Any:
    return _around(original, lambda _app: integration.patched)


@_serving.replaces("sanic.app:Sanic.__call__")
def call_of_one(original: Any) -> Any:
    return _around(original, _traced.__contains__)


# _setup, because a connection of Sanic's own server keeps there whom it hands its requests to.
@_serving.replaces("sanic.server.protocols.http_protocol:HttpProtocolMixin._setup")
def connect(original: Any) -> Any:
    def setting_up(self: Any) -> None:
        original(self)
        with guarded:
            if integration.patched or self.app in _traced:
                self.request_handler = partial(_serve, self.request_handler)

    return setting_up


# http1, because it ends with its connection, also where a request was not answered.
@_serving.replaces("sanic.http.http1:Http.http1")
def disconnect(original: Any) -> Any:
    async def connected(self: Any) -> None:
        try:
            await original(self)
        finally:
            with guarded:
                _finish()

    return connected


# get, because it is called once, and before any middleware or handler of the application.
@_serving.replaces("sanic.router:Router.get")
def route(original: Any) -> Any:
    def routing(self: Any, path: str, method: str, host: str | None) -> Any:
        with guarded:
            _hook(path)
        try:
            found = original(self, path, method, host)
        except Exception as error:
            with guarded:
                others = getattr(error, "allowed_methods", None)
                if others:
                    _name(path, original(self, path, min(others), host)[0])
            raise
        with guarded:
            _name(path, found[0])
        return found

    vars(routing).update(cache_clear=original.cache_clear, cache_info=original.cache_info)
    return routing


# send, because the head of a response goes with the first call of it, and the end with the last.
@_serving.replaces("sanic.response.types:BaseHTTPResponse.send")
def answer(original: Any) -> Any:
    async def sending(self: Any, *args: Any, **kwargs: Any) -> None:
        served, before = None, ""
        with guarded:
            served = _sent_for(self)
            if served is not None:
                before = self.stream.stage.name
        await original(self, *args, **kwargs)
        with guarded:
            if served is not None:
                if before == "HANDLER":
                    served.answered(self.status, self.headers.items())  # which sending has completed
                if self.stream.stage.name == "IDLE":
                    served.finish()

    return sending


@_serving.replaces("sanic.server.protocols.websocket_protocol:WebSocketProtocol.websocket_handshake")
def handshake(original: Any) -> Any:
    async def shaking(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        socket = await original(self, request, *args, **kwargs)
        with guarded:
            served = _served(request)
            if served is not None:
                served.answered(101)
                served.finish()
        return socket

    return shaking


# _lookup, because a handler is looked for whether or not there is still time to answer.
@_serving.observes("sanic.handlers:ErrorHandler._lookup")
def error(_self: Any, exception: BaseException, *_args: Any) -> None:
    request = _asked()
    served = _served(request)
    if served is not None:
        if request.stream.stage.name == "HANDLER":
            served.handled(exception)
        else:
            served.failed(exception)


async def _serve(handler: Callable[[Any], Any], request: Any) -> None:
    """Call *handler* under the span of its request; it goes on for as long as the server has something to answer."""
    outside = active.get()
    try:
        with guarded:
            _begin(request)
        await handler(request)
    finally:
        with guarded:
            transport = request.transport
            served = _served(request)
            if served is not None and (transport is None or transport.is_closing()):
                served.disconnected()
                served.finish()
        active.set(outside)


def _begin(request: Any) -> None:
    _finish()
    scheme = "https" if request.conn_info.ssl else "http"
    path = unquote(request.path)
    headers, peer = request.headers.items(), request.conn_info.client_ip
    served = begin("sanic", request.method, scheme, path, request.query_string, headers, peer)
    _current.set(None if served is None else (request, served))


def _finish() -> None:
    last = _current.get()
    if last is not None:
        last[1].finish()


def _around(original: Any, traced: Callable[[Any], bool]) -> Any:
    async def serving(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if not traced(self):
            await original(self, scope, receive, send)
            return
        await asgi.serve(partial(original, self), scope, receive, send, "sanic")

    return serving


def _asked() -> Any:
    """Return the request that Sanic serves, or None."""
    from sanic.request import Request as Asked

    return Asked._current.get(None)


def _served(request: Any) -> Request | None:
    scope = getattr(getattr(request, "transport", None), "scope", None)
    if scope is not None:
        found: Request | None = scope.get(KEY)
        return found
    last = _current.get()
    return last[1] if last is not None and last[0] is request else None


def _sent_for(response: Any) -> Request | None:
    """Return the request that *response* answers, on Sanic's own server."""
    last = _current.get()
    stream = response.stream
    return last[1] if last is not None and stream is not None and last[0].stream is stream else None


class _Reader:
    """Reads a request of Sanic's."""

    def header(self, source: Any, name: str) -> str:
        """Return a header, repeated ones as a list (RFC 9110, section 5.3)."""
        return ",".join(source.headers.getall(name, ()))

    def query(self, source: Any) -> str:
        """Return the query string."""
        query: str = source.query_string
        return query

    def peer(self, source: Any) -> str:
        """Return the other end's address."""
        return source.ip or ""


_READER = _Reader()


def _routed(path: str) -> tuple[Any, Request | None]:
    """Return the request whose *path* is being looked for, and its span."""
    request = _asked()
    found = request is not None and request.route is None and request.path == path
    return request, _served(request) if found else None


def _hook(path: str) -> None:
    request, served = _routed(path)
    found = _traced.get(request.app) if served is not None else None
    if served is not None and found is not None:
        served.hook(found, request, _READER)


def _name(path: str, found: Any) -> None:
    _, served = _routed(path)
    if served is not None:
        served.matched(f"/{unquote(found.path)}")  # Sanic keeps it as it is in a URL
