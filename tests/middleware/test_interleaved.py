"""Many requests in one event loop, and what outlives them or is cut short: right parents, and no trace that goes on."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import fastapi
import pytest
from fastapi.responses import StreamingResponse

from ddmiddleware.tracing import active, default_tracer
from tests.integrations.recorder import Recorder
from tests.middleware.requests_by_hand import EMPTY, Client, ask_asgi, run, scope


@pytest.fixture(autouse=True)
def _no_log_record(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    # asyncio says at DEBUG which selector it uses.
    assert [each for each in caplog.records if each.name != "asyncio" or each.levelno > logging.DEBUG] == []


def test_interleaved_requests(patched: Recorder) -> None:
    """Each waits on the others in a random order, in its view, in a task of its own and on a thread."""
    app = fastapi.FastAPI()
    gates = [asyncio.Event() for _ in range(200)]

    @app.get("/requests/{number}")
    async def view(number: int) -> int:
        with default_tracer.trace(f"view {number}"):
            await gates[number].wait()
            inner = asyncio.create_task(step(number))
            await asyncio.to_thread(lambda: default_tracer.trace(f"thread {number}").finish())
            await inner
        return number

    async def step(number: int) -> None:
        with default_tracer.trace(f"task {number}"):
            await asyncio.sleep(0)

    async def main() -> None:
        requests = [asyncio.create_task(ask_asgi(app, f"/requests/{number}")) for number in range(200)]
        await asyncio.sleep(0)
        order = list(gates)
        random.Random(3).shuffle(order)
        for gate in order:
            gate.set()
            await asyncio.sleep(0)
        await asyncio.gather(*requests)
        assert active.get() is None

    run(main)
    found = patched.take()
    spans = dict(enumerate(found, 1))
    assert Counter(each["trace"] for each in found).most_common()[0][1] == 4
    for each in found:
        kind, _, number = each["name"].partition(" ")
        above = spans.get(each["parent"])
        if kind == "view":
            assert above
            assert (above["name"], above["tags"]["http.url"]) == (
                "fastapi.request",
                f"http://testserver/requests/{number}",
            )
        elif kind in ("task", "thread"):
            assert above
            assert above["name"] == f"view {number}"
        else:
            assert each["parent"] == 0
            assert "links" not in each
    assert len(found) == 800


def test_cancelled_requests(patched: Recorder) -> None:
    """A server that stops cancels what it serves; the request ends there, and is no error."""
    app = fastapi.FastAPI()

    @app.get("/wait")
    async def wait() -> None:
        with default_tracer.trace("waiting"):
            await asyncio.Event().wait()

    async def main() -> None:
        tasks = [asyncio.create_task(ask_asgi(app, "/wait")) for _ in range(50)]
        for _ in range(10):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(result, asyncio.CancelledError)
            for result in await asyncio.gather(*tasks, return_exceptions=True)
        )

    run(main)
    found = patched.take()
    requests = [each for each in found if each["name"] == "fastapi.request"]
    assert len(requests) == 50
    assert {(each["error"], each["tags"].get("http.disconnected")) for each in requests} == {(0, "true")}
    assert {each["error"] for each in found} <= {0, 1}
    assert len(found) == 100


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_a_stream_that_nobody_reads_to_its_end(patched: Recorder, kind: str) -> None:
    """Its generator is closed early, and whatever it does then has its place."""
    app = fastapi.FastAPI()
    client = Client(EMPTY)
    closed = asyncio.Event()

    async def parts() -> AsyncIterator[bytes]:
        try:
            with default_tracer.trace("open"):
                while True:
                    yield b"x"
                    client.leave()
                    await asyncio.sleep(0)
        finally:
            default_tracer.trace("closing").finish()
            closed.set()

    def sync_parts() -> Iterator[bytes]:
        while True:
            yield b"x"
            client.leave()

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        return StreamingResponse(parts() if kind == "async" else sync_parts())

    async def main() -> None:
        await app(scope("/endless"), client.receive, client.send)
        if kind == "async":
            gc.collect()
            await closed.wait()

    run(main)
    found = patched.take()
    (request,) = [each for each in found if each["name"] == "fastapi.request"]
    assert (request["resource"], request["error"], request["tags"]["http.disconnected"]) == ("GET /endless", 0, "true")
    assert len(found) <= 3


def test_a_task_that_outlives_its_request(patched: Recorder) -> None:
    app = fastapi.FastAPI()
    over = asyncio.Event()
    kept: list[asyncio.Task[None]] = []

    async def later() -> None:
        with default_tracer.trace("early"):
            pass
        await over.wait()
        with default_tracer.trace("late"):
            default_tracer.trace("below").finish()

    @app.get("/start")
    async def start() -> None:
        kept.append(asyncio.create_task(later()))
        await asyncio.sleep(0)

    async def main() -> None:
        await ask_asgi(app, "/start")
        over.set()
        await kept[0]

    run(main)
    found = [(each["name"], each["trace"], each["parent"], each.get("links")) for each in patched.take()]
    assert found == [
        ("fastapi.request", 1, 0, None),
        ("early", 1, 1, None),
        ("late", 2, 0, [1]),
        ("below", 2, 3, None),
    ]


def test_a_worker_that_a_request_started(patched: Recorder) -> None:
    """The first request creates it; what it does for a thousand later ones does not join the first one's trace."""
    app = fastapi.FastAPI()
    queue: asyncio.Queue[asyncio.Event] = asyncio.Queue()
    workers: list[asyncio.Task[None]] = []

    async def work() -> None:
        while True:
            done = await queue.get()
            with default_tracer.trace("job"):
                default_tracer.trace("query").finish()
            done.set()

    @app.get("/ask")
    async def ask() -> None:
        if not workers:
            workers.append(asyncio.create_task(work()))
        done = asyncio.Event()
        queue.put_nowait(done)
        await done.wait()

    async def main() -> tuple[Counter[int], list[int]]:
        sizes = []
        for number in range(1000):
            await ask_asgi(app, "/ask")
            if number == 99:
                found = patched.take()
            if number in (99, 200, 999):
                patched.clear()
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
        workers[0].cancel()
        jobs = [each for each in found if each["name"] == "job"]
        assert len(jobs) == 100
        assert [each["trace"] for each in jobs].count(1) == 1  # the first request's own
        assert all(each["parent"] == 0 and each["links"] == [1] for each in jobs[1:])  # whose task it is
        return Counter(each["trace"] for each in found), sizes

    tracemalloc.start()
    try:
        traces, (_, early, late) = run(main)
    finally:
        tracemalloc.stop()
    assert max(traces.values()) == 3
    assert late - early < 100_000, (early, late)


def test_websockets_and_requests_at_once(patched: Recorder) -> None:
    app = fastapi.FastAPI()

    @app.get("/requests/{number}")
    async def view(number: int) -> int:
        await asyncio.sleep(0)
        default_tracer.trace("query").finish()
        return number

    @app.websocket("/chat/{room}")
    async def chat(socket: fastapi.WebSocket, room: str) -> None:
        await socket.accept()
        for _ in range(3):
            await socket.receive_text()
            await asyncio.sleep(0)
            default_tracer.trace("lookup").finish()
            await socket.send_text("answer")

    async def connect() -> None:
        client = Client({"type": "websocket.connect"}, *[{"type": "websocket.receive", "text": "question"}] * 3)
        asked: dict[str, Any] = scope("/chat/tea", type="websocket", scheme="ws")
        del asked["method"]
        await app(asked, client.receive, client.send)

    async def main() -> None:
        await asyncio.gather(*(ask_asgi(app, f"/requests/{n}") for n in range(50)), *(connect() for _ in range(50)))

    run(main)
    found = patched.take()
    spans = dict(enumerate(found, 1))
    above = {"query": "fastapi.request", "lookup": "websocket.receive", "websocket.send": "websocket.receive"}
    for each in found:
        if each["name"] in above:
            assert spans[each["parent"]]["name"] == above[each["name"]]
        elif each["name"] == "websocket.receive":
            (link,) = each["links"]
            assert spans[link]["resource"] == "GET /chat/{room}"
    assert Counter(each["name"] for each in found) == {
        "fastapi.request": 100,
        "query": 50,
        "websocket.receive": 150,
        "lookup": 150,
        "websocket.send": 150,
    }
    assert max(Counter(each["trace"] for each in found).values()) == 3
