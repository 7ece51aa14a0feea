"""FastAPI: what it has beside routes, and that each request is one span however the application is traced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import fastapi
import pytest
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import Response
from starlette.routing import Host, Mount, Route, Router

from ddmiddleware.tracing import default_tracer
from tests.integrations.recorder import Recorder, failed
from tests.middleware.requests_by_hand import EMPTY, Client, MissingError, asked, run, scope, span
from tests.middleware.starlette_views import text

ERROR = MissingError("no such cup")
seen: list[str] = []


def note() -> None:
    root = default_tracer.current_root_span()
    assert root
    seen.append(root.resource)


async def depend() -> AsyncIterator[str]:
    with default_tracer.trace("dependency"):
        note()
        yield "cup"


def depend_on_a_thread() -> Iterator[str]:
    note()
    yield "thread"


Wanted = Annotated[str, fastapi.Depends(depend)]
Sync = Annotated[str, fastapi.Depends(depend_on_a_thread)]


def shop() -> fastapi.FastAPI:
    app = fastapi.FastAPI()
    router = fastapi.APIRouter(prefix="/users")

    @router.get("/{number}")
    async def user(number: int, wanted: Wanted) -> dict[str, Any]:
        note()
        return {"number": number, "wanted": wanted}

    @router.get("/{number}/sync")
    def sync_user(number: int, wanted: Sync) -> dict[str, Any]:
        note()
        return {"number": number, "wanted": wanted}

    @app.get("/broken/{what}")
    def broken(what: str) -> None:
        if what == "http":
            raise fastapi.HTTPException(503)
        raise ERROR

    app.include_router(router, prefix="/v1")
    return app


@pytest.mark.parametrize(("path", "route"), [("/v1/users/7", "/v1/users/{number}")])
def test_dependencies(patched: Recorder, path: str, route: str) -> None:
    seen.clear()
    assert asked(shop(), path).body == b'{"number":7,"wanted":"cup"}'
    dependency, request = sorted(patched.take(), key=lambda found: str(found["name"]))
    assert request == span("fastapi", route, path)
    assert (dependency["name"], dependency["trace"], dependency["parent"]) == ("dependency", 1, 1)
    assert seen == [f"GET {route}"] * 2


def test_sync_dependencies_and_views_know_their_request(patched: Recorder) -> None:
    seen.clear()
    asked(shop(), "/v1/users/7/sync")
    assert patched.take() == [span("fastapi", "/v1/users/{number}/sync", "/v1/users/7/sync")]
    assert seen == ["GET /v1/users/{number}/sync"] * 2


def test_a_request_that_is_not_valid(patched: Recorder) -> None:
    assert asked(shop(), "/v1/users/ada").status == 422
    assert span("fastapi", "/v1/users/{number}", "/v1/users/ada", 422) in patched.take()


def test_its_own_pages(patched: Recorder) -> None:
    for path in ("/openapi.json", "/docs"):
        assert asked(shop(), path).status == 200
        assert [found["resource"] for found in patched.take()] == [f"GET {path}"]


@pytest.mark.parametrize("what", ["http", "other"])
def test_errors(patched: Recorder, what: str) -> None:
    if what == "http":
        assert asked(shop(), "/broken/http").status == 503
        error: Exception = fastapi.HTTPException(503)
    else:
        with pytest.raises(MissingError) as caught:
            asked(shop(), "/broken/other")
        assert caught.value is ERROR
        error = ERROR
    status = 503 if what == "http" else 500
    assert patched.take() == [span("fastapi", "/broken/{what}", f"/broken/{what}", status, tags=failed(error))]


def test_starlette_below_it_keeps_its_name_and_it_its_own_below_starlette(patched: Recorder) -> None:
    app = shop()
    app.mount("/old/{tenant}", Starlette(routes=[Route("/users/{name}", text)]))
    asked(app, "/old/acme/users/ada")
    asked(Starlette(routes=[Mount("/new", shop())]), "/new/v1/users/7/sync")
    found = [(request["name"], request["resource"]) for request in patched.take()]
    assert found == [
        ("fastapi.request", "GET /old/{tenant}/users/{name}"),
        ("fastapi.request", "GET /new/v1/users/{number}/sync"),
    ]


def test_host(patched: Recorder) -> None:
    app = shop()
    app.router.routes.insert(0, Host("api.example.org", Router([Route("/hosted/{name}", text)])))
    asked(app, "/hosted/ada", headers=[(b"host", b"api.example.org")])
    assert [found["resource"] for found in patched.take()] == ["GET /hosted/{name}"]


def test_root_path_of_the_application(patched: Recorder) -> None:
    """The newest versions warn of it, and mean the server's."""
    app = fastapi.FastAPI()
    app.root_path = "/site"
    app.add_api_route("/users/{name}", text)
    assert asked(app, "/users/ada").status == 200
    assert patched.take() == [span("fastapi", "/site/users/{name}", "/site/users/ada")]


@pytest.mark.skipif(not hasattr(fastapi.FastAPI, "frontend"), reason="this FastAPI serves no frontends")
def test_a_frontend(patched: Recorder, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("hello")
    (tmp_path / "app.js").write_text("go")
    app = fastapi.FastAPI()
    app.frontend("/ui", directory=str(tmp_path))
    router = fastapi.APIRouter()
    router.frontend("/inner", directory=str(tmp_path))
    app.include_router(router, prefix="/v1")
    paths = ["/ui/app.js", "/ui/nothing.js", "/v1/inner/app.js"]
    assert [asked(app, path).status for path in paths] == [200, 404, 200]
    found = [request["resource"] for request in patched.take()]
    assert found == ["GET /ui/{path}", "GET 404", "GET /v1/inner/{path}"]


class Passing(BaseHTTPMiddleware):
    async def dispatch(self, request: fastapi.Request, call_next: Any) -> Response:
        with default_tracer.trace("passing"):
            response: Response = await call_next(request)
        return response


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("passing", [False, True])
def test_background_tasks(patched: Recorder, kind: str, passing: bool) -> None:
    app = fastapi.FastAPI()
    done: list[str] = []

    async def count_async(what: str) -> None:
        default_tracer.trace("work").finish()
        done.append(what)

    def count_sync(what: str) -> None:
        default_tracer.trace("work").finish()
        done.append(what)

    @app.post("/sync")
    def of_sync(tasks: fastapi.BackgroundTasks) -> None:
        tasks.add_task(count_async, "async")
        tasks.add_task(count_sync, "sync")

    @app.post("/async")
    async def of_async(tasks: fastapi.BackgroundTasks) -> None:
        tasks.add_task(count_async, "async")
        tasks.add_task(count_sync, "sync")

    if passing:
        app.add_middleware(Passing)
    assert asked(app, f"/{kind}", "POST").status == 200
    assert done == ["async", "sync"]
    found = [each for each in patched.take() if each["name"] != "passing"]
    assert found[0] == span("fastapi", f"/{kind}", f"/{kind}", method="POST")
    tasks = [each for each in found if each["name"] == "fastapi.background_task"]
    assert [(each["parent"], each["links"]) for each in tasks] == [(0, [1])] * 2
    assert [each["resource"].rpartition(".")[2] for each in tasks] == ["count_async", "count_sync"]
    assert [each["tags"] for each in tasks] == [{"component": "fastapi"}] * 2
    works = [each for each in found if each["name"] == "work"]
    assert [each["trace"] for each in works] == [each["trace"] for each in tasks]


def test_server_sent_events(patched: Recorder) -> None:
    """The span covers the stream, and ends where the client leaves."""
    app = fastapi.FastAPI()
    client = Client(EMPTY)

    @app.get("/events")
    async def events() -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            number = 0
            while True:
                default_tracer.trace("event").finish()
                yield f"data: {number}\n\n"
                number += 1
                if number == 3:
                    client.leave()
                await asyncio.sleep(0)

        return StreamingResponse(lines(), media_type="text/event-stream")

    async def main() -> None:
        await app(scope("/events"), client.receive, client.send)

    run(main)
    request, *found = sorted(patched.take(), key=lambda each: str(each["name"]), reverse=True)
    assert request == span("fastapi", "/events", "/events", tags={"http.disconnected": "true"})
    assert len(found) >= 3
    assert {(each["name"], each["trace"], each["parent"]) for each in found} == {("event", 1, 1)}


def test_an_exception_handler(patched: Recorder) -> None:
    app = shop()

    @app.exception_handler(MissingError)
    async def missing(_request: fastapi.Request, _error: MissingError) -> PlainTextResponse:
        return PlainTextResponse("gone", 410)

    assert asked(app, "/broken/other").body == b"gone"
    assert patched.take() == [span("fastapi", "/broken/{what}", "/broken/other", 410)]


def test_the_lifespan_is_left_alone(patched: Recorder) -> None:
    heard: list[Any] = []

    @asynccontextmanager
    async def lifespan(app: fastapi.FastAPI) -> AsyncIterator[dict[str, str]]:
        heard.append((app, default_tracer.current_span()))
        yield {"key": "value"}

    app = fastapi.FastAPI(lifespan=lifespan)
    state: dict[str, Any] = {}
    client = Client({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    asyncio.run(app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}, client.receive, client.send))
    assert [message["type"] for message in client.sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert (heard, state) == ([(app, None)], {"key": "value"})
    assert patched.take() == []
