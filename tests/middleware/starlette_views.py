"""The views that the table of route shapes asks for, for Starlette and for what is built on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.convertors import Convertor, register_url_convertor
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.websockets import WebSocket

from tests.middleware.route_runs import random_asgi
from tests.middleware.route_shapes import ERROR, YEAR


class Year(Convertor[str]):
    regex = YEAR

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("year", Year())


def text(request: Request) -> Response:
    return PlainTextResponse("shown")


class Thing(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return PlainTextResponse("shown")

    async def post(self, request: Request) -> Response:
        return PlainTextResponse("shown")


async def later(request: Request) -> Response:
    return PlainTextResponse("shown")


async def create(request: Request) -> Response:
    return PlainTextResponse("shown", 201)


async def empty(request: Request) -> Response:
    return Response(status_code=204)


async def unavailable(request: Request) -> Response:
    return PlainTextResponse("later", 503)


async def stream(request: Request) -> Response:
    async def parts() -> AsyncIterator[str]:
        yield "one"
        yield "two"

    return StreamingResponse(parts())


def file(request: Request) -> Response:
    return FileResponse(__file__)


async def fail(request: Request) -> Response:
    raise ERROR


def handled(request: Request) -> Response:
    raise KeyError("cup")


def abort(request: Request) -> Response:
    raise HTTPException(403)


def missing(request: Request) -> Response:
    raise HTTPException(404)


def redirect(request: Request) -> Response:
    return RedirectResponse("/about", 302)


async def chat(websocket: WebSocket) -> None:
    await websocket.accept()


def conflict(_request: Request, _error: Exception) -> Response:
    """Answer what ``handled`` raises."""
    return PlainTextResponse("handled", 409)


VIEWS: dict[str, Any] = {
    "text": text,
    "class": Thing,
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
    """Return a parameter as Starlette has it in templates."""
    return f"{{{name}}}" if kind == "str" else f"{{{name}:{kind}}}"


def random_ask(app: Any) -> Callable[[str, str], Awaitable[object]]:
    """Return what asks an application, as ``random_asgi`` does."""
    asking = random_asgi(app)

    async def ask(path: str, method: str) -> None:
        try:
            await asking(path, method)
        except ValueError as error:  # Starlette 1.7 takes for a float what float() refuses
            assert str(error).startswith("could not convert string to float")  # noqa: PT017  # any other is ours

    return ask
