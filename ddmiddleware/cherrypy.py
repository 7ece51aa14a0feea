"""CherryPy: one span per request, named after the handler: there are no templates of paths.

``app = TraceMiddleware(cherrypy.tree)`` traces what is served through *app*; ``patch_all()`` traces every application.

https://docs.cherrypy.dev
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from ddmiddleware import _servers, wsgi
from ddmiddleware._request import KEY, Request
from ddmiddleware.integrations import Integration
from ddmiddleware.tracing import default_settings, guarded

_dispatch = Integration("cherrypy", parts=(_servers.integration,))
integration = Integration("cherrypy", requires="cherrypy>=17", parts=(_dispatch,))


class TraceMiddleware(wsgi.TraceMiddleware):
    """Trace the requests of one ``Application``, or of the tree that they are mounted on."""

    def __init__(self, app: wsgi.WSGIApp, **hooks: Any) -> None:
        """*hooks* are the keyword arguments of ``ddmiddleware.wsgi.TraceMiddleware``."""
        super().__init__(app, "cherrypy", **hooks)
        if default_settings["DD_TRACE_ENABLED"]:
            _dispatch.keep()


# Both, because CherryPy's server calls the tree, and others may call a single application.
@integration.replaces("cherrypy._cptree:Tree.__call__", "cherrypy._cptree:Application.__call__")
def call(original: Any) -> Any:
    def serving(self: Any, environ: Any, start_response: Any) -> Any:
        if not integration.patched:  # somebody else's patch is around this one, so that it could not be undone
            return original(self, environ, start_response)
        return wsgi.serve(partial(original, self), environ, start_response, "cherrypy")

    return serving


# get_resource, because the handler is known when it returns, and neither a tool nor the handler has run yet.
@_dispatch.replaces("cherrypy._cprequest:Request.get_resource")
def handler(original: Any) -> Any:
    def dispatching(self: Any, path: Any) -> None:
        original(self, path)
        with guarded:
            request = _served(self)
            name = _name(self)
            if request is not None and name:
                request.called(name)

    return dispatching


# Each, because it is called from the except block of whoever answers an exception: the first one for those that are
# raised as answers, the second for all others, the third where answering itself fails.
@_dispatch.observes(
    "cherrypy._cperror:HTTPError.set_response",
    "cherrypy._cprequest:Request.handle_error",
    "cherrypy._cperror:bare_error",
)
def error(*_args: Any, **_named: Any) -> None:
    import cherrypy

    request, failure = _served(cherrypy.serving.request), sys.exc_info()[1]
    if request is not None and failure is not None:
        request.handled(failure)


def _served(request: Any) -> Request | None:
    environ = getattr(request, "wsgi_environ", None)
    return environ.get(KEY) if environ is not None else None


def _name(request: Any) -> str:
    """Return the dotted name of what serves *request*, or nothing where that is an error."""
    function = getattr(request.handler, "callable", None)
    if function is None:
        tools = (tool for tool in ("staticdir", "staticfile") if request.config.get(f"tools.{tool}.on"))
        return "".join(f"cherrypy.tools.{tool}" for tool in tools)
    owner = getattr(function, "__self__", None)
    if owner is not None:
        owner = owner if isinstance(owner, type) else type(owner)
        return f"{owner.__module__}.{owner.__qualname__}.{function.__name__}"
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"
