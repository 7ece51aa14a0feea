"""Whatever fails in our own code, applications of the smaller frameworks answer as they would without us."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import bottle
import cherrypy
import falcon
import falcon.asgi
import pytest
from pyramid.config import Configurator
from pyramid.response import Response

import ddmiddleware
from ddmiddleware._request import Request
from ddmiddleware.tracing import active, guarded
from tests.integrations.recorder import Recorder
from tests.middleware.requests_by_hand import MissingError, ask_wsgi, asked

pytestmark = pytest.mark.once

PATHS = ("/items/cup", "/items/broken", "/nowhere")


def act(what: str) -> str:
    """Answer or fail."""
    if what == "broken":
        raise MissingError("no such cup")
    return what


def bottle_app() -> Any:
    app = bottle.Bottle()
    app.route("/items/<what>", callback=act)
    return app


class CherryRoot:
    """CherryPy's handlers."""

    @cherrypy.expose
    def items(self, what: str) -> str:
        return act(what)


def cherrypy_app() -> Any:
    return cherrypy.Application(CherryRoot(), config={"/": {"request.show_tracebacks": False}})


class Item:
    """Falcon's resource."""

    def on_get(self, req: Any, resp: Any, what: str) -> None:
        resp.text = act(what)


class AsyncItem:
    """And that of its ASGI applications."""

    async def on_get(self, req: Any, resp: Any, what: str) -> None:
        resp.text = act(what)


def falcon_app() -> Any:
    app: Any = falcon.App()
    app.add_route("/items/{what}", Item())
    return app


def falcon_asgi_app() -> Any:
    app: Any = falcon.asgi.App()
    app.add_route("/items/{what}", AsyncItem())
    return app


def pyramid_app() -> Any:
    config = Configurator()
    config.add_route("item", "/items/{what}")
    config.add_view(lambda request: Response(act(request.matchdict["what"])), route_name="item")
    config.add_exception_view(lambda error, request: Response("sorry", 500), MissingError)
    return config.make_wsgi_app()


APPS: dict[str, Callable[[], Any]] = {
    "bottle": bottle_app,
    "cherrypy": cherrypy_app,
    "falcon": falcon_app,
    "falcon.asgi": falcon_asgi_app,
    "pyramid": pyramid_app,
}
# These build what stands in an application's place, or were taken over when they were defined.
BUT = ("call", "call_async", "call_traced", "error", "handler", "route", "trace_pyramid", "includeme", "_serving")


def _faults() -> Iterator[tuple[str, Any, str]]:
    for name in APPS:
        module = importlib.import_module(f"ddmiddleware.{name.partition('.')[0]}")
        for function, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == module.__name__ and function not in BUT:
                yield name, module, function
        for function in ("matched", "called", "mounted", "handled", "adopt"):
            yield name, Request, function


def _broken(*_args: Any, **_kwargs: Any) -> Any:
    raise ValueError("a mistake of ours")


@pytest.mark.parametrize("fault", list(_faults()), ids=lambda fault: f"{fault[0]}-{fault[1].__name__}.{fault[2]}")
def test_the_answer_is_the_same(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: tuple[str, Any, str]
) -> None:
    name, owner, function = fault
    monkeypatch.setattr(cherrypy.log, "screen", False)
    app = APPS[name]()
    ask = asked if name == "falcon.asgi" else ask_wsgi
    expected = [ask(app, path).body for path in PATHS]
    ddmiddleware.patch(**{name.partition(".")[0]: True})
    monkeypatch.setattr(guarded, "raises", False)
    before = guarded.errors
    monkeypatch.setattr(owner, function, _broken)
    assert [ask(app, path).body for path in PATHS] == expected
    assert active.get() is None
    assert guarded.errors > before or function in ("adopt", "mounted", "called", "matched")
    assert len(recorder.take()) == len(PATHS)
