"""Starlette and what is built on it: one span per request, named after the full path template of its route.

``app.add_middleware(TraceMiddleware)`` traces one application; ``patch_all()`` traces all of them.

https://www.starlette.io
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from ddmiddleware import _servers, asgi
from ddmiddleware._request import KEY
from ddmiddleware.integrations import Integration, options_of
from ddmiddleware.tracing import Context, Silence, Span, active, default_settings, default_tracer, guarded

routing = Integration("starlette", parts=(_servers.integration,))
integration = Integration("starlette", requires="starlette>=0.20", parts=(routing,))


class TraceMiddleware(asgi.TraceMiddleware):
    """Trace the requests of one application."""

    def __init__(self, app: asgi.ASGIApp, **hooks: Any) -> None:
        """*hooks* are the keyword arguments of ``ddmiddleware.asgi.TraceMiddleware``."""
        super().__init__(app, "starlette", **hooks)
        if default_settings["DD_TRACE_ENABLED"]:
            routing.keep()


# __call__, because everything else, the application's middleware too, is below it.
@integration.replaces("starlette.applications:Starlette.__call__")
def call(original: Any) -> Any:
    async def serving(self: Any, scope: Any, receive: Any, send: Any) -> None:
        others = False
        with guarded:
            others = _is_fastapi(self)
        # Unpatched where somebody else's patch is around this one, so that it could not be undone.
        if others or not integration.patched:
            await original(self, scope, receive, send)
            return
        await asgi.serve(partial(original, self), scope, receive, send, "starlette")

    return serving


def _is_fastapi(app: Any) -> bool:
    """Say whether *app* has a row of its own, with a switch of its own."""
    module = sys.modules.get("fastapi.applications")
    return module is not None and isinstance(app, module.FastAPI)


# handle, because a route is entered there once it has matched, before the endpoint runs.
@routing.replaces("starlette.routing:Route.handle", "starlette.routing:WebSocketRoute.handle")
def route(original: Any) -> Any:
    async def handling(self: Any, scope: Any, receive: Any, send: Any) -> None:
        with guarded:
            request = scope.get(KEY)
            if request is not None:
                request.matched(self.path)
        await original(self, scope, receive, send)

    return handling


@routing.observes("starlette.routing:Mount.handle")
def mount(self: Any, scope: Any, *_channels: Any) -> None:
    request = scope.get(KEY)
    if request is not None:
        request.mounted(self.path)


# __call__ of the single task, because a list of tasks calls it for each of them.
@routing.replaces("starlette.background:BackgroundTask.__call__")
def background(original: Any) -> Any:
    async def running(self: Any) -> None:
        outside = active.get()
        span = None
        with guarded:
            if default_tracer.enabled and not isinstance(outside, Silence):
                span = _begin_task(self.func, outside)
        try:
            await original(self)
        except BaseException as error:
            with guarded:
                if span is not None:
                    span.set_exc_info(type(error), error, error.__traceback__)
            raise
        finally:
            with guarded:
                if span is not None:
                    span.finish()
            active.set(outside)

    return running


def _begin_task(function: Any, outside: Span | Context | None) -> Span:
    """Start the trace of a background task: one of its own, because the response does not wait for it."""
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    request = outside.local_root if isinstance(outside, Span) else None
    component = "starlette"
    if request is not None and request._meta.get("component") == "fastapi":
        component = "fastapi"
    span = default_tracer.start_span(
        f"{component}.background_task", None, options_of(component).service, name, "worker", activate=True
    )
    span._meta["component"] = component
    if request is not None:
        span.link_span(request.context)
    return span


# What it builds is all that the WSGI application gets to see of the request.
@routing.replaces("starlette.middleware.wsgi:build_environ")
def wsgi_environ(original: Any) -> Any:
    def building(scope: Any, *args: Any, **kwargs: Any) -> Any:
        environ = original(scope, *args, **kwargs)
        with guarded:
            if KEY in scope:
                environ[KEY] = scope[KEY]
        return environ

    return building
