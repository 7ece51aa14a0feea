"""Requests that are cut short, again and again in one event loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import fastapi
import pytest
from fastapi.responses import StreamingResponse

from ddmiddleware.tracing import default_tracer
from tests.integrations.recorder import Recorder
from tests.middleware.requests_by_hand import EMPTY, Client, ask_asgi, run, scope


def test_nothing_is_kept(patched: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    """Cancelled requests, clients that leave a stream or a websocket, background tasks: memory stays flat."""
    caplog.set_level(logging.INFO)
    app = fastapi.FastAPI()

    @app.get("/wait")
    async def wait() -> None:
        with default_tracer.trace("waiting"):
            await asyncio.Event().wait()

    @app.get("/endless/{number}")
    async def endless(number: int) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            with default_tracer.trace(f"open {number}"):
                while True:
                    yield b"x"
                    await asyncio.sleep(0)

        return StreamingResponse(parts())

    @app.get("/background/{number}")
    async def background(number: int, tasks: fastapi.BackgroundTasks) -> None:
        tasks.add_task(lambda: default_tracer.trace(f"after {number}").finish())

    @app.websocket("/chat")
    async def chat(socket: fastapi.WebSocket) -> None:
        await socket.accept()
        async for heard in socket.iter_text():
            await socket.send_text(heard)

    class Leaving(Client):
        async def send(self, message: Any) -> None:
            await super().send(message)
            self.leave()

    async def once(number: int) -> None:
        cancelled = asyncio.create_task(ask_asgi(app, "/wait"))
        for _ in range(10):
            await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        client = Leaving(EMPTY)
        await app(scope(f"/endless/{number}"), client.receive, client.send)
        await ask_asgi(app, f"/background/{number}")
        leave = {"type": "websocket.disconnect", "code": 1001}
        client = Client({"type": "websocket.connect"}, {"type": "websocket.receive", "text": "a"}, leave)
        asked: dict[str, Any] = scope("/chat", type="websocket", scheme="ws")
        del asked["method"]
        await app(asked, client.receive, client.send)

    async def main() -> list[int]:
        sizes = []
        for number in range(300):
            await once(number)
            if number in (99, 299):
                assert max(Counter(each["trace"] for each in patched.take()).values()) == 2
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
        return sizes

    tracemalloc.start()
    try:
        early, late = run(main)
    finally:
        tracemalloc.stop()
    assert late - early < 100_000, (early, late)
    assert caplog.records == []
