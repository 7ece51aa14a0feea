"""Middleware for any WSGI application (PEP 3333).

The span of a request ends when its body is exhausted or closed. The application and the server see no difference: what
is returned has a length only if the application's iterable had one, ``close()`` reaches it exactly as often as the
server calls it, and a ``wsgi.file_wrapper`` stays one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ddmiddleware import _servers
from ddmiddleware._hooks import Hooks, RequestHook, ResponseHook, hooks
from ddmiddleware._request import KEY, Request
from ddmiddleware.tracing import (
    EXTRACTED_HEADERS,
    EXTRACTED_PREFIX,
    LEADING_HEADERS,
    Context,
    Span,
    active,
    default_tracer,
    guarded,
)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]


def _key(name: str) -> str:
    return "HTTP_" + name.upper().replace("-", "_")


_HEADERS = {_key(name): name for name in EXTRACTED_HEADERS}
_LEADING = frozenset(map(_key, LEADING_HEADERS))
_PREFIX = _key(EXTRACTED_PREFIX)


class TraceMiddleware:
    """Wrap a WSGI application: ``app = TraceMiddleware(app)``."""

    def __init__(
        self,
        app: WSGIApp,
        component: str = "wsgi",
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

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return serve(self.app, environ, start_response, self._component, self._hooks)


DDWSGIMiddleware = TraceMiddleware


def serve(
    app: WSGIApp, environ: Environ, start_response: StartResponse, component: str, hooks: Hooks | None = None
) -> Iterable[bytes]:
    """Call *app* under the span of its request; one that is there already is kept, and named after *component*."""
    outside = active.get()
    request = None
    with guarded:
        request = _begin(environ, component, hooks)
        if request is not None:
            start_response = _responding(request, start_response)
    if request is None:
        active.set(outside)  # where it failed half-way
        return app(environ, start_response)
    try:
        body = app(environ, start_response)
    except BaseException as error:
        with guarded:
            request.failed(error)
        with guarded:
            request.finish()
        raise
    finally:
        active.set(outside)
    with guarded:
        return _watched(body, request, environ)
    return body


def _begin(environ: Environ, component: str, hooks: Hooks | None = None) -> Request | None:
    if not default_tracer.enabled:
        return None
    # a2wsgi, which runs WSGI applications in ASGI ones, shows the scope.
    outer = environ.get(KEY) or ("asgi.scope" in environ and environ["asgi.scope"].get(KEY)) or None
    if outer is not None:
        environ[KEY] = outer
        if component != "wsgi":
            outer.adopt(component, environ, READER)
        if hooks is not None:
            outer.hook(hooks, environ, READER)
        return None
    headers = {}
    if not environ.keys().isdisjoint(_LEADING):
        headers = {name: environ[key] for key, name in _HEADERS.items() if key in environ}
    if EXTRACTED_PREFIX:
        headers.update((_name(key), environ[key]) for key in environ if key.startswith(_PREFIX))
    host = environ.get("HTTP_HOST") or f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}"
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    if not path.isascii():  # PEP 3333: text that stands for bytes
        path = path.encode("latin-1", "replace").decode("utf-8", "replace")
    url = f"{environ.get('wsgi.url_scheme', 'http')}://{host}{path}"
    method, agent = environ.get("REQUEST_METHOD", "GET"), environ.get("HTTP_USER_AGENT", "")
    request = Request(component, method, url, agent, headers, "", environ, READER)
    environ[KEY] = request
    if hooks is not None:
        request.hook(hooks, environ, READER)
    return request


def _name(key: str) -> str:
    return key.removeprefix("HTTP_").lower().replace("_", "-")


class _Environ:
    """Reads the environ."""

    def header(self, source: Environ, name: str) -> str:
        """Return a header; those of the body have names without ``HTTP_`` (PEP 3333)."""
        key = name.upper().replace("-", "_")
        value: str = source.get(f"HTTP_{key}") or (key.startswith("CONTENT_") and source.get(key)) or ""
        return value

    def query(self, source: Environ) -> str:
        """Return the query string."""
        query: str = source.get("QUERY_STRING", "")
        return query

    def peer(self, source: Environ) -> str:
        """Return the other end's address, which a Unix socket has not."""
        peer: str = source.get("REMOTE_ADDR", "")
        return peer


READER = _Environ()


def _responding(request: Request, start_response: StartResponse) -> StartResponse:
    def responding(status: str, *rest: Any, **named: Any) -> Any:
        # Before we note it: with exc_info it raises where another status went out already.
        write = start_response(status, *rest, **named)
        with guarded:
            request.answered(int(status[:3]), rest[0] if rest else named.get("response_headers", ()))
        return write

    return responding


def _watched(body: Iterable[bytes], request: Request, environ: Environ) -> Iterable[bytes]:
    """Return *body*, or what stands for it, such that the request ends with it."""
    if type(body) is list or type(body) is tuple:
        request.finish()  # all of it is handed over
        return body
    file_wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(file_wrapper, type) and isinstance(body, file_wrapper):
        _close_with(body, request)  # the server looks at its type, to send the file without reading it
        return body
    return _SizedBody(body, request) if hasattr(type(body), "__len__") else _Body(body, request)


def _close_with(body: Any, request: Request) -> None:
    close = getattr(body, "close", None)

    def closing() -> None:
        try:
            if close is not None:
                close()
        finally:
            with guarded:
                request.finish()

    try:
        body.close = closing
    except AttributeError:
        request.finish()


class _Body:
    """An iterable that stands for the application's: each step of that runs where the one before left off."""

    __slots__ = ("_body", "_inside", "_iterator", "_request")

    def __init__(self, body: Iterable[bytes], request: Request) -> None:
        self._body = body
        self._request = request
        self._iterator: Iterator[bytes] | None = None
        self._inside: Span | Context | None = request.span

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        outside = active.get()
        active.set(self._inside)
        try:
            if self._iterator is None:
                self._iterator = iter(self._body)
            return next(self._iterator)
        except BaseException as error:
            with guarded:
                if not isinstance(error, StopIteration):
                    self._request.failed(error)
            with guarded:
                self._request.finish()
            raise
        finally:
            self._inside = active.get()
            active.set(outside)

    def close(self) -> None:
        """Close the application's iterable, if that can be closed."""
        outside = active.get()
        active.set(self._inside)
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            with guarded:
                self._request.failed(error)
            raise
        finally:
            with guarded:
                self._request.finish()
            active.set(outside)

    def __del__(self) -> None:
        # A server that neither exhausts nor closes the body breaks PEP 3333; the request is over all the same.
        with guarded:
            self._request.finish()


class _SizedBody(_Body):
    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]


# Here, because what an application imports before uWSGI forks is this, patched or explicit.
with guarded:
    _servers.watch_uwsgi()
