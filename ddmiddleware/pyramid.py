"""Pyramid: one span per request, named after the pattern of its route.

``trace_pyramid(config)`` or ``config.include("ddmiddleware.pyramid")`` traces one application; ``patch_all()`` traces
all of them.

https://trypyramid.com
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from ddmiddleware import _servers, wsgi
from ddmiddleware._hooks import hooks
from ddmiddleware._request import KEY, Request
from ddmiddleware.integrations import Integration
from ddmiddleware.tracing import default_settings, guarded

_routing = Integration("pyramid", parts=(_servers.integration,))
integration = Integration("pyramid", requires="pyramid>=1.10", parts=(_routing,))

# A key of an application's registry, which all its configurators share.
_TRACED = "ddmiddleware.traced"


def trace_pyramid(config: Any, **given: Any) -> None:
    """Trace the requests of the application that *config*, a ``Configurator``, makes.

    What else is *given* are the keyword arguments of ``ddmiddleware.wsgi.TraceMiddleware``.
    """
    found = hooks(**given)
    if default_settings["DD_TRACE_ENABLED"]:
        config.registry[_TRACED] = found or config.registry.get(_TRACED)
        _routing.keep()


includeme = trace_pyramid  # what config.include calls


def _serving(original: Any, wanted: Callable[[Any], bool]) -> Any:
    def serving(self: Any, environ: Any, start_response: Any) -> Any:
        if not wanted(self):
            return original(self, environ, start_response)
        found = self.registry.get(_TRACED)
        return wsgi.serve(partial(original, self), environ, start_response, "pyramid", found)

    return serving


# __call__, because tweens, execution policies and the body are below it.
@integration.replaces("pyramid.router:Router.__call__")
def call(original: Any) -> Any:
    # Not patched where somebody else's patch is around this one, so that it could not be undone.
    return _serving(original, lambda _router: integration.patched)


@_routing.replaces("pyramid.router:Router.__call__")
def call_traced(original: Any) -> Any:
    return _serving(original, lambda router: _routing.patched and _TRACED in router.registry)


# The mapper's __call__, because the route is known then, and neither its factory nor a view has run.
@_routing.replaces("pyramid.urldispatch:RoutesMapper.__call__")
def route(original: Any) -> Any:
    def mapping(self: Any, request: Any) -> Any:
        found = original(self, request)
        with guarded:
            _matched(request.environ, found["route"])
        return found

    return mapping


# invoke_exception_view, because whatever turns an exception into a response asks it: Pyramid's tween and users' own.
@_routing.observes("pyramid.view:ViewMethodsMixin.invoke_exception_view")
def error(self: Any, exc_info: Any = None, request: Any = None, *_rest: Any, **_named: Any) -> None:
    served = _served((request or self).environ)
    failure = (exc_info or sys.exc_info())[1]
    if served is not None and failure is not None:
        served.handled(failure)


def _served(environ: dict[str, Any]) -> Request | None:
    return environ.get(KEY)


def _matched(environ: dict[str, Any], route: Any) -> None:
    served = _served(environ)
    if served is not None and route is not None:
        served.span._meta["pyramid.route.name"] = route.name
        served.matched("/" + route.pattern.removeprefix("/"), environ.get("SCRIPT_NAME", ""))
