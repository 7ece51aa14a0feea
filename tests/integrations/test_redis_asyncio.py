"""Redis's asyncio client, against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.likeness import awaited_outcomes, cancelled
from tests.integrations.recorder import Recorder, failed
from tests.integrations.redis_spans import COMMANDS, command


@pytest.fixture(autouse=True)
def _patched() -> None:
    patch(redis=True)


def asynchronously(redis_port: int, use: Callable[[Any], Any], **options: Any) -> Any:
    """Run *use* with an asyncio client."""

    async def run() -> Any:
        options["retry"] = AsyncRetry(NoBackoff(), 0)
        async with redis.asyncio.Redis(host="127.0.0.1", port=redis_port, **options) as client:
            found = await use(client)
        assert active.get() is None
        return found

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


OPERATIONS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    **COMMANDS,
    "wrong call": lambda r: r.get(),
    "pipeline that fails": lambda r: r.pipeline().set("k", "x").incr("k").execute(),
    "pipeline without raising": lambda r: shown(r.pipeline().set("k", "x").incr("k").execute(raise_on_error=False)),
    "empty pipeline": lambda r: r.pipeline().execute(),
    "watching": lambda r: overtaken(r),
    "script": lambda r: r.register_script("return ARGV[1]")(args=[7]),
    "keywords": lambda r: r.set(name="k", value="w", ex=10),
    "iteration": lambda r: shown(collected(r.scan_iter())),
    "lock": lambda r: r.lock("l", timeout=1).acquire(blocking=False),
    "many at once": lambda r: asyncio.gather(*(r.get("k") for _ in range(5))),
    "timeout": lambda r: late(r),
    "refused": lambda _: redis.asyncio.Redis(host="127.0.0.1", port=1, retry=AsyncRetry(NoBackoff(), 0)).get("k"),
    "out of time": lambda r: asyncio.wait_for(r.blpop("nothing", 5), 0.05),
    "cancelled": lambda r: cancelled(r.blpop("nothing", 5), lambda: r.connection_pool._in_use_connections),
    "after that": lambda r: r.get("k"),
}


async def shown(result: Awaitable[Any]) -> str:
    """Return what cannot be compared as text."""
    return repr(await result)


async def collected(found: Any) -> list[Any]:
    """Return all that is found."""
    return sorted([each async for each in found])


async def overtaken(client: Any) -> Any:
    """Change a key that a transaction watches."""
    async with client.pipeline() as pipe:
        await pipe.watch("k")
        await client.set("k", 5)
        pipe.multi()
        return await pipe.set("k", 6).execute()


async def late(client: Any) -> Any:
    """Wait longer than a client does."""
    port = client.connection_pool.connection_kwargs["port"]
    hasty = redis.asyncio.Redis(host="127.0.0.1", port=port, socket_timeout=0.2, retry=AsyncRetry(NoBackoff(), 0))
    async with hasty:
        return await hasty.blpop("nothing", 5)


def test_same_results_with_and_without(redis_port: int, recorder: Recorder) -> None:
    async def use(client: Any) -> Any:
        with default_tracer.trace("work") as work:
            await client.flushall()
            found = await awaited_outcomes(OPERATIONS, client)
            assert active.get() is work
        return found

    unpatch("redis")
    without = asynchronously(redis_port, use)
    assert recorder.names() == ["work"]
    patch(redis=True)
    assert asynchronously(redis_port, use) == without
    assert len(recorder.take()) > len(OPERATIONS)
