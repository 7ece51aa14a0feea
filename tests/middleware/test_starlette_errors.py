"""Starlette's errors, streams and background tasks: what is an error, and when the request's span ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from ddmiddleware.tracing import default_tracer
from tests.integrations.recorder import Recorder, failed
from tests.middleware.requests_by_hand import EMPTY, Client, MissingError, asked, run, scope, span

ERROR = MissingError("no such cup")


async def view(request: Request) -> Response:
    match request.path_params["what"]:
        case "broken":
            raise ERROR
        case "forbidden":
            raise HTTPException(403)
        case "unavailable":
            raise HTTPException(503)
    return PlainTextResponse("failed on purpose", 502)


class Passing(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Any:
        return await call_next(request)


def shop(**options: Any) -> Starlette:
    inner = Starlette(routes=[Route("/{what}", view)])
    return Starlette(routes=[Route("/{what}", view), Mount("/in", inner)], **options)


@pytest.mark.parametrize("middleware", [[], [Middleware(Passing)]], ids=["plain", "BaseHTTPMiddleware"])
@pytest.mark.parametrize("mount", ["", "/in"])
def test_an_unhandled_exception(patched: Recorder, mount: str, middleware: list[Middleware]) -> None:
    with pytest.raises(MissingError) as caught:
        asked(shop(middleware=middleware), f"{mount}/broken")
    assert caught.value is ERROR
    expected = span("starlette", f"{mount}/{{what}}", f"{mount}/broken", 500, tags=failed(ERROR))
    assert patched.take() == [expected]


@pytest.mark.parametrize(
    ("what", "status", "error"),
    [("forbidden", 403, None), ("unavailable", 503, HTTPException(503)), ("other", 502, None)],
)
def test_http_exceptions(patched: Recorder, what: str, status: int, error: Exception | None) -> None:
    assert asked(shop(), f"/{what}").status == status
    tags = failed(error) if error else {}
    assert patched.take() == [span("starlette", "/{what}", f"/{what}", status, tags=tags)]


@pytest.mark.parametrize("status", [200, 500])
def test_an_exception_handler_decides(patched: Recorder, status: int) -> None:
    async def handle(_request: Request, _error: Exception) -> Response:
        return PlainTextResponse("handled", status)

    assert asked(shop(exception_handlers={MissingError: handle}), "/broken").body == b"handled"
    tags = failed(ERROR) if status == 500 else {}
    assert patched.take() == [span("starlette", "/{what}", "/broken", status, tags=tags)]


def test_a_handler_of_the_servers_errors(patched: Recorder) -> None:
    def handle(_request: Request, _error: Exception) -> Response:
        return PlainTextResponse("sorry", 500)

    with pytest.raises(MissingError):
        asked(shop(exception_handlers={500: handle}), "/broken")
    assert patched.take() == [span("starlette", "/{what}", "/broken", 500, tags=failed(ERROR))]


def streaming(parts: AsyncIterator[bytes], **options: Any) -> Starlette:
    async def stream(_request: Request) -> Response:
        return StreamingResponse(parts, **options)

    return Starlette(routes=[Route("/stream", stream)])


def test_a_stream_is_inside_the_span(patched: Recorder) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b"a", b"b"):
            with default_tracer.trace("part"):
                yield part
            assert len(patched.take()) == 0

    assert asked(streaming(parts()), "/stream").body == b"ab"
    found = [(item["name"], item["parent"]) for item in patched.take()]
    assert found == [("starlette.request", 0), ("part", 1), ("part", 1)]


def test_an_error_in_a_stream(patched: Recorder) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"a"
        raise ERROR

    with pytest.raises(MissingError):
        asked(streaming(parts()), "/stream")
    assert patched.take() == [span("starlette", "/stream", "/stream", tags=failed(ERROR), error=1)]


def test_a_client_that_leaves_in_a_stream(patched: Recorder) -> None:
    async def main() -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield b"a"
            client.leave()
            await asyncio.Event().wait()

        client = Client(EMPTY)
        await streaming(parts())(scope("/stream"), client.receive, client.send)

    run(main)
    assert patched.take() == [span("starlette", "/stream", "/stream", tags={"http.disconnected": "true"})]


def test_a_client_that_leaves_in_its_own_body(patched: Recorder) -> None:
    async def main() -> None:
        async def read(request: Request) -> Response:
            return PlainTextResponse(await request.body())

        client = Client({"type": "http.request", "body": b"a", "more_body": True})
        client.leave()
        app = Starlette(routes=[Route("/", read, methods=["POST"])])
        with pytest.raises(ClientDisconnect):
            await app(scope("/", "POST"), client.receive, client.send)

    run(main)
    tags = {"http.disconnected": "true"}
    assert patched.take() == [span("starlette", "/", "/", 500, method="POST", error=0, tags=tags)]


async def tidy(name: str) -> None:
    default_tracer.trace(f"tidy {name}").finish()


def sync_tidy(name: str) -> None:
    default_tracer.trace(f"tidy {name}").finish()


class Tidy:
    async def __call__(self, name: str) -> None:
        await tidy(name)


def background(task: Any, status: int = 200, **options: Any) -> Starlette:
    async def accept(_request: Request) -> Response:
        return PlainTextResponse("accepted", status, background=task)

    return Starlette(routes=[Route("/", accept)], **options)


@pytest.mark.parametrize("middleware", [[], [Middleware(Passing)]], ids=["plain", "BaseHTTPMiddleware"])
@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("function", [tidy, sync_tidy, Tidy()], ids=["async", "sync", "object"])
def test_background_tasks_are_traces_of_their_own(
    patched: Recorder, function: Any, status: int, middleware: list[Middleware]
) -> None:
    tasks = BackgroundTasks([BackgroundTask(function, "a")])
    tasks.add_task(function, "b")
    app = background(tasks, status, middleware=middleware)
    assert asked(app).status == status
    name = getattr(function, "__qualname__", "Tidy")
    expected = [("starlette.request", "GET /", 1, 0, None)]
    for number, what in ((2, "a"), (3, "b")):
        expected.append(("starlette.background_task", name, number, 0, [1]))  # type: ignore[arg-type]
        expected.append((f"tidy {what}", f"tidy {what}", number, 2 * number - 2, None))
    found = patched.take()
    shown = [(item["name"], item["resource"], item["trace"], item["parent"], item.get("links")) for item in found]
    assert shown == expected


def test_the_request_does_not_wait_for_them(patched: Recorder) -> None:
    async def look() -> None:
        assert patched.take() == [span("starlette", "/", "/")]

    asked(background(BackgroundTask(look)))
    assert patched.names() == ["starlette.background_task"]


def test_an_error_in_a_background_task(patched: Recorder) -> None:
    async def fail() -> None:
        raise ERROR

    with pytest.raises(MissingError) as caught:
        asked(background(BackgroundTask(fail)))
    assert caught.value is ERROR
    request, task = patched.take()
    assert request == span("starlette", "/", "/")
    assert task == {
        "trace": 2,
        "parent": 0,
        "service": "shop",
        "name": "starlette.background_task",
        "resource": "test_an_error_in_a_background_task.<locals>.fail",
        "type": "worker",
        "error": 1,
        "tags": {"component": "starlette", **failed(ERROR)},
        "links": [1],
    }
