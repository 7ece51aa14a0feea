"""Websockets: the span of a handshake ends when it is answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ddmiddleware.asgi import TraceMiddleware
from ddmiddleware.tracing import default_tracer
from tests.integrations.recorder import Recorder
from tests.middleware.requests_by_hand import Client, MissingError, scope, span


async def chat(socket: WebSocket) -> None:
    default_tracer.trace("before").finish()
    await socket.accept()
    default_tracer.trace("after").finish()
    await socket.send_text("hello")
    if socket.path_params["room"] == "broken":
        raise MissingError("broken")
    with pytest.raises(WebSocketDisconnect):
        await socket.receive_text()


async def refuse(socket: WebSocket) -> None:
    await socket.close(1008)


APP = Starlette(
    routes=[Mount("/chat", routes=[WebSocketRoute("/{room}", chat)]), WebSocketRoute("/refused/{name}", refuse)]
)


def connect(app: Any, path: str, **changes: Any) -> list[Any]:
    """Connect, and leave; return what was sent."""

    async def main() -> list[Any]:
        client = Client({"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000})
        asked = scope(path, type="websocket", scheme="ws", **changes)
        del asked["method"]
        await app(asked, client.receive, client.send)
        return client.sent

    return asyncio.run(main())


def handshake(component: str, route: str | None, path: str, status: int) -> dict[str, Any]:
    return span(component, route, path, status, tags={"http.url": f"ws://testserver{path}"})


def test_the_span_ends_at_accept(patched: Recorder) -> None:
    sent = connect(APP, "/chat/tea")
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send"]
    first, before, after, *_messages = patched.take()
    assert first == handshake("starlette", "/chat/{room}", "/chat/tea", 101)
    assert (before["name"], before["trace"], before["parent"]) == ("before", 1, 1)
    assert (after["name"], after["trace"], after["parent"], after["links"]) == ("after", 2, 0, [1])


def test_what_fails_later_leaves_the_handshake_alone(patched: Recorder) -> None:
    with pytest.raises(MissingError):
        connect(APP, "/chat/broken")
    assert patched.take()[0] == handshake("starlette", "/chat/{room}", "/chat/broken", 101)


def test_refused(patched: Recorder) -> None:
    connect(APP, "/refused/ada")
    assert patched.take() == [handshake("starlette", "/refused/{name}", "/refused/ada", 403)]


@pytest.mark.parametrize(("path", "resource"), [("/nowhere", "GET 403"), ("/chat/tea/nowhere", "GET /chat/{path}")])
def test_no_raw_path_is_a_resource(patched: Recorder, path: str, resource: str) -> None:
    connect(APP, path)
    assert [found["resource"] for found in patched.take()] == [resource]


def test_denied_with_a_response(recorder: Recorder) -> None:
    async def deny(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"no", "more_body": True})
        assert recorder.take() == []
        await send({"type": "websocket.http.response.body", "body": b"!"})
        assert recorder.take() == [handshake("asgi", None, "/", 401)]

    connect(TraceMiddleware(deny), "/")


def test_a_close_after_the_end_is_passed_on(recorder: Recorder) -> None:
    async def short(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})

    assert [message["type"] for message in connect(TraceMiddleware(short), "/")] == [
        "websocket.accept",
        "websocket.close",
    ]
    first, close = recorder.take()
    assert first == handshake("asgi", None, "/", 101)
    assert (close["name"], close["trace"], close["links"]) == ("websocket.close", 2, [1])
