"""The messages of a websocket: short traces of their own, linked to the handshake."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ddmiddleware import _websocket
from ddmiddleware.tracing import active, default_settings, default_tracer
from tests.integrations.recorder import Recorder, failed
from tests.middleware.requests_by_hand import Client, MissingError, scope

CONNECT = {"type": "websocket.connect"}
LEAVE = {"type": "websocket.disconnect", "code": 1001, "reason": "bye"}
ERROR = MissingError("no such room")


def text(content: str) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": content}


def app_of(chat: Callable[[WebSocket], Awaitable[None]]) -> Any:
    return Starlette(routes=[WebSocketRoute("/chat/{room}", chat)])


async def connect(app: Any, client: Client, **changes: Any) -> None:
    asked = scope("/chat/tea", type="websocket", scheme="ws", **changes)
    del asked["method"]
    await app(asked, client.receive, client.send)


def converse(chat: Callable[[WebSocket], Awaitable[None]], *messages: dict[str, Any]) -> list[Any]:
    """Let a client send *messages* to *chat*, and return what it gets."""
    client = Client(CONNECT, *messages)
    asyncio.run(connect(app_of(chat), client))
    return client.sent


def message(name: str, trace: int, parent: int = 0, **changes: Any) -> dict[str, Any]:
    """Return the span of a message in *trace*, linked to the handshake unless it has a parent."""
    length, kind = changes.pop("length", None), changes.pop("kind", "text")
    content = {"websocket.message.type": kind, "websocket.message.length": length} if length is not None else {}
    return {
        "trace": trace,
        "parent": parent,
        "service": "shop",
        "name": name,
        "resource": "websocket /chat/{room}",
        "type": "websocket",
        "error": 0,
        "tags": {
            "component": "starlette",
            "span.kind": "producer" if name == "websocket.send" else "consumer",
            **content,
            **changes.pop("tags", {}),
        },
        **({} if parent else {"links": [1]}),
        **changes,
    }


CLOSE = {"websocket.close.code": 1001, "websocket.close.reason": "bye"}


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    async for heard in socket.iter_text():
        default_tracer.trace("work").finish()
        await socket.send_text(heard * 2)


def test_each_message_is_a_trace(patched: Recorder) -> None:
    sent = converse(echo, text("a"), text("bü"), LEAVE)
    assert [each.get("text") for each in sent] == [None, "aa", "bübü"]
    handshake, first, work, answer, second, _, longer, close = patched.take()
    assert handshake["resource"] == "GET /chat/{room}"
    assert first == message("websocket.receive", 2, length=1)
    assert (work["name"], work["trace"], work["parent"]) == ("work", 2, 2)
    assert answer == message("websocket.send", 2, 2, length=2)
    assert second == message("websocket.receive", 3, length=3)
    assert longer == message("websocket.send", 3, 5, length=6)
    assert close == message("websocket.close", 4, tags=CLOSE)


def test_bytes(patched: Recorder) -> None:
    async def chat(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_bytes(await socket.receive_bytes() + b"!")

    converse(chat, {"type": "websocket.receive", "bytes": b"\xff\x00", "text": None})
    _, heard, answer = patched.take()
    assert heard == message("websocket.receive", 2, length=2, kind="binary")
    assert answer == message("websocket.send", 2, 2, length=3, kind="binary")


def test_what_is_sent_unasked_has_no_parent(patched: Recorder) -> None:
    async def news(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("one")
        with default_tracer.trace("look"):
            await socket.send_text("two")
        await socket.close(4000, "over")

    converse(news)
    _, first, look, second, close = patched.take()
    assert first == message("websocket.send", 2, length=3)
    assert second == message("websocket.send", look["trace"], 3, length=3)
    assert (look["trace"], look["parent"], look["links"]) == (3, 0, [1])
    tags = {"websocket.close.code": 4000, "websocket.close.reason": "over", "span.kind": "producer"}
    assert close == message("websocket.close", 4, tags=tags)


def test_a_failure_stands_on_the_message_that_it_came_of(patched: Recorder) -> None:
    async def chat(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()
        raise ERROR

    with pytest.raises(MissingError):
        converse(chat, text("a"))
    handshake, heard = patched.take()
    assert (handshake["error"], handshake["tags"]["http.status_code"]) == (0, "101")
    assert heard == message("websocket.receive", 2, length=1, error=1, tags=failed(ERROR))


def test_a_client_that_is_gone_is_no_error(patched: Recorder) -> None:
    class Gone(Client):
        async def send(self, message: Any) -> None:
            if message["type"] == "websocket.send":
                raise OSError("gone")
            await super().send(message)

    async def chat(socket: WebSocket) -> None:
        await socket.accept()
        with pytest.raises(WebSocketDisconnect):
            await socket.send_text("hello")

    asyncio.run(connect(app_of(chat), Gone(CONNECT)))
    assert patched.take()[1:] == [message("websocket.send", 2, length=5)]


def test_a_reader_and_a_writer_in_tasks_of_their_own(patched: Recorder) -> None:
    """What the writer sends belongs to no message that happens to be read."""

    async def chat(socket: WebSocket) -> None:
        await socket.accept()
        heard, said = asyncio.Event(), asyncio.Event()

        async def write() -> None:
            await heard.wait()
            await socket.send_text("news")
            said.set()

        writer = asyncio.create_task(write())
        await socket.receive_text()
        heard.set()
        await said.wait()
        await writer

    converse(chat, text("a"))
    _, heard, news = patched.take()
    assert heard == message("websocket.receive", 2, length=1)
    assert news == message("websocket.send", 3, length=4)


def test_a_task_that_outlives_its_message(patched: Recorder) -> None:
    async def chat(socket: WebSocket) -> None:
        await socket.accept()
        over = asyncio.Event()

        async def later() -> None:
            await over.wait()
            default_tracer.trace("later").finish()

        await socket.receive_text()
        task = asyncio.create_task(later())
        with pytest.raises(WebSocketDisconnect):
            await socket.receive_text()
        over.set()
        await task

    converse(chat, text("a"), LEAVE)
    _, _, close, later = patched.take()
    assert (close["trace"], later["trace"], later["parent"], later["links"]) == (3, 4, 0, [2])


@pytest.mark.parametrize(("name", "value"), [("_ANSWERS_MAX", 3), ("_HANDLED_MAX_S", -1)])
def test_an_endless_answer_is_cut_off(
    patched: Recorder, monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    monkeypatch.setattr(_websocket, name, value)

    async def chat(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()
        for number in range(6):
            await socket.send_text(str(number))

    converse(chat, text("go"))
    _, _, *answers = patched.take()
    kept = max(value, 0)
    assert [answer["trace"] for answer in answers] == [2] * kept + list(range(3, 9 - kept))
    assert [answer.get("links") for answer in answers] == [None] * kept + [[1]] * (6 - kept)


def test_waiting_with_a_timeout(patched: Recorder) -> None:
    """Before Python 3.12 it is another task that waits, whose active span is not seen outside of it."""

    async def chat(socket: WebSocket) -> None:
        await socket.accept()
        assert await asyncio.wait_for(socket.receive_text(), 5) == "a"
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(socket.receive_text(), 0.01)

    converse(chat, text("a"))
    assert [found["name"] for found in patched.take()] == ["starlette.request", "websocket.receive"]
    assert active.get() is None


def test_the_sampling_decision_is_the_handshakes(patched: Recorder) -> None:
    priorities: list[Any] = []

    async def chat(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()
        context = default_tracer.current_trace_context()
        assert context
        priorities.append(context.sampling_priority)

    headers = [(b"host", b"testserver"), (b"traceparent", f"00-{7:032x}-{9:016x}-00".encode())]
    asyncio.run(connect(app_of(chat), Client(CONNECT, text("a")), headers=headers))
    assert priorities == [0]


@pytest.mark.parametrize("name", ["DD_TRACE_WEBSOCKET_MESSAGES_ENABLED", "DD_ASGI_TRACE_WEBSOCKET"])
def test_switched_off(patched: Recorder, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "false")
    assert default_settings["DD_TRACE_WEBSOCKET_MESSAGES_ENABLED"] is False
    converse(echo, text("a"), LEAVE)
    assert [(found["name"], found["trace"]) for found in patched.take()] == [("starlette.request", 1), ("work", 2)]


class Idle(Client):
    async def receive(self) -> Any:
        message = await super().receive()
        return LEAVE if message["type"] == "http.disconnect" else message


def test_a_thousand_idle_connections(patched: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    """None has an open span. Each keeps 2 KB: its finished handshake with its tags, and what receives and sends."""
    caplog.set_level(logging.INFO)

    def kept(app: Any, count: int = 1000) -> tuple[int, Counter[int]]:
        async def main() -> tuple[int, Counter[int]]:
            patched.clear()
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            clients = [Idle(CONNECT, text("a")) for _ in range(count)]
            tasks = [asyncio.create_task(connect(app, client)) for client in clients]
            while not all(len(client.sent) == 2 for client in clients):
                await asyncio.sleep(0)
            sizes = Counter(Counter(found["trace"] for found in patched.take()).values())
            gc.collect()
            after = tracemalloc.get_traced_memory()[0]
            for client in clients:
                client.leave()
            await asyncio.gather(*tasks)
            return (after - before) // count, sizes

        return asyncio.run(main())

    kept(app_of(echo), 1)  # whose caches are nobody's
    tracemalloc.start()
    try:
        with_us, sizes = kept(app_of(echo))
        # Of each a handshake, and a message with what it did and its answer.
        assert sizes == {1: 1000, 3: 1000}
        default_tracer.enabled = False
        without, _ = kept(app_of(echo))
    finally:
        default_tracer.enabled = True
        tracemalloc.stop()
    most = 2500 if sys.version_info >= (3, 11) else 3000  # whose frames are larger
    assert with_us - without < most, (with_us, without)
    assert caplog.records == []
