"""Event loop lag: a known block is seen, and measuring keeps nothing alive and changes nothing."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from ddmiddleware.asgi import TraceMiddleware
from ddmiddleware.tracing import active, default_tracer, loop_meter
from tests.integrations.recorder import Recorder
from tests.middleware.requests_by_hand import asked, scope

PERIOD_S = 0.25


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def receive() -> dict[str, str]:
    return {"type": "http.request"}


async def send(message: Any) -> None:
    pass


async def request() -> None:
    await TraceMiddleware(app)(scope("/"), receive, send)


@pytest.fixture
def measuring(recorder: Recorder) -> Iterator[None]:
    loop_meter.start()
    yield
    loop_meter.stop()


async def measured() -> int:
    """Wait for the next measurement, in nanoseconds."""
    came = asyncio.Event()

    class Lags(deque[int]):
        def append(self, lag_ns: int) -> None:
            super().append(lag_ns)
            came.set()

    loop_meter._lags = Lags()
    await came.wait()
    return loop_meter.take()[0]


async def scheduled() -> list[Any]:
    """Return what our meter has scheduled."""
    loop: Any = asyncio.get_running_loop()
    return [handle for handle in loop._scheduled if "LoopMeter" in repr(handle)]


async def due(handle: Any) -> None:
    """Wait until *handle* has run."""
    over = asyncio.Event()
    asyncio.get_running_loop().call_at(handle.when() + 0.001, over.set)
    await over.wait()


def block(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


@pytest.mark.usefixtures("measuring")
def test_a_block_is_seen() -> None:
    async def main() -> int:
        await request()
        await measured()
        block(PERIOD_S + 0.3)
        return await measured()

    assert asyncio.run(main()) >= 0.3 * 1e9


@pytest.mark.usefixtures("measuring")
def test_a_loop_is_measured_once() -> None:
    async def main() -> None:
        for _ in range(50):
            await request()
        (handle,) = await scheduled()
        assert handle._context.get(active) is None  # the request that began it is not kept

    asyncio.run(main())


@pytest.mark.usefixtures("measuring")
def test_a_closed_loop_is_forgotten() -> None:
    async def main() -> weakref.ref[asyncio.AbstractEventLoop]:
        await request()
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(main())
    gc.collect()
    assert loop() is None
    assert not loop_meter._loops


@pytest.mark.usefixtures("measuring")
def test_two_loops(recorder: Recorder) -> None:
    for _ in range(2):
        asyncio.run(request())
        assert len(recorder.take()) == 1


@pytest.mark.usefixtures("measuring")
def test_stopping_ends_the_chain() -> None:
    async def main() -> None:
        await request()
        (old,) = await scheduled()
        loop_meter.stop()
        loop_meter.start()
        await request()  # begins anew
        await due(old)
        (new,) = await scheduled()
        loop_meter.stop()
        await due(new)
        assert await scheduled() == []

    asyncio.run(main())


def test_nothing_is_scheduled_where_nobody_asked(recorder: Recorder) -> None:
    async def main() -> list[Any]:
        await request()
        return await scheduled()

    assert asyncio.run(main()) == []
    assert len(recorder.take()) == 1


@pytest.mark.usefixtures("measuring")
def test_without_a_loop_of_asyncio() -> None:
    loop_meter.watch()
    assert not loop_meter._loops


def test_the_middleware_answers_as_before(measuring: None, recorder: Recorder) -> None:
    assert default_tracer.enabled
    assert asked(TraceMiddleware(app), "/").body == b"hello"
    assert len(recorder.take()) == 1
