"""Middleware for any ASGI application (https://asgi.readthedocs.io).

The span of a request ends with its last body message, not with the application's return: background tasks come after
it. A websocket's span ends when its handshake is answered; its messages are traces of their own. Nothing is done at a
lifespan but one flush at its end, for servers that leave by a signal and so run no exit handlers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from ddmiddleware import _servers
from ddmiddleware._hooks import Hooks, RequestHook, ResponseHook, hooks
from ddmiddleware._request import KEY, Request
from ddmiddleware._websocket import Connection
from ddmiddleware.tracing import (
    EXTRACTED_HEADERS,
    EXTRACTED_PREFIX,
    active,
    default_settings,
    default_tracer,
    guarded,
    loop_meter,
    service_ended,
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

# With these a response is complete, or a handshake answered, unless they say that more follows.
_LAST = frozenset(
    (
        "http.response.body",
        "http.response.pathsend",
        "http.response.zerocopysend",
        "websocket.accept",
        "websocket.close",
        "websocket.http.response.body",
    )
)
_HEADERS = {name.encode(): name for name in (*EXTRACTED_HEADERS, "host", "user-agent")}


class TraceMiddleware:
    """Wrap an ASGI application: ``app = TraceMiddleware(app)``."""

    def __init__(
        self,
        app: ASGIApp,
        component: str = "asgi",
        *,
        span_modifier: RequestHook | None = None,
        request_hook: RequestHook | None = None,
        response_hook: ResponseHook | None = None,
        excluded_urls: str | Iterable[str] = (),
        header_tags: Iterable[str] | Mapping[str, str] | str = (),
    ) -> None:
        """*span_modifier* and what follows is explained in ``docs/requests.md``."""
        self.app = app
        self._component = component
        self._hooks = hooks(
            span_modifier=span_modifier,
            request_hook=request_hook,
            response_hook=response_hook,
            excluded_urls=excluded_urls,
            header_tags=header_tags,
        )
        with guarded:
            _servers.integration.keep()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(self.app, scope, receive, send, self._component, self._hooks)


async def serve(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, component: str, hooks: Hooks | None = None
) -> None:
    """Call *app* under the span of its request; one that is there already is kept, and named after *component*."""
    outside = active.get()
    request = connection = None
    with guarded:
        kind = scope["type"]
        if kind == "http" or kind == "websocket":
            request = _begin(scope, component, hooks)
            if request is not None:
                if kind == "websocket" and default_settings["DD_TRACE_WEBSOCKET_MESSAGES_ENABLED"]:
                    connection = Connection(request, receive, send, _responding(request, send))
                    receive, send = connection.receive, connection.send
                else:
                    receive, send = _receiving(request, receive), _responding(request, send)
        elif kind == "lifespan":
            send = _flushing(send)
    if request is None:
        active.set(outside)  # where it failed half-way
        await app(scope, receive, send)
        return
    try:
        await app(scope, receive, send)
    except BaseException as error:
        with guarded:
            request.failed(error)
            if connection is not None:
                connection.failed(error)
        raise
    finally:
        with guarded:
            request.finish()
            if connection is not None:
                connection.finish()
        active.set(outside)


def _begin(scope: Scope, component: str, hooks: Hooks | None = None) -> Request | None:
    if not default_tracer.enabled:
        return None
    if loop_meter.wanted:
        loop_meter.watch()
    outer = scope.get(KEY)
    if outer is None and "wsgi_environ" in scope:
        outer = _below_wsgi(scope)
    if outer is not None:
        if component != "asgi":
            outer.adopt(component, scope, READER)
        if hooks is not None:
            outer.hook(hooks, scope, READER)
        return None
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name in _HEADERS:
            key, text = _HEADERS[name], value.decode("latin-1")
            # RFC 9110, section 5.3: a repeated header is a list. Of traceparent there must be no two: none is valid.
            found[key] = f"{found[key]},{text}" if key in found else text
    if EXTRACTED_PREFIX:
        found.update(_prefixed(scope))
    host = found.pop("host", None)
    if host is None:
        host, port = scope.get("server") or ("", None)
        host = f"{host}:{port}" if port else host
    agent = found.pop("user-agent", "")
    root = scope.get("root_path", "")
    path = scope["path"]
    # Since version 3 of the specification's HTTP part the path includes the root path; servers differ.
    full = path if path.startswith(root) else root + path
    url = f"{scope.get('scheme', 'http')}://{host}{full}"
    if "path_params" in scope:
        root = _template(root, scope["path_params"])
    request = Request(component, scope.get("method", "GET"), url, agent, found, root, scope, READER)
    scope[KEY] = request
    if hooks is not None:
        request.hook(hooks, scope, READER)
    return request


def _below_wsgi(scope: Scope) -> Request | None:
    """Return the request of a WSGI application that runs this one by a2wsgi, which shows the environ."""
    outer: Request | None = scope["wsgi_environ"].get(KEY)
    if outer is not None:
        scope[KEY] = outer
        outer._prefix = outer._prefix or scope.get("root_path", "")
    return outer


def _prefixed(scope: Scope) -> Iterator[tuple[str, str]]:
    prefix = EXTRACTED_PREFIX.encode()
    for name, value in scope["headers"]:
        if name.startswith(prefix):
            yield name.decode("latin-1"), value.decode("latin-1")


class _Scope:
    """Reads the scope."""

    def header(self, source: Scope, name: str) -> str:
        """Return a header, repeated ones as a list (RFC 9110, section 5.3)."""
        wanted = name.encode("latin-1")
        return ",".join([value.decode("latin-1") for given, value in source["headers"] if given == wanted])

    def query(self, source: Scope) -> str:
        """Return the query string."""
        query: bytes = source.get("query_string", b"")
        return query.decode("latin-1")

    def peer(self, source: Scope) -> str:
        """Return the other end's address, which a Unix socket has not."""
        client = source.get("client")
        return str(client[0]) if client else ""


READER = _Scope()


def _template(root: str, params: dict[str, Any]) -> str:
    """Return a root path with the names of parameters for their values: we stand below a mount that nobody traced."""
    root += "/"
    for name, value in params.items():
        root = root.replace(f"/{value}/", f"/{{{name}}}/")
    return root[:-1]


def _receiving(request: Request, receive: Receive) -> Receive:
    async def receiving() -> Message:
        message = await receive()
        with guarded:
            if message["type"] == "http.disconnect":
                request.disconnected()
        return message

    return receiving


def _responding(request: Request, send: Send) -> Send:
    async def responding(message: Message) -> None:
        last = False
        with guarded:
            kind = message["type"]
            if kind == "http.response.start" or kind == "websocket.http.response.start":
                headers = message.get("headers", ())
                if request._details is not None and iter(headers) is headers:  # Sanic's can be read once
                    headers = list(headers)
                    message = {**message, "headers": headers}
                request.answered(message["status"], headers)
            elif kind == "websocket.accept":
                request.answered(101, message.get("headers", ()))
            elif kind == "websocket.close" and not request.span.finished:
                request.answered(403)
            last = kind in _LAST and not message.get("more_body", False)
        try:
            await send(message)
        except OSError:  # what the specification asks a server to raise when the client is gone
            with guarded:
                request.disconnected()
            raise
        if last:
            with guarded:
                request.ended()

    return responding


def _flushing(send: Send) -> Send:
    async def flushing(message: Message) -> None:
        with guarded:
            if message["type"].startswith("lifespan.shutdown."):
                default_tracer.flush(default_settings["DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS"])
                service_ended()
        await send(message)

    return flushing
