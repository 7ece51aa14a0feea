"""Flask over the shared table of route shapes, with nested blueprints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
from flask.views import MethodView
from werkzeug.routing import BaseConverter

import ddmiddleware
from ddmiddleware import wsgi
from ddmiddleware.flask import TraceMiddleware
from tests.integrations.recorder import Recorder
from tests.middleware.route_runs import (
    ask_shape,
    check,
    found_by,
    random_wsgi,
    resources_of_random_requests,
    shapes_without,
)
from tests.middleware.route_shapes import ERROR, PLACES, SHAPES, YEAR, Shape, below, check_resources, expected, written

OWN = shapes_without({"chat": "WSGI has no websockets", "shop_chat": "WSGI has no websockets"})
# Flask adds OPTIONS to every route, and MethodView HEAD and OPTIONS.
STATUSES: dict[str, int] = {}


class Year(BaseConverter):
    regex = YEAR


class Thing(MethodView):
    def get(self, **_values: Any) -> str:
        return "shown"

    def post(self, **_values: Any) -> str:
        return "shown"


def text(**_values: Any) -> str:
    return "shown"


async def later(**_values: Any) -> str:
    return "shown"


def create(**_values: Any) -> tuple[str, int]:
    return "shown", 201


def empty(**_values: Any) -> tuple[str, int]:
    return "", 204


def unavailable(**_values: Any) -> tuple[str, int]:
    return "later", 503


def stream(**_values: Any) -> flask.Response:
    def parts() -> Iterator[str]:
        yield "one"
        yield "two" if flask.request.view_args else ""

    return flask.Response(flask.stream_with_context(parts()))


def file(**_values: Any) -> flask.Response:
    return flask.send_file(__file__)


def fail(**_values: Any) -> str:
    raise ERROR


def handled(**_values: Any) -> str:
    raise KeyError("cup")


def abort(**_values: Any) -> str:
    flask.abort(403)


def missing(**_values: Any) -> str:
    flask.abort(404)


def redirect(**_values: Any) -> Any:
    return flask.redirect("/about")


VIEWS = {
    "text": text,
    "class": Thing.as_view("thing"),
    "async": later,
    "create": create,
    "empty": empty,
    "unavailable": unavailable,
    "stream": stream,
    "file": file,
    "raise": fail,
    "handled": handled,
    "abort": abort,
    "missing": missing,
    "redirect": redirect,
}


def form(name: str, kind: str) -> str:
    return f"<{name}>" if kind == "str" else f"<{kind}:{name}>"


def fill(scaffold: Any, mounts: tuple[str, ...] = ()) -> None:
    places, nested = below(mounts)
    for place in places:
        if place.does != "chat":
            rule = written(place.route, form)
            scaffold.add_url_rule(rule, place.name, VIEWS[place.does], methods=place.methods)
    for mount in nested:
        name = f"at{len(mounts)}{''.join(filter(str.isalnum, mount))}"
        blueprint = flask.Blueprint(name, name, url_prefix=written(mount, form))
        fill(blueprint, (*mounts, mount))
        scaffold.register_blueprint(blueprint)


def shop() -> flask.Flask:
    app = flask.Flask("shop", static_folder=None)
    app.logger.disabled = True
    app.url_map.converters["year"] = Year
    app.register_error_handler(KeyError, lambda _error: ("handled", 409))
    fill(app)
    return app


def endpoint(app: flask.Flask, shape: Shape) -> str:
    (name,) = {rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint.split(".")[-1] == shape.place}
    return name


def automatic(app: flask.Flask) -> Any:
    ddmiddleware.patch(flask=True)
    return app


def explicit(app: flask.Flask) -> Any:
    TraceMiddleware(app)
    return app


def both(app: flask.Flask) -> Any:
    ddmiddleware.patch_all(logging=False)
    return wsgi.TraceMiddleware(explicit(app))


@pytest.mark.parametrize("trace", [automatic, explicit, both])
def test_routes(recorder: Recorder, trace: Callable[[flask.Flask], Any]) -> None:
    inner = shop()

    def expect(shape: Shape, status: int) -> dict[str, Any]:
        tags = {"flask.endpoint": endpoint(inner, shape)} if shape.place and status != 405 else {}
        return expected(shape, "flask", form, status, **tags)

    app = trace(inner)
    check(found_by(recorder, OWN, lambda shape: ask_shape(app, shape)), OWN, STATUSES, expect)


@pytest.mark.parametrize("shape", [shape for shape in OWN if shape.values is not None], ids=lambda shape: shape.name)
def test_the_table_says_what_flask_says(shape: Shape) -> None:
    app = shop()
    with app.test_request_context():
        assert flask.url_for(endpoint(app, shape), **shape.values or {}) == shape.path


def test_random_requests(recorder: Recorder) -> None:
    found = resources_of_random_requests(recorder, random_wsgi(automatic(shop())))
    check_resources(found)
    assert {f"GET {rule}" for rule in ("/", "/users/<name>", "/shop/users/<int:number>")} <= found


def test_every_place_is_asked_for() -> None:
    assert {shape.place for shape in SHAPES} >= set(PLACES)
