"""Connexion: one span per request, named after the path of the specification, however the application is traced."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount

import ddmiddleware
from ddmiddleware import _request, asgi
from ddmiddleware.connexion import TraceMiddleware
from ddmiddleware.tracing import default_settings, default_tracer, guarded
from tests.integrations.recorder import Recorder, failed
from tests.middleware.connexion_shops import (
    ERROR,
    OPERATIONS,
    Resolver,
    SwaggerUIOptions,
    api,
    connexion,
    executors,
    operation,
    seen,
    shown,
    view,
    with_flask,
    with_starlette,
)
from tests.middleware.requests_by_hand import EMPTY, Answer, Client, MissingError, ask_asgi, asked, scope, span

APPS = [with_starlette, with_flask]


@pytest.fixture
def connexions(recorder: Recorder) -> Recorder:
    """Finished spans, with Connexion patched, and what it is made of."""
    ddmiddleware.patch(connexion=True, flask=True, starlette=True)
    return recorder


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Connexion logs what goes wrong, and Flask runs on threads that nobody ends."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)
    while executors:
        executors.pop().shutdown()


SHAPES = [
    ("/", "GET", 200, "/"),
    ("/users/ada", "GET", 200, "/users/{name}"),
    ("/users/ada", "POST", 201, "/users/{name}"),
    ("/users/ada/orders/7", "GET", 200, "/users/{name}/orders/{number:int}"),
    ("/lines/ada", "GET", 200, "/lines/{name}"),
    ("/forbidden", "GET", 403, "/forbidden"),
    ("/unavailable", "GET", 503, "/unavailable"),
    ("/missing/ada", "GET", 404, "/missing/{name}"),
    ("/moved", "GET", 302, "/moved"),
    ("/v1/", "GET", 200, "/v1/"),
    ("/v1/users/ada", "GET", 200, "/v1/users/{name}"),
    ("/v1/users/ada/orders/7", "GET", 200, "/v1/users/{name}/orders/{number:int}"),
    ("/v1/inner/users/ada", "GET", 200, "/v1/inner/users/{name}"),
    ("/users/ada", "DELETE", 405, "/users/{name}"),
    ("/v1/users/ada", "SHOUT", 405, "/v1/users/{name}"),
    ("/openapi.json", "GET", 200, "/openapi.json"),
    ("/v1/openapi.json", "GET", 200, "/v1/openapi.json"),
    ("/users/ada/orders/tea", "GET", 404, None),
    ("/nowhere/12345", "GET", 404, None),
    ("/nowhere/12345", "POST", 404, None),
    ("/v1/nowhere/12345", "GET", 404, None),
    ("/v1/inner/nowhere", "GET", 404, None),
]


@pytest.mark.parametrize("build", APPS)
@pytest.mark.parametrize(("path", "method", "status", "route"), SHAPES)
def test_routes(
    connexions: Recorder, build: Callable[[], Any], path: str, method: str, status: int, route: str | None
) -> None:
    seen.clear()
    assert asked(build(), path, method).status == status
    method = "_OTHER" if method == "SHOUT" else method
    assert connexions.take() == [span("connexion", route, path, status, method=method)]
    assert set(seen) <= {f"{method} {route}"}


@pytest.mark.parametrize("build", APPS)
def test_root_path(connexions: Recorder, build: Callable[[], Any]) -> None:
    assert asked(build(), "/site/v1/users/ada", root_path="/site").status == 200
    assert connexions.take() == [span("connexion", "/site/v1/users/{name}", "/site/v1/users/ada")]


@pytest.mark.parametrize("build", APPS)
@pytest.mark.parametrize("path", ["/broken/ada", "/v1/broken/ada"])
def test_an_exception(connexions: Recorder, build: Callable[[], Any], path: str) -> None:
    assert asked(build(), path).status == 500
    assert connexions.take() == [
        span("connexion", path.replace("ada", "{name}"), path, 500, tags=failed(ERROR)),
    ]


def test_an_exception_with_a_handler(connexions: Recorder) -> None:
    app = with_starlette()

    async def conflict(_request: Any, _error: Exception) -> Any:
        return connexion.lifecycle.ConnexionResponse(409, body="conflict")

    app.add_error_handler(MissingError, conflict)
    assert asked(app, "/broken/ada").status == 409
    assert connexions.take() == [span("connexion", "/broken/{name}", "/broken/ada", 409)]


def test_a_body_that_the_specification_refuses(connexions: Recorder) -> None:
    app = connexion.AsyncApp("shop", swagger_ui_options=SwaggerUIOptions(swagger_ui=False))
    body = {"content": {"application/json": {"schema": {"type": "object", "required": ["name"]}}}, "required": True}
    described = {"post": {**operation("create"), "requestBody": body}}
    specification = {"openapi": "3.0.0", "info": {"title": "shop", "version": "1"}, "paths": {"/users": described}}
    app.add_api(specification, resolver=Resolver(OPERATIONS.__getitem__))
    headers = [(b"host", b"testserver"), (b"content-type", b"application/json"), (b"content-length", b"2")]
    client = Client({"type": "http.request", "body": b"{}", "more_body": False})
    asyncio.run(app(scope("/users", "POST", headers=headers), client.receive, client.send))
    assert client.answer.status == 400
    assert connexions.take() == [span("connexion", "/users", "/users", 400, method="POST")]


def test_mounted_below_starlette(connexions: Recorder) -> None:
    app = Starlette(routes=[Mount("/tenants/{tenant}", app=with_starlette())])
    assert asked(app, "/tenants/acme/v1/users/ada").status == 200
    assert connexions.take() == [span("connexion", "/tenants/{tenant}/v1/users/{name}", "/tenants/acme/v1/users/ada")]


def test_a_route_beside_the_specification(connexions: Recorder) -> None:
    app = with_starlette()

    async def extra(_request: Request) -> PlainTextResponse:
        return PlainTextResponse(shown())

    app.add_url_rule("/extra/{name}", "extra", extra)
    assert asked(app, "/extra/ada").body == b"shown"
    assert connexions.take() == [span("connexion", "/extra/{name}", "/extra/ada")]


def within(app: Any) -> Any:
    app.add_middleware(TraceMiddleware, position=connexion.middleware.MiddlewarePosition.BEFORE_EXCEPTION)
    return app


def around(app: Any) -> Any:
    return TraceMiddleware(app)


def all_of_them(app: Any) -> Any:
    ddmiddleware.patch_all(logging=False)
    return asgi.TraceMiddleware(around(within(app)))


@pytest.mark.parametrize("build", APPS)
@pytest.mark.parametrize("trace", [within, around, all_of_them])
def test_one_span_however_it_is_traced(
    recorder: Recorder, trace: Callable[[Any], Any], build: Callable[[], Any]
) -> None:
    assert asked(trace(build()), "/v1/users/ada").status == 200
    assert recorder.take() == [span("connexion", "/v1/users/{name}", "/v1/users/ada")]


def test_the_middleware_around_an_application_of_another_kind(connexions: Recorder) -> None:
    async def plain(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"plain"})

    options = SwaggerUIOptions(swagger_ui=False)
    app = api(connexion.ConnexionMiddleware(plain, swagger_ui_options=options), lines=view, moved=view)
    assert asked(app, "/v1/users/ada") == Answer(200, {}, b"plain")
    assert connexions.take() == [span("connexion", "/v1/users/{name}", "/v1/users/ada")]


def test_the_trace_goes_on(connexions: Recorder) -> None:
    traces: list[tuple[int, int | None]] = []

    def lines(**_values: Any) -> str:
        root = default_tracer.current_root_span()
        assert root
        traces.append((root.trace_id, root.parent_id))
        return "shown"

    app = connexion.AsyncApp("shop", swagger_ui_options=SwaggerUIOptions(swagger_ui=False))
    headers = [(b"host", b"testserver"), (b"traceparent", f"00-{7:032x}-{9:016x}-01".encode())]
    assert asked(api(app, lines=lines, moved=view), "/lines/ada", headers=headers).status == 200
    assert traces == [(7, 9)]


def test_requests_at_the_same_time(connexions: Recorder) -> None:
    app = with_starlette()

    async def main() -> None:
        asked_for = [f"/v1/users/{number}" for number in range(20)] + [f"/nowhere/{number}" for number in range(20)]
        await asyncio.gather(*(ask_asgi(app, path) for path in asked_for))

    asyncio.run(main())
    resources = [found["resource"] for found in connexions.take()]
    assert sorted(resources) == ["GET /v1/users/{name}"] * 20 + ["GET 404"] * 20


def test_a_client_that_goes(connexions: Recorder) -> None:
    async def main() -> None:
        started = asyncio.Event()

        async def lines(**_values: Any) -> StreamingResponse:
            async def parts() -> Any:
                yield "one"
                started.set()
                await asyncio.Event().wait()

            return StreamingResponse(parts())

        app = connexion.AsyncApp("shop", swagger_ui_options=SwaggerUIOptions(swagger_ui=False))
        api(app, lines=lines, moved=view)
        client = Client(EMPTY)
        served = asyncio.ensure_future(app(scope("/lines/ada"), client.receive, client.send))
        await started.wait()
        client.leave()
        with suppress(OSError):
            await served

    asyncio.run(main())
    tags = {"http.disconnected": "true"}
    assert connexions.take() == [span("connexion", "/lines/{name}", "/lines/ada", tags=tags)]


def test_switched_off(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_TRACE_ENABLED", "false")
    assert default_settings["DD_TRACE_ENABLED"] is False
    before = dict(vars(connexion.ConnexionMiddleware))
    ddmiddleware.patch_all()
    TraceMiddleware(with_starlette())
    assert dict(vars(connexion.ConnexionMiddleware)) == before


def _functions(owner: Any) -> list[tuple[Any, str]]:
    return [(owner, name) for name, value in vars(owner).items() if inspect.isfunction(value)]


@pytest.mark.parametrize("build", APPS)
@pytest.mark.parametrize(
    "fault", [*_functions(_request.Request), (asgi, "_begin"), (asgi, "_responding")], ids=lambda fault: fault[1]
)
def test_whatever_fails_in_our_own_code(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, build: Callable[[], Any], fault: tuple[Any, str]
) -> None:
    def broken(*_args: Any, **_kwargs: Any) -> Any:
        raise ValueError("a mistake of ours")

    paths = ("/lines/ada", "/v1/broken/ada", "/v1/nowhere", "/openapi.json")
    monkeypatch.setattr("tests.middleware.connexion_shops.shown", lambda: "shown")
    app = build()
    expected = [asked(app, path) for path in paths]
    ddmiddleware.patch(connexion=True)
    monkeypatch.setattr(guarded, "raises", False)
    monkeypatch.setattr(*fault, broken)
    assert [asked(app, path) for path in paths] == expected
