"""The steps of a Flask request: off unless asked for; below the request's span, in their order."""

from __future__ import annotations

from typing import Any

import flask
import pytest
from flask.views import MethodView

import ddmiddleware
from ddmiddleware.flask import TraceMiddleware
from ddmiddleware.tracing import default_tracer
from tests.integrations.recorder import Recorder, failed
from tests.middleware.requests_by_hand import MissingError, ask_wsgi, span

ERROR = MissingError("no such cup")
SETTINGS = ("DD_FLASK_INSTRUMENT_STEPS", "DD_FLASK_INSTRUMENT_TEMPLATES", "DD_FLASK_TRACE_SIGNALS")
HERE = "tests.middleware.test_flask_steps."


class Thing(MethodView):
    def get(self, number: int) -> str:
        return flask.render_template_string("{{ number }}", number=number)


def before() -> None:
    default_tracer.trace("looked").finish()


def after(response: flask.Response) -> flask.Response:
    return response


def teardown(_error: BaseException | None) -> None:
    pass


def user(number: int) -> str:
    return f"user {number}"


async def later(number: int) -> str:
    default_tracer.trace("awaited").finish()
    return f"later {number}"


def broken(number: int) -> str:
    raise ERROR


def forbidden(number: int) -> str:
    flask.abort(403)


def handle(_error: Exception) -> tuple[str, int]:
    return "gone", 410


def shop() -> flask.Flask:
    app = flask.Flask("shop", static_folder=None)
    blueprint = flask.Blueprint("inner", "inner", url_prefix="/inner")
    blueprint.before_request(before)
    for name, view in {
        "user": user,
        "later": later,
        "broken": broken,
        "forbidden": forbidden,
        "thing": Thing.as_view("thing"),
    }.items():
        blueprint.add_url_rule(f"/{name}/<int:number>", name, view)
    app.register_blueprint(blueprint)
    app.after_request(after)
    app.teardown_request(teardown)
    app.register_error_handler(MissingError, handle)
    return app


@pytest.fixture
def stepped(recorder: Recorder, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Recorder:
    """Finished spans, with one of the settings on."""
    monkeypatch.setenv(getattr(request, "param", SETTINGS[0]), "true")
    ddmiddleware.patch(flask=True)
    return recorder


def step(name: str, parent: int = 1, **changes: Any) -> dict[str, Any]:
    resource = changes.pop("resource", HERE + name)
    return {
        "trace": 1,
        "parent": parent,
        "service": "shop",
        "name": HERE + name,
        "resource": resource,
        "error": 0,
        **changes,
        "tags": {"component": "flask", **changes.get("tags", {})},
    }


def without_type(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in each.items() if key != "type" or value} for each in found]


def test_every_function_of_the_application(stepped: Recorder) -> None:
    assert ask_wsgi(shop(), "/inner/user/7").body == b"user 7"
    rule = "/inner/user/<int:number>"
    request, first, looked, view, last, end = without_type(stepped.take())
    assert request == span("flask", rule, "/inner/user/7", tags={"flask.endpoint": "inner.user"})
    assert first == step("before")
    assert (looked["name"], looked["parent"]) == ("looked", 2)
    assert view == step("user", resource=rule)
    assert [last, end] == [step("after"), step("teardown")]


def test_async_views(stepped: Recorder) -> None:
    assert ask_wsgi(shop(), "/inner/later/7").body == b"later 7"
    found = stepped.take()
    number = [each["name"] for each in found].index(f"{HERE}later") + 1
    (awaited,) = [each for each in found if each["name"] == "awaited"]
    assert (awaited["trace"], awaited["parent"]) == (1, number)


def test_the_methods_of_a_class(stepped: Recorder) -> None:
    ask_wsgi(shop(), "/inner/thing/7")
    assert f"{HERE}Thing.get" in stepped.names()


def test_errors(stepped: Recorder) -> None:
    assert ask_wsgi(shop(), "/inner/broken/7").status == 410
    assert ask_wsgi(shop(), "/inner/forbidden/7").status == 403
    found = without_type(stepped.take())
    assert step("broken", resource="/inner/broken/<int:number>", error=1, tags=failed(ERROR)) in found
    assert step("handle") in found
    assert [each["name"] for each in found if each["error"]] == [f"{HERE}broken"]


@pytest.mark.parametrize("stepped", [SETTINGS[1]], indirect=True)
def test_templates(stepped: Recorder) -> None:
    assert ask_wsgi(shop(), "/inner/thing/7").body == b"7"
    _, _, rendered = stepped.take()
    assert (rendered["name"], rendered["resource"], rendered["type"]) == (
        "flask.render_template",
        "<memory>",
        "template",
    )
    assert rendered["tags"] == {"component": "flask", "flask.template_name": "<memory>"}


@pytest.mark.parametrize("stepped", [SETTINGS[2]], indirect=True)
def test_signals(stepped: Recorder) -> None:
    heard: list[Any] = []

    def receive(_sender: Any, **_values: Any) -> None:
        heard.append(1)

    with flask.request_started.connected_to(receive):
        ask_wsgi(shop(), "/inner/user/7")
    assert heard == [1]
    found = [each for each in stepped.take() if each["name"] == "flask.signal"]
    assert [(each["resource"], each["parent"]) for each in found] == [("request-started", 1)]


def test_off_by_default(patched: Recorder) -> None:
    before = dict(vars(flask.Flask))
    ask_wsgi(shop(), "/inner/thing/7")
    assert [each["name"] for each in patched.take()] == ["flask.request", "looked"]
    assert not hasattr(before["ensure_sync"], "__wrapped__")


def test_explicit_middleware(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTINGS[0], "true")
    app = shop()
    TraceMiddleware(app)
    ask_wsgi(app, "/inner/user/7")
    assert f"{HERE}user" in recorder.names()
