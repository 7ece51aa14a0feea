"""Redis's cluster clients and pub/sub, and all of Valkey's clients, against real servers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.cluster
import valkey
import valkey.asyncio
import valkey.asyncio.cluster
import valkey.cluster

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.likeness import awaited_outcomes, cancelled, outcomes
from tests.integrations.recorder import Recorder, failed
from tests.integrations.redis_spans import command
from tests.integrations.servers import RedisServer

LIBRARIES = [("redis", redis, "Redis"), ("valkey", valkey, "Valkey")]
of_each_library = pytest.mark.parametrize(("name", "library", "client"), LIBRARIES)


def test_valkey(redis_port: int, recorder: Recorder) -> None:
    patch(valkey=True)
    with contextlib.closing(valkey.Valkey(host="127.0.0.1", port=redis_port)) as client:
        client.set("key", "value")
        with default_tracer.trace("work"):
            assert client.get("key") == b"value"
            assert client.pipeline().set("a", 1).get("a").execute() == [True, b"1"]
            with pytest.raises(valkey.ResponseError) as caught:
                client.lpush("key", 1)
    length = {"valkey.pipeline_length": 2}
    assert recorder.take()[-3:] == [
        command(redis_port, "GET", 2, 1, library="valkey", trace=2, parent=2),
        command(redis_port, "SET\nGET", None, 2, library="valkey", trace=2, parent=2, tags=length),
        command(redis_port, "LPUSH", 3, None, library="valkey", trace=2, parent=2, error=1, tags=failed(caught.value)),
    ]


def test_valkey_asyncio(redis_port: int, recorder: Recorder) -> None:
    patch(valkey=True)

    async def main() -> None:
        client = valkey.asyncio.Valkey(host="127.0.0.1", port=redis_port)
        with default_tracer.trace("work") as work:
            assert await client.set("key", "value") is True
            async with client.pipeline() as pipe:
                assert await pipe.get("key").execute() == [b"value"]
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.blpop(["empty"]), 0.01)
            assert active.get() is work
        await client.aclose()

    asyncio.run(main())
    spans = recorder.take()
    length = {"valkey.pipeline_length": 1}
    assert spans[1] == command(redis_port, "SET", 3, 1, library="valkey", parent=1)
    assert spans[2] == command(redis_port, "GET", None, 1, library="valkey", parent=1, tags=length)
    assert [(span["resource"], span["error"], span["tags"]["error.type"]) for span in spans[3:]] == [
        ("BLPOP", 1, "asyncio.exceptions.CancelledError")
    ]


@of_each_library
def test_a_cluster(name: str, library: Any, client: str, redis_cluster: RedisServer, recorder: Recorder) -> None:
    port = redis_cluster.port
    with contextlib.closing(getattr(library.cluster, f"{client}Cluster")("127.0.0.1", port)) as cluster:
        cluster.flushall()
        patch(**{name: True})
        with default_tracer.trace("work") as work:
            assert cluster.set("key", "value") is True
            assert cluster.mget_nonatomic("key", "other") == [b"value", None]
            with pytest.raises(library.ResponseError) as caught:
                cluster.lpush("key", 1)
            with cluster.pipeline() as pipe:
                assert pipe.set("a", 1).get("a") is pipe
                assert pipe.execute() == [True, b"1"]
            assert active.get() is work
    spans = recorder.take()[1:]
    for span in spans:  # those of pipelines go to several nodes
        assert span["tags"].setdefault("out.host", "127.0.0.1") == "127.0.0.1"
        assert span["tags"].setdefault("network.destination.port", port) == port
    shape: dict[str, Any] = {"library": name, "parent": 1}
    assert spans[0] == command(port, "SET", 3, 1, **shape)
    assert {span["resource"] for span in spans[1:-2]} <= {"MGET", "MGET\nMGET"}
    assert spans[-2] == command(port, "LPUSH", 3, None, error=1, tags=failed(caught.value), **shape)
    assert spans[-1] == command(port, "SET\nGET", None, 2, tags={f"{name}.pipeline_length": 2}, **shape)


@of_each_library
def test_an_asyncio_cluster(
    name: str, library: Any, client: str, redis_cluster: RedisServer, recorder: Recorder
) -> None:
    port = redis_cluster.port

    async def main() -> BaseException:
        async with getattr(library.asyncio.cluster, f"{client}Cluster")("127.0.0.1", port) as cluster:
            await cluster.flushall()
            patch(**{name: True})
            with default_tracer.trace("work") as work:
                assert await cluster.set("key", "value") is True
                with pytest.raises(library.ResponseError) as caught:
                    await cluster.lpush("key", 1)
                assert await cluster.pipeline().set("a", 1).get("a").execute() == [True, b"1"]
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(cluster.blpop(["empty"]), 0.01)
                assert active.get() is work
        return caught.value

    error = asyncio.run(main())
    spans = recorder.take()[1:]
    shape: dict[str, Any] = {"library": name, "parent": 1}
    expected = command(port, "SET\nGET", None, 2, tags={f"{name}.pipeline_length": 2}, **shape)
    del expected["tags"]["out.host"], expected["tags"]["network.destination.port"]
    assert spans[:3] == [
        command(port, "SET", 3, 1, **shape),
        command(port, "LPUSH", 3, None, error=1, tags=failed(error), **shape),
        expected,
    ]
    assert [(span["resource"], span["error"]) for span in spans[3:]] == [("BLPOP", 1)]


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "set": lambda r: r.set("k", "v"),
    "get": lambda r: r.get("k"),
    "several nodes": lambda r: r.ping(target_nodes=r.ALL_NODES),
    "one node": lambda r: r.ping(target_nodes=r.get_primaries()[0]),
    "wrong type": lambda r: r.lpush("k", 1),
    "across slots": lambda r: r.rename("a", "b"),
    "unknown": lambda r: r.execute_command("NONSENSE", "a"),
    "pipeline": lambda r: r.pipeline().set("k", 1).incr("k").execute(),
    "pipeline that fails": lambda r: r.pipeline().set("k", "x").incr("k").execute(),
    "empty pipeline": lambda r: r.pipeline().execute(),
    "iteration": lambda r: sorted(r.scan_iter()),
}


@of_each_library
def test_same_results_with_and_without(
    name: str, library: Any, client: str, redis_cluster: RedisServer, recorder: Recorder
) -> None:
    def found(cluster: Any) -> dict[str, Any]:
        cluster.flushall()
        return outcomes(OPERATIONS, cluster)

    with contextlib.closing(getattr(library.cluster, f"{client}Cluster")("127.0.0.1", redis_cluster.port)) as cluster:
        without = found(cluster)
        assert recorder.take() == []
        patch(**{name: True})
        assert found(cluster) == without
    unpatch(name)
    assert len(recorder.take()) >= len(OPERATIONS)


@of_each_library
def test_same_results_with_and_without_in_asyncio(
    name: str, library: Any, client: str, redis_cluster: RedisServer, recorder: Recorder
) -> None:
    operations: dict[str, Callable[[Any], Any]] = {
        **{each: use for each, use in OPERATIONS.items() if each != "iteration"},
        "out of time": lambda r: asyncio.wait_for(r.blpop(["nothing"], 5), 0.05),
        "cancelled": lambda r: cancelled(r.blpop(["nothing"], 5)),
        "after that": lambda r: r.get("k"),
    }

    async def found() -> dict[str, Any]:
        async with getattr(library.asyncio.cluster, f"{client}Cluster")("127.0.0.1", redis_cluster.port) as cluster:
            with default_tracer.trace("work") as work:
                await cluster.flushall()
                results = await awaited_outcomes(operations, cluster)
                assert active.get() is work
        return results

    without = asyncio.run(found())
    assert recorder.names() == ["work"]
    patch(**{name: True})
    assert asyncio.run(found()) == without
    unpatch(name)
    assert len(recorder.take()) >= len(operations)


@pytest.mark.skipif(redis.VERSION < (6,), reason="redis has transactions of clusters from 6 on")
def test_a_transaction_of_a_cluster(redis_cluster: RedisServer, recorder: Recorder) -> None:
    port = redis_cluster.port
    with contextlib.closing(redis.cluster.RedisCluster("127.0.0.1", port)) as cluster:
        patch(redis=True)
        with default_tracer.trace("work"), cluster.pipeline(transaction=True) as pipe:
            assert pipe.set("{a}b", 1).get("{a}b").execute()[1] == b"1"
    spans = recorder.take()[1:]
    assert [(span["resource"], span["parent"], span["tags"]["db.row_count"]) for span in spans] == [("SET\nGET", 1, 2)]


@of_each_library
def test_pub_sub(name: str, library: Any, client: str, redis_port: int, recorder: Recorder) -> None:
    """What is published has a span; waiting for messages has none."""
    patch(**{name: True})
    connected = getattr(library, client)(host="127.0.0.1", port=redis_port)
    with contextlib.closing(connected), default_tracer.trace("work") as work, connected.pubsub() as listener:
        listener.subscribe("news")
        assert listener.get_message(timeout=10)["type"] == "subscribe"
        assert connected.publish("news", "hello") == 1
        message = listener.get_message(timeout=10)
        assert active.get() is work
    assert message == {"type": "message", "pattern": None, "channel": b"news", "data": b"hello"}
    assert recorder.take()[1:] == [command(redis_port, "PUBLISH", 3, 1, library=name, parent=1)]


def test_pub_sub_of_asyncio(redis_port: int, recorder: Recorder) -> None:
    patch(redis=True)

    async def main() -> None:
        async with redis.asyncio.Redis(host="127.0.0.1", port=redis_port) as connected, connected.pubsub() as listener:
            await listener.subscribe("news")
            with default_tracer.trace("work"):
                await connected.publish("news", "hello")
            async for message in listener.listen():
                if message["type"] == "message":
                    assert message["data"] == b"hello"
                    break
            assert active.get() is None

    asyncio.run(main())
    assert [span["resource"] for span in recorder.take()] == ["work", "PUBLISH"]
