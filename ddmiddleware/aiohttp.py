"""aiohttp's server: one span per request, named after the full path template of its resource.

``trace_app(app)`` traces one application; ``patch_all()`` traces all of them.

https://docs.aiohttp.org/en/stable/web.html
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ddmiddleware._arrival import begin
from ddmiddleware._hooks import Hooks, hooks
from ddmiddleware._request import KEY, Request
from ddmiddleware.integrations import Integration
from ddmiddleware.tracing import active, default_settings, guarded, warn

if TYPE_CHECKING:
    from aiohttp import web

# Where a response has the exception that it answers.
_ANSWERS = "ddmiddleware.answers"

_serving = Integration("aiohttp")
integration = Integration("aiohttp", requires="aiohttp>=3.8", parts=(_serving,))


def trace_app(app: web.Application, **given: Any) -> None:
    """Trace the requests of one application and of what is added to it, around all of its middlewares.

    To be called before the application is served, or added to another one; a second call changes nothing. What else is
    *given* are the keyword arguments of ``ddmiddleware.wsgi.TraceMiddleware``: the hooks get the ``web.Request``.
    """
    found = hooks(**given)
    if not default_settings["DD_TRACE_ENABLED"] or any(isinstance(each, _Middleware) for each in app.middlewares):
        return
    if app.middlewares.frozen:
        warn("trace_app: the aiohttp application is served already, or part of another one; it is not traced")
        return
    app.middlewares.insert(0, _Middleware(found))
    _serving.keep()


class _Middleware:
    __middleware_version__ = 1  # what web.middleware adds

    def __init__(self, hooks: Hooks | None) -> None:
        self._hooks = hooks

    async def __call__(self, request: web.Request, handler: Any) -> Any:
        return await _serve(handler, request, request.match_info, self._hooks)


# _handle, because everything of the application, its routers and middlewares too, is below it.
@integration.replaces("aiohttp.web_app:Application._handle")
def call(original: Any) -> Any:
    async def serving(self: Any, request: Any) -> Any:
        if not integration.patched:  # somebody else's patch is around this one, so that it could not be undone
            return await original(self, request)
        return await _serve(partial(original, self), request)

    return serving


# resolve, because it is the last that happens before the application's middlewares run.
@_serving.replaces("aiohttp.web_urldispatcher:UrlDispatcher.resolve")
def route(original: Any) -> Any:
    async def resolving(self: Any, request: Any) -> Any:
        found = await original(self, request)
        with guarded:
            served = _served(request)
            if served is not None:
                await _name(served, request, found, self)
        return found

    return resolving


# __init__, because a middleware that answers an exception makes its response while it handles that, and returns it.
@_serving.replaces("aiohttp.web_response:StreamResponse.__init__")
def make(original: Any) -> Any:
    def making(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if kwargs.get("status", 200) >= 500:
            with guarded:
                error = sys.exc_info()[1]
                if error is not None and error is not self:  # an HTTPException is a response
                    self._state[_ANSWERS] = error

    return making


# prepare, because responses of all kinds, the server's own and those that a handler begins itself, start there.
@_serving.replaces("aiohttp.web_response:StreamResponse.prepare")
def start(original: Any) -> Any:
    async def preparing(self: Any, request: Any) -> Any:
        before = self.prepared
        writer = await original(self, request)
        with guarded:
            served = _served(request)
            if served is not None and not before:
                answers = self._state.pop(_ANSWERS, None)
                if answers is not None and served._error is None:
                    served.handled(answers)
                served.answered(self.status, self.headers.items())
                if self.status == 101:  # a websocket: its handshake is over
                    served.ended()
        return writer

    return preparing


# finish_response, because whatever a handler returns or raises is written there, with the body of what it began.
@_serving.replaces("aiohttp.web_protocol:RequestHandler.finish_response")
def end(original: Any) -> Any:
    async def finishing(self: Any, request: Any, *args: Any) -> Any:
        outside = active.get()
        served = None
        with guarded:
            served = _served(request)
            if served is not None:
                active.set(served.span)  # for what the body is made of
        try:
            finished = await original(self, request, *args)
        except BaseException as error:
            with guarded:
                if served is not None:
                    served.failed(error)
            raise
        else:
            with guarded:
                if served is not None and finished[1]:
                    served.disconnected()
        finally:
            with guarded:
                if served is not None:
                    served.finish()
            active.set(outside)
        return finished

    return finishing


async def _serve(
    handler: Callable[[Any], Awaitable[Any]], request: Any, found: Any = None, hooks: Hooks | None = None
) -> Any:
    """Call *handler* under the span of its request, of which *found* is known; one that is there already is kept."""
    outside = active.get()
    served = None
    with guarded:
        served = await _begin(request, found, hooks)
    if served is None:
        active.set(outside)  # where it failed half-way
        return await handler(request)
    try:
        return await handler(request)
    except BaseException as error:
        with guarded:
            _raised(served, request, error)
        raise
    finally:
        active.set(outside)


async def _begin(request: Any, found: Any, hooks: Hooks | None) -> Request | None:
    outer = _served(request)
    if outer is not None:
        if hooks is not None:
            outer.hook(hooks, request, _READER)
        return None
    url = request.rel_url
    headers = request.headers.items()
    served = begin("aiohttp", request.method, request.scheme, url.path, url.raw_query_string, headers, request.remote)
    if served is not None:
        request._state[KEY] = served  # not as an item: that warns of a key that is text
        if found is not None:
            await _name(served, request, found, found.apps[-1].router)
        if hooks is not None:
            served.hook(hooks, request, _READER)
    return served


class _Reader:
    """Reads a request of aiohttp's."""

    def header(self, source: Any, name: str) -> str:
        """Return a header, repeated ones as a list (RFC 9110, section 5.3)."""
        return ",".join(source.headers.getall(name, ()))

    def query(self, source: Any) -> str:
        """Return the query string."""
        query: str = source.rel_url.raw_query_string
        return query

    def peer(self, source: Any) -> str:
        """Return the other end's address."""
        return source.remote or ""


_READER = _Reader()


def _served(request: Any) -> Request | None:
    found: Request | None = request._state.get(KEY)
    return found


async def _name(served: Request, request: Any, found: Any, router: Any) -> None:
    """Name the request after the resource that *router* found, or that has the path but not the method."""
    resource = found.route.resource
    if resource is None and getattr(found.http_exception, "status", 0) == 405:
        for resource in router.resources():
            match, allowed = await resource.resolve(request)
            if match is None and allowed:
                break
        else:
            return  # one of an inner application, whose router has named it
    if resource is not None:
        from aiohttp.web_urldispatcher import StaticResource

        served.matched(resource.canonical + ("/{filename}" if isinstance(resource, StaticResource) else ""))


def _raised(served: Request, request: Any, error: BaseException) -> None:
    """Note what leaves the application: aiohttp answers it, unless it was cancelled or has begun to answer."""
    from aiohttp.web import HTTPException

    answerable = isinstance(error, HTTPException) or (isinstance(error, Exception) and not request.writer.output_size)
    transport = request.transport
    if isinstance(error, OSError) and (transport is None or transport.is_closing()):
        served.disconnected()
    if answerable:
        served.handled(error)
    else:
        try:
            served.failed(error)
        finally:
            served.finish()
