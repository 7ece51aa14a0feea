"""One small application of every framework, traced as the command line says; run by test_every_combination.py.

``python -m tests.middleware.every_framework [patch_all] [explicit]`` asks each of them once and prints, as JSON, names
and resources of all spans by framework. Everything is imported after ``patch_all()``, as in an application.
"""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

from ddmiddleware import patch_all, tracer
from ddmiddleware.tracing import Span

EXPLICIT = "explicit" in sys.argv
if "patch_all" in sys.argv:
    patch_all()
warnings.simplefilter("ignore")  # those of the frameworks: they are not the matter here

from tests.middleware.requests_by_hand import ask_wsgi, asked  # noqa: E402

APPS: dict[str, Callable[[], object]] = {}


def app_of(ask: Callable[[], object]) -> Callable[[], object]:
    """Decorate what builds the application of the framework that it is called after, and asks for ``/users/7``."""
    APPS[ask.__name__] = ask
    return ask


def shown(*_: Any, **__: Any) -> str:
    """Answer, as a view."""
    return "shown"


@app_of
def flask() -> None:
    import flask

    app = flask.Flask("shop")
    app.add_url_rule("/users/<int:number>", view_func=shown)
    if EXPLICIT:
        from ddmiddleware.flask import TraceMiddleware

        TraceMiddleware(app)
    ask_wsgi(app, "/users/7")


@app_of
def django() -> None:
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    first = ["ddmiddleware.django.TraceMiddleware"] if EXPLICIT else []
    urls = type(
        "Urls", (), {"urlpatterns": [path("users/<int:number>", lambda request, number: HttpResponse("shown"))]}
    )
    settings.configure(MIDDLEWARE=first, ROOT_URLCONF=urls, ALLOWED_HOSTS=["*"], SECRET_KEY="none")
    django.setup()
    ask_wsgi(get_wsgi_application(), "/users/7")


@app_of
def starlette() -> None:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    app = Starlette(routes=[Route("/users/{number:int}", lambda request: PlainTextResponse("shown"))])
    if EXPLICIT:
        from ddmiddleware.starlette import TraceMiddleware

        app.add_middleware(TraceMiddleware)
    asked(app, "/users/7")


@app_of
def fastapi() -> None:
    import fastapi

    app = fastapi.FastAPI()

    @app.get("/users/{number}")
    async def user(number: int) -> int:
        return number

    if EXPLICIT:
        from ddmiddleware.fastapi import TraceMiddleware

        app.add_middleware(TraceMiddleware)
    asked(app, "/users/7")


class Item:
    """Falcon's resource."""

    def on_get(self, req: Any, resp: Any, number: int) -> None:
        """Answer."""
        resp.text = "shown"


@app_of
def falcon() -> None:
    import falcon

    app: Any = falcon.App()
    app.add_route("/users/{number:int}", Item())
    if EXPLICIT:
        from ddmiddleware.falcon import TraceMiddleware

        app = TraceMiddleware(app)
    ask_wsgi(app, "/users/7")


@app_of
def bottle() -> None:
    import bottle

    app = bottle.Bottle()
    app.route("/users/<number:int>", callback=shown)
    if EXPLICIT:
        from ddmiddleware.bottle import TracePlugin

        app.install(TracePlugin())
    ask_wsgi(app, "/users/7")


@app_of
def pyramid() -> None:
    from pyramid.config import Configurator
    from pyramid.response import Response

    config = Configurator()
    config.add_route("user", "/users/{number}")
    config.add_view(lambda request: Response("shown"), route_name="user")
    if EXPLICIT:
        from ddmiddleware.pyramid import trace_pyramid

        trace_pyramid(config)
    ask_wsgi(config.make_wsgi_app(), "/users/7")


@app_of
def cherrypy() -> None:
    import cherrypy

    class Root:
        """CherryPy's handlers."""

        users = cherrypy.expose(shown)

    app: Any = cherrypy.Application(Root())
    app.log.screen = False
    if EXPLICIT:
        from ddmiddleware.cherrypy import TraceMiddleware

        app = TraceMiddleware(app)
    ask_wsgi(app, "/users/7")


@app_of
def quart() -> None:
    import quart

    app = quart.Quart("shop")
    app.add_url_rule("/users/<int:number>", view_func=shown)
    if EXPLICIT:
        from ddmiddleware.quart import TraceMiddleware

        TraceMiddleware(app)
    asked(app, "/users/7")


@app_of
def litestar() -> None:
    from litestar import Litestar, get

    @get("/users/{number:int}", sync_to_thread=False)
    def user(number: int) -> str:
        return "shown"

    app: Any = Litestar([user])
    if EXPLICIT:
        from ddmiddleware.litestar import TraceMiddleware

        app = TraceMiddleware(app)
    asked(app, "/users/7")


@app_of
def sanic() -> None:
    import sanic

    from tests.middleware.sanic_app import begins

    app: Any = sanic.Sanic("shop")
    app.add_route(lambda request, number: sanic.text("shown"), "/users/<number:int>", name="user")
    if EXPLICIT:
        from ddmiddleware.sanic import trace_app

        trace_app(app)
    asked(begins(app), "/users/7")


@app_of
def aiohttp() -> None:
    from aiohttp import web

    from tests.middleware.aiohttp_app import served
    from tests.middleware.http_by_hand import ask_port

    async def user(request: web.Request) -> web.Response:
        return web.Response(text="shown")

    app = web.Application()
    app.router.add_get("/users/{number}", user)
    if EXPLICIT:
        from ddmiddleware.aiohttp import trace_app

        trace_app(app)
    served(app, lambda port: ask_port(port, "/users/7"))


@app_of
def tornado() -> None:
    from tornado import web

    from tests.middleware.http_by_hand import ask_port
    from tests.middleware.tornado_app import served

    class User(web.RequestHandler):
        """Tornado's handler."""

        def get(self, number: str) -> None:
            """Answer."""
            self.write("shown")

    app = web.Application([(r"/users/(\d+)", User)])
    if EXPLICIT:
        from ddmiddleware.tornado import trace_app

        trace_app(app)
    served(app, lambda port: ask_port(port, "/users/7"))


def main() -> None:
    """Ask all of them."""
    spans: list[Span] = []

    class Kept:
        """Takes what finishes."""

        put = staticmethod(spans.extend)

    tracer.divert(Kept())
    found = {}
    for name, ask in APPS.items():
        with contextlib.redirect_stdout(sys.stderr):
            ask()
        found[name] = [[span.name, span.resource] for span in spans]
        spans.clear()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
