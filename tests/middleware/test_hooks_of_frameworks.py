"""The keyword arguments of one middleware, on every framework that has an idiom of its own for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp.web
import bottle
import cherrypy
import litestar
import pytest
import quart
import tornado.web
from django.test import override_settings
from pyramid.config import Configurator
from pyramid.response import Response

import ddmiddleware
from ddmiddleware import aiohttp as our_aiohttp
from ddmiddleware import connexion as our_connexion
from ddmiddleware import litestar as our_litestar
from ddmiddleware import quart as our_quart
from ddmiddleware import sanic as our_sanic
from ddmiddleware import tornado as our_tornado
from ddmiddleware.bottle import TracePlugin
from ddmiddleware.cherrypy import TraceMiddleware as OurCherryPy
from ddmiddleware.django import options
from ddmiddleware.pyramid import trace_pyramid
from ddmiddleware.tracing import Span
from tests.integrations.recorder import Recorder
from tests.middleware import aiohttp_app, sanic_app, tornado_app
from tests.middleware.connexion_shops import with_starlette
from tests.middleware.django_requests import wsgi_app
from tests.middleware.requests_by_hand import Answer, ask_wsgi, asked

# Asks the application for a path with the header X-Team.
Ask = Callable[[str], Answer]


def with_bottle(hooks: dict[str, Any]) -> Ask:
    app = bottle.Bottle()
    app.route("/", callback=lambda: "home")
    app.route("/health", callback=lambda: "fine")
    app.install(TracePlugin(**hooks))
    return lambda path: ask_wsgi(app, path, HTTP_X_TEAM="blue")


def with_cherrypy(hooks: dict[str, Any]) -> Ask:
    class Shop:
        @cherrypy.expose
        def index(self) -> str:
            return "home"

        @cherrypy.expose
        def health(self) -> str:
            return "fine"

    app = OurCherryPy(cherrypy.Application(Shop()), **hooks)
    return lambda path: ask_wsgi(app, path, HTTP_X_TEAM="blue")


def with_pyramid(hooks: dict[str, Any]) -> Ask:
    config = Configurator()
    trace_pyramid(config, **hooks)
    for path in ("/", "/health"):
        config.add_route(path, path)
        config.add_view(lambda _request: Response("fine"), route_name=path)
    app = config.make_wsgi_app()
    return lambda path: ask_wsgi(app, path, HTTP_X_TEAM="blue")


def in_asgi(app: Any) -> Ask:
    return lambda path: asked(app, path, headers=[(b"host", b"testserver"), (b"x-team", b"blue")])


def with_litestar(hooks: dict[str, Any]) -> Ask:
    @litestar.get(["/", "/health"])
    async def view() -> str:
        return "fine"

    app = litestar.Litestar([view], logging_config=None, openapi_config=None)
    return in_asgi(our_litestar.TraceMiddleware(app, **hooks))


def with_connexion(hooks: dict[str, Any]) -> Ask:
    return in_asgi(our_connexion.TraceMiddleware(with_starlette(), **hooks))


def with_quart(hooks: dict[str, Any]) -> Ask:
    app = quart.Quart("shop", static_folder=None)

    async def view() -> str:
        return "fine"

    for path in ("/", "/health"):
        app.add_url_rule(path, path.strip("/") or "home", view)
    our_quart.TraceMiddleware(app, **hooks)
    return in_asgi(app)


def with_aiohttp(hooks: dict[str, Any]) -> Ask:
    async def view(_request: Any) -> aiohttp.web.Response:
        return aiohttp.web.Response(text="fine")

    def ask(path: str) -> Answer:
        app = aiohttp.web.Application()
        app.router.add_get("/", view)
        app.router.add_get("/health", view)
        our_aiohttp.trace_app(app, **hooks)
        return aiohttp_app.asked(app, path, X_Team="blue")

    return ask


def with_tornado(hooks: dict[str, Any]) -> Ask:
    app = tornado.web.Application([("/", tornado_app.Sync), ("/health", tornado_app.Sync)])
    our_tornado.trace_app(app, **hooks)
    return lambda path: tornado_app.asked(app, path, X_Team="blue")


def sanic_shop(hooks: dict[str, Any]) -> Any:
    app = sanic_app.named()  # is served once
    for path in ("/", "/health"):
        app.add_route(sanic_app.sync, path, name=path.strip("/") or "home")
    our_sanic.trace_app(app, **hooks)
    return app


def with_sanic(hooks: dict[str, Any]) -> Ask:
    return lambda path: sanic_app.asked(sanic_shop(hooks), path, X_Team="blue")


def with_sanic_by_asgi(hooks: dict[str, Any]) -> Ask:
    return in_asgi(sanic_app.begins(sanic_shop(hooks)))


def with_django(hooks: dict[str, Any]) -> Ask:
    given = {key.upper(): value for key, value in hooks.items()}

    def ask(path: str) -> Answer:
        with override_settings(DDMIDDLEWARE=given, MIDDLEWARE=["ddmiddleware.django.TraceMiddleware"]):
            return ask_wsgi(wsgi_app(), path, HTTP_X_TEAM="blue")

    return ask


BUILDERS = [
    with_bottle,
    with_cherrypy,
    with_pyramid,
    with_litestar,
    with_connexion,
    with_quart,
    with_aiohttp,
    with_tornado,
    with_sanic,
    with_sanic_by_asgi,
    with_django,
]


@pytest.fixture(autouse=True)
def _no_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cherrypy.log, "screen", False)
    monkeypatch.setattr(options.current, "hooks", None)
    monkeypatch.setattr(options, "_taken", [])


@pytest.mark.filterwarnings("ignore::DeprecationWarning:quart", "ignore::DeprecationWarning:sanic")
@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("patched", [False, True])
def test_hooks(recorder: Recorder, build: Callable[[dict[str, Any]], Ask], patched: bool) -> None:
    """Also below the framework's patch: once a request, before its application and at its response."""
    if patched:
        ddmiddleware.patch_all(logging=False)
    calls: list[tuple[str, Any]] = []

    def modify(span: Span, _source: Any) -> None:
        calls.append(("modify", span.resource))

    def begun(span: Span, source: Any) -> None:
        calls.append(("begun", source is not None))

    def answered(span: Span, status: int, headers: list[tuple[str, str]]) -> None:
        calls.append(("answered", status))
        span.set_tag("typed", any(name.lower() == "content-type" for name, _ in headers))

    given = {
        "span_modifier": modify,
        "request_hook": begun,
        "response_hook": answered,
        "excluded_urls": "/health$",
        "header_tags": {"X-Team": "team"},
    }
    ask = build(given)
    assert ask("/").status == 200
    (found,) = (span for span in recorder.take() if span["type"] == "web")
    assert [name for name, _ in calls] == ["modify", "begun", "answered"]
    assert calls[1:] == [("begun", True), ("answered", 200)]
    assert (found["tags"]["team"], found["tags"]["typed"]) == ("blue", "True")
    assert ask("/health").status in (200, 404)
    assert recorder.take() == []
    assert len(calls) == 3
