"""Flask over the shared table of route shapes, with nested blueprints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flask
import pytest
from flask.views import MethodView
from werkzeug.routing import BaseConverter

from tests.integrations.recorder import Recorder
from tests.middleware.requests_by_hand import ask_wsgi
from tests.middleware.route_shapes import (
    ERROR,
    PLACES,
    SHAPES,
    YEAR,
    Shape,
    below,
    check_resources,
    expected,
    random_requests,
    written,
)

# Flask adds OPTIONS to every route, and MethodView HEAD and OPTIONS.
OWN = [shape for shape in SHAPES if not shape.name.startswith("websocket")]


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


@pytest.mark.parametrize("shape", OWN, ids=lambda shape: shape.name)
def test_routes(patched: Recorder, shape: Shape) -> None:
    app = shop()
    path = shape.path.encode().decode("latin-1")  # PEP 3333
    assert ask_wsgi(app, path, shape.method, SCRIPT_NAME=shape.script).status == shape.status
    tags = {}
    if shape.place and shape.status != 405:
        tags["flask.endpoint"] = endpoint(app, shape)
    assert patched.take() == [expected(shape, "flask", form, **tags)]


@pytest.mark.parametrize("shape", [shape for shape in OWN if shape.values is not None], ids=lambda shape: shape.name)
def test_the_table_says_what_flask_says(shape: Shape) -> None:
    app = shop()
    with app.test_request_context():
        assert flask.url_for(endpoint(app, shape), **shape.values or {}) == shape.path


def test_random_requests(patched: Recorder) -> None:
    app = shop()
    found: set[str] = set()
    for method, path in random_requests():
        ask_wsgi(app, path.encode().decode("latin-1"), method)
        found.update(span["resource"] for span in patched.take())
    check_resources(found)
    assert {f"GET {rule}" for rule in ("/", "/users/<name>", "/shop/users/<int:number>")} <= found


def test_every_place_is_asked_for() -> None:
    assert {shape.place for shape in SHAPES} >= set(PLACES)
