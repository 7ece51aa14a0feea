"""Traces, integrations and profiles for Python web services: what an application imports.

``tracer`` makes spans, ``patch_all()`` traces the libraries in use; importing this starts nothing and patches nothing.
"""

from __future__ import annotations

from ddmiddleware import integrations
from ddmiddleware.integrations import TABLE, Row, patch, patch_all, unpatch
from ddmiddleware.tracing import Span, Tracer, __version__, default_settings
from ddmiddleware.tracing import default_tracer as tracer

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from typing import Any

    from ddmiddleware._config import config as config
    from ddmiddleware.deprecations import DDTraceDeprecationWarning as DDTraceDeprecationWarning
    from ddmiddleware.integrations import Pin as Pin

__all__ = ["Pin", "Span", "Tracer", "__version__", "config", "patch", "patch_all", "tracer", "unpatch"]

# The frameworks stand above the libraries: their rows are added here.
TABLE.update(
    aiohttp=Row("aiohttp.web_app", "ddmiddleware.aiohttp"),
    bottle=Row("bottle", "ddmiddleware.bottle"),
    cherrypy=Row("cherrypy", "ddmiddleware.cherrypy"),
    connexion=Row("connexion.middleware.main", "ddmiddleware.connexion"),
    django=Row("django", "ddmiddleware.django"),
    falcon=Row("falcon", "ddmiddleware.falcon"),
    fastapi=Row("fastapi.applications", "ddmiddleware.fastapi"),
    flask=Row("flask", "ddmiddleware.flask"),
    litestar=Row("litestar.app", "ddmiddleware.litestar"),
    otel=Row("opentelemetry.trace", "ddmiddleware.opentelemetry", on=False),
    pyramid=Row("pyramid.config", "ddmiddleware.pyramid"),
    quart=Row("quart.app", "ddmiddleware.quart"),
    sanic=Row("sanic.app", "ddmiddleware.sanic"),
    starlette=Row("starlette.applications", "ddmiddleware.starlette"),
    tornado=Row("tornado.web", "ddmiddleware.tornado"),
)
default_settings.components = (TABLE, ("asgi", "celery_producer", "celery_worker", "wsgi"))
# Attributes of ddtrace as soon as that is imported; here with their first user.
_MODULES = (
    "constants",
    "context",
    "ext",
    "filters",
    "pin",
    "propagation",
    "provider",
    "sampler",
    "span",
    "trace",
    "version",
)


def __getattr__(name: str) -> Any:
    """Load what most programs do not use with its first user."""
    if name == "Pin":
        return integrations.Pin
    if name == "config":
        from ddmiddleware._config import config

        return config
    if name == "DDTraceDeprecationWarning":
        from ddmiddleware.deprecations import DDTraceDeprecationWarning

        return DDTraceDeprecationWarning
    if name in _MODULES:
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
