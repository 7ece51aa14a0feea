"""FastAPI is traced once: by explicit middleware, by patches, or by all of them; and by its own switch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fastapi
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

import ddmiddleware
from ddmiddleware import asgi, starlette
from ddmiddleware.fastapi import TraceMiddleware
from ddmiddleware.integrations import options_of
from ddmiddleware.tracing import default_settings, default_tracer
from tests.integrations.recorder import Recorder
from tests.middleware.requests_by_hand import asked, span
from tests.middleware.starlette_views import text


def shop() -> fastapi.FastAPI:
    app = fastapi.FastAPI()
    router = fastapi.APIRouter(prefix="/users")
    router.add_api_route("/{number}", text)
    app.include_router(router, prefix="/v1")
    return app


def explicit(app: fastapi.FastAPI) -> Any:
    app.add_middleware(TraceMiddleware)
    return app


def twice(app: fastapi.FastAPI) -> Any:
    return explicit(explicit(app))


def around(app: fastapi.FastAPI) -> Any:
    return TraceMiddleware(app)


def generic_around(app: fastapi.FastAPI) -> Any:
    ddmiddleware.patch(fastapi=True)
    return asgi.TraceMiddleware(app)


def alone(app: fastapi.FastAPI) -> Any:
    ddmiddleware.patch(fastapi=True)
    return app


def with_starlettes(app: fastapi.FastAPI) -> Any:
    ddmiddleware.patch(fastapi=True)
    app.add_middleware(starlette.TraceMiddleware)
    return app


def all_of_them(app: fastapi.FastAPI) -> Any:
    ddmiddleware.patch_all(logging=False)
    ddmiddleware.patch_all(logging=False)
    return asgi.TraceMiddleware(TraceMiddleware(explicit(app)))


WAYS = [explicit, twice, around, generic_around, alone, with_starlettes, all_of_them]


@pytest.mark.parametrize("trace", WAYS)
def test_one_span_however_it_is_traced(recorder: Recorder, trace: Callable[[fastapi.FastAPI], Any]) -> None:
    app = trace(shop())
    assert asked(app, "/v1/users/7").status == 200
    assert recorder.take() == [span("fastapi", "/v1/users/{number}", "/v1/users/7")]


def test_starlettes_row_leaves_it_alone(recorder: Recorder) -> None:
    ddmiddleware.patch(starlette=True)
    assert asked(fastapi.FastAPI(), "/docs").status == 200
    assert recorder.take() == []


def test_what_both_need_goes_with_the_last(recorder: Recorder) -> None:
    ddmiddleware.patch(starlette=True, fastapi=True)
    ddmiddleware.unpatch("fastapi")
    asked(Starlette(routes=[Route("/users/{name}", text)]), "/users/ada")
    assert recorder.take() == [span("starlette", "/users/{name}", "/users/ada")]
    ddmiddleware.unpatch("starlette")
    assert not hasattr(Route.handle, "__wrapped__")


def test_what_explicit_middleware_needs_stays(recorder: Recorder) -> None:
    app = Starlette(routes=[Route("/users/{name}", text)])
    app.add_middleware(starlette.TraceMiddleware)
    asked(app, "/users/ada")
    ddmiddleware.patch(fastapi=True)
    ddmiddleware.unpatch("fastapi")
    asked(app, "/users/ada")
    assert [found["resource"] for found in recorder.take()] == ["GET /users/{name}"] * 2


def test_its_service(patched: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options_of("fastapi"), "service", "front")
    asked(asgi.TraceMiddleware(shop()), "/v1/users/7")
    assert [found["service"] for found in patched.take()] == ["front"]


def test_switched_off(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_TRACE_ENABLED", "false")
    assert default_settings["DD_TRACE_ENABLED"] is False
    monkeypatch.setattr(default_tracer, "enabled", False)
    before = dict(vars(fastapi.FastAPI)), dict(vars(Route))
    app = TraceMiddleware(fastapi.FastAPI())
    ddmiddleware.patch_all()
    assert (dict(vars(fastapi.FastAPI)), dict(vars(Route))) == before
    assert asked(app, "/docs").status == 200
    assert recorder.take() == []
