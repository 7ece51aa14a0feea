"""Redis's asyncio client, against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff

from ddmiddleware import patch
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.recorder import Recorder, failed
from tests.integrations.redis_spans import command


@pytest.fixture(autouse=True)
def _patched() -> None:
    patch(redis=True)


def asynchronously(redis_port: int, use: Callable[[Any], Any], **options: Any) -> Any:
    """Run *use* with an asyncio client."""

    async def run() -> Any:
        client = redis.asyncio.Redis(host="127.0.0.1", port=redis_port, retry=AsyncRetry(NoBackoff(), 0), **options)
        try:
            return await use(client)
        finally:
            await client.aclose()
            assert active.get() is None

    return asyncio.run(run())


def test_asyncio_commands(redis_port: int, recorder: Recorder) -> None:
    async def use(client: Any) -> None:
        with default_tracer.trace("work"):
            assert await client.set("key", "value") is True
            assert await asyncio.gather(*(client.get("key") for _ in range(3))) == [b"value"] * 3
            with pytest.raises(redis.ResponseError):
                await client.lpush("key", 1)
            assert default_tracer.current_span() is not None

    asynchronously(redis_port, use)
    spans = recorder.take()
    assert spans[1:5] == [command(redis_port, name, n, 1, parent=1) for name, n in (("SET", 3), *[("GET", 2)] * 3)]
    assert [(span["resource"], span["error"], span["parent"]) for span in spans[5:]] == [("LPUSH", 1, 1)]


def test_asyncio_pipelines(redis_port: int, recorder: Recorder) -> None:
    async def use(client: Any) -> None:
        async with client.pipeline() as pipe:
            assert await pipe.set("a", 1).get("a").execute() == [True, b"1"]
        async with client.pipeline() as pipe:
            await pipe.watch("a")
            assert await pipe.get("a") == b"1"
            pipe.multi()
            assert await pipe.set("a", 2).execute() == [True]
        script = client.register_script("return ARGV[1]")
        assert await script(args=[7]) == b"7"

    asynchronously(redis_port, use)
    assert [(span["resource"], span["error"], span["tags"].get("db.row_count")) for span in recorder.take()] == [
        ("SET\nGET", 0, 2),
        ("WATCH", 0, 1),
        ("GET", 0, 1),
        ("SET", 0, 1),
        ("EVALSHA", 1, None),
        ("SCRIPT", 0, 1),
        ("EVALSHA", 0, 1),
    ]


def test_asyncio_publish_and_subscribe(redis_port: int, recorder: Recorder) -> None:
    async def use(client: Any) -> None:
        async with client.pubsub() as channel:
            await channel.subscribe("news")
            assert (await channel.get_message(timeout=5))["type"] == "subscribe"
            await client.publish("news", "hello")
            assert (await channel.get_message(timeout=5))["data"] == b"hello"

    asynchronously(redis_port, use)
    assert [span["resource"] for span in recorder.take()] == ["PUBLISH"]


def test_asyncio_timeout(redis_port: int, recorder: Recorder) -> None:
    async def use(client: Any) -> BaseException:
        with pytest.raises(redis.TimeoutError) as caught:
            await client.blpop("nothing", 5)
        return caught.value

    error = asynchronously(redis_port, use, socket_timeout=0.05)
    assert recorder.take() == [command(redis_port, "BLPOP", 3, None, error=1, tags=failed(error))]


@pytest.mark.parametrize("how", ["cancel", "wait_for", "never awaited"])
def test_asyncio_cancelled(how: str, redis_port: int, recorder: Recorder) -> None:
    async def use(client: Any) -> None:
        await client.ping()
        waiting = client.blpop("nothing", 5)
        if how == "wait_for":
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(waiting, 0.05)
        elif how == "cancel":
            task = asyncio.ensure_future(waiting)
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            waiting.close()
        assert active.get() is None
        assert await client.ping() is True

    asynchronously(redis_port, use)
    spans = recorder.take()
    cancelled = [("BLPOP", "asyncio.exceptions.CancelledError")] if how != "never awaited" else []
    shown = [(span["resource"], span["tags"].get("error.type")) for span in spans]
    assert shown == [("PING", None), *cancelled, ("PING", None)]
