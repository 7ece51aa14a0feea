"""Functions that a user gives to one middleware."""

from __future__ import annotations

import re
from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import ddmiddleware
from ddmiddleware import asgi, starlette, wsgi
from ddmiddleware.contrib.asgi import TraceMiddleware as AsgiOfDdtrace
from ddmiddleware.contrib.wsgi import DDWSGIMiddleware
from ddmiddleware.flask import TraceMiddleware as OfFlask
from ddmiddleware.tracing import Span, guarded
from tests.integrations.recorder import Recorder
from tests.middleware.interfaces import Asgi, Interface, Wsgi
from tests.middleware.requests_by_hand import ask_wsgi, asked, span


def modify(span: Span, source: Any) -> None:
    span.set_tag("path", source.get("PATH_INFO") or source["path"])


def note(span: Span, _source: Any) -> None:
    span.set_tag("noted", span.resource)


def respond(span: Span, status: int, headers: list[tuple[str, str]]) -> None:
    span.set_tag("answered", f"{status} {headers}")
    headers.clear()  # a copy


HOOKS: dict[str, Any] = {"span_modifier": modify, "request_hook": note, "response_hook": respond}
TAGS = {"path": "/x", "noted": "GET", "answered": "201 [('X-Answer', 'yes')]"}


def test_hooks(recorder: Recorder, interface: Interface) -> None:
    answer = interface.ask("/x", status=201, answered=[("X-Answer", "yes")], header_tags={"X-Answer": "a"}, **HOOKS)
    assert answer == (201, {"X-Answer": "yes"}, b"body")
    assert recorder.take() == [span(interface.name, None, "/x", 201, tags={**TAGS, "a": "yes"})]


@pytest.mark.parametrize("name", HOOKS)
def test_what_is_no_function(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name}='modify' is no function"):
        wsgi.TraceMiddleware(flask.Flask("shop"), **{name: "modify"})  # type: ignore[arg-type]  # that is the point


def test_header_tags_of_one_middleware(recorder: Recorder, interface: Interface) -> None:
    interface.ask(headers=[("X-Team", "blue")], answered=[("X-Answer", "yes")], header_tags=["X-Team", "X-Answer"])
    tags = {"http.request.headers.x-team": "blue", "http.response.headers.x-answer": "yes"}
    assert recorder.take() == [span(interface.name, None, "/", tags=tags)]


def test_a_hook_that_fails_costs_its_own_part(
    recorder: Recorder, interface: Interface, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: Any) -> None:
        raise LookupError("the user's mistake")

    monkeypatch.setattr(guarded, "raises", False)
    before = guarded.errors
    answer = interface.ask("/x", span_modifier=broken, request_hook=note, response_hook=broken)
    assert answer == (200, {}, b"body")
    assert recorder.take() == [span(interface.name, None, "/x", tags={"noted": "GET"})]
    assert guarded.errors == before + 2


def name(span: Span, _source: Any) -> None:
    span.resource = "mine"


@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_a_resource_that_a_hook_sets_stays(recorder: Recorder, interface: Interface, status: int) -> None:
    interface.ask(status=status, request_hook=name)
    assert [found["resource"] for found in recorder.take()] == ["mine"]


@pytest.mark.parametrize("path", ["/x", "/nowhere"])
def test_a_resource_that_is_set_before_the_route_is_known_stays(recorder: Recorder, path: str) -> None:
    def name_here() -> None:
        active = ddmiddleware.tracer.current_root_span()
        assert active is not None
        active.resource = "mine"

    app = flask.Flask("shop")
    app.add_url_rule("/x", view_func=lambda: "x")
    app.before_request(name_here)
    OfFlask(app)
    ask_wsgi(app, path)

    async def endpoint(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("x")

    cafe = Starlette(routes=[Route("/x", endpoint)])
    cafe.add_middleware(starlette.TraceMiddleware, request_hook=name)
    asked(cafe, path)
    found = [(each["resource"], each["tags"].get("http.route")) for each in recorder.take()]
    assert found == [("mine", "/x" if path == "/x" else None)] * 2


def test_a_bad_pattern_is_said_where_it_stands(interface: Interface) -> None:
    with pytest.raises(re.error):
        interface.ask(excluded_urls="(")


@pytest.mark.parametrize("patched", [False, True])
def test_hooks_of_frameworks(recorder: Recorder, patched: bool) -> None:
    """Below the patch of the framework too; and once, however often a request passes."""
    if patched:
        ddmiddleware.patch(flask=True, starlette=True)
    app = flask.Flask("shop")
    app.add_url_rule("/x", view_func=lambda: ("", 201, {"X-Answer": "yes"}))
    OfFlask(app, **HOOKS)
    ask_wsgi(app, "/x")
    (found,) = recorder.take()
    assert (found["tags"]["path"], found["tags"]["noted"]) == ("/x", "GET")
    assert found["tags"]["answered"].startswith("201 [(")

    async def endpoint(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("", 201, {"X-Answer": "yes"})

    cafe = Starlette(routes=[Route("/x", endpoint)])
    cafe.add_middleware(starlette.TraceMiddleware, **HOOKS)
    asked(cafe, "/x")
    (found,) = recorder.take()
    assert (found["tags"]["path"], found["tags"]["noted"]) == ("/x", "GET")
    assert found["tags"]["answered"].startswith("201 [('x-answer', 'yes')")


def test_two_middlewares_around_each_other(recorder: Recorder) -> None:
    calls: list[str] = []
    inner = wsgi.TraceMiddleware(Wsgi().app(200, [], lambda: None), request_hook=lambda *_: calls.append("inner"))
    ask_wsgi(wsgi.TraceMiddleware(inner, request_hook=lambda *_: calls.append("outer")))
    within = asgi.TraceMiddleware(Asgi().app(200, [], lambda: None), request_hook=lambda *_: calls.append("within"))
    asked(asgi.TraceMiddleware(within, request_hook=lambda *_: calls.append("around")))
    assert calls == ["outer", "inner", "around", "within"]
    assert recorder.names() == ["wsgi.request", "asgi.request"]


def test_the_names_of_ddtrace(recorder: Recorder) -> None:
    application = Wsgi().app(200, [], lambda: None)
    ask_wsgi(DDWSGIMiddleware(application, tracer=None, span_modifier=modify, app_is_iterator=True), "/x")
    ask_wsgi(DDWSGIMiddleware(application, None, modify), "/x")
    asked(AsgiOfDdtrace(Asgi().app(200, [], lambda: None), span_modifier=modify, response_hook=respond), "/x")
    first, second, third = recorder.take()
    assert first["tags"]["path"] == second["tags"]["path"] == third["tags"]["path"] == "/x"
    assert third["tags"]["answered"] == "200 []"
