"""Redis, against a real server."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.likeness import outcomes
from tests.integrations.recorder import Recorder, failed
from tests.integrations.redis_spans import COMMANDS, command
from tests.integrations.servers import free_port


@pytest.fixture(autouse=True)
def _patched() -> None:
    patch(redis=True)


@pytest.fixture
def client(redis_port: int, recorder: Recorder) -> Iterator[redis.Redis]:
    with contextlib.closing(redis.Redis(host="127.0.0.1", port=redis_port, retry=Retry(NoBackoff(), 0))) as client:
        client.ping()
        recorder.take()
        yield client


def test_commands(client: Any, redis_port: int, recorder: Recorder) -> None:
    with default_tracer.trace("work"):
        assert client.set("key", "value") is True
        assert client.get("key") == b"value"
        assert client.get("missing") is None
        assert client.mget("key", "missing") == [b"value", None]
        assert client.execute_command(b"hset", "hash", "field", 1) == 1
        assert client.execute_command("CONFIG GET", "maxmemory") == {"maxmemory": "0"}
        assert [*client.scan_iter("k*")] == [b"key"]
    spans = recorder.take()
    assert spans[0]["name"] == "work"
    assert spans[1:] == [
        command(redis_port, "SET", 3, 1, parent=1),
        command(redis_port, "GET", 2, 1, parent=1),
        command(redis_port, "GET", 2, 0, parent=1),
        command(redis_port, "MGET", 3, 2, parent=1),
        command(redis_port, "HSET", 4, 1, parent=1),
        command(redis_port, "CONFIG", 2, 1, parent=1),
        command(redis_port, "SCAN", 4, 2, parent=1),
    ]


def test_an_error_of_the_server(client: Any, redis_port: int, recorder: Recorder) -> None:
    client.set("key", "value")
    recorder.take()
    with pytest.raises(redis.ResponseError) as caught:
        client.lpush("key", 1)
    assert recorder.take() == [command(redis_port, "LPUSH", 3, None, error=1, tags=failed(caught.value))]
    assert caught.value.__context__ is None


def test_pipelines(client: Any, redis_port: int, recorder: Recorder) -> None:
    with client.pipeline(transaction=False) as pipe:
        assert pipe.set("a", 1).get("a").execute_command(b"incr", "a") is pipe
        assert recorder.take() == []
        assert pipe.execute() == [True, b"1", 2]
        assert pipe.execute() == []
    with client.pipeline() as pipe:
        for number in range(12):
            pipe.set(f"key{number}", number)
        pipe.execute()
    lines = "\n".join(["SET"] * 10 + ["(2 more)"])
    assert recorder.take() == [
        command(redis_port, "SET\nGET\nINCR", None, 3, tags={"redis.pipeline_length": 3}),
        command(redis_port, "EMPTY PIPELINE", None, 0, tags={"redis.pipeline_length": 0}, trace=2),
        command(redis_port, lines, None, 12, tags={"redis.pipeline_length": 12}, trace=3),
    ]


def test_a_pipeline_that_fails(client: Any, redis_port: int, recorder: Recorder) -> None:
    with client.pipeline() as pipe, pytest.raises(redis.ResponseError) as caught:
        pipe.set("a", "x").incr("a").execute()
    expected = command(
        redis_port, "SET\nINCRBY", None, None, error=1, tags={"redis.pipeline_length": 2, **failed(caught.value)}
    )
    assert recorder.take() == [expected]


def test_a_transaction_that_watches(client: Any, redis_port: int, recorder: Recorder) -> None:
    client.set("counter", 1)
    recorder.take()

    def increase(pipe: Any) -> None:
        value = int(pipe.get("counter"))
        pipe.multi()
        pipe.set("counter", value + 1)

    assert client.transaction(increase, "counter") == [True]
    with client.pipeline() as pipe:
        pipe.watch("counter")
        client.set("counter", 5)
        pipe.multi()
        pipe.set("counter", 6)
        with pytest.raises(redis.WatchError) as caught:
            pipe.execute()
    length = {"redis.pipeline_length": 1}
    assert recorder.take() == [
        command(redis_port, "WATCH", 2, 1),
        command(redis_port, "GET", 2, 1, trace=2),
        command(redis_port, "SET", None, 1, trace=3, tags=length),
        command(redis_port, "WATCH", 2, 1, trace=4),
        command(redis_port, "SET", 3, 1, trace=5),
        command(redis_port, "SET", None, None, trace=6, error=1, tags={**length, **failed(caught.value)}),
    ]


def test_scripts(client: Any, recorder: Recorder) -> None:
    script = client.register_script("return ARGV[1]")
    recorder.take()
    assert script(args=[7]) == b"7"
    assert script(args=[8]) == b"8"
    with client.pipeline() as pipe:
        script(args=[9], client=pipe)
        assert pipe.execute() == [b"9"]
    shown = [(span["resource"], span["error"], span["trace"], span["parent"]) for span in recorder.take()]
    assert shown == [
        ("EVALSHA", 1, 1, 0),
        ("SCRIPT", 0, 2, 0),
        ("EVALSHA", 0, 3, 0),
        ("EVALSHA", 0, 4, 0),
        ("EVALSHA", 0, 5, 0),
        ("SCRIPT", 0, 5, 5),
    ]


def test_publish_and_subscribe(client: Any, redis_port: int, recorder: Recorder) -> None:
    """Waiting for messages is no span."""
    with client.pubsub() as channel:
        channel.subscribe("news")
        assert channel.get_message(timeout=5)["type"] == "subscribe"
        client.publish("news", "hello")
        assert channel.get_message(timeout=5)["data"] == b"hello"
    assert recorder.take() == [command(redis_port, "PUBLISH", 3, 1)]


def test_connection_refused(recorder: Recorder) -> None:
    redis_port = free_port()
    client = redis.Redis(host="127.0.0.1", port=redis_port, db=3, retry=Retry(NoBackoff(), 0))
    with pytest.raises(redis.ConnectionError) as caught:
        client.get("key")
    assert recorder.take() == [
        command(redis_port, "GET", 2, None, error=1, tags={"out.redis_db": 3, **failed(caught.value)})
    ]


def test_timeout(redis_port: int, recorder: Recorder) -> None:
    client = redis.Redis(host="127.0.0.1", port=redis_port, socket_timeout=0.05, retry=Retry(NoBackoff(), 0))
    with contextlib.closing(client), pytest.raises(redis.TimeoutError) as caught:
        client.blpop("nothing", 5)
    assert recorder.take() == [command(redis_port, "BLPOP", 3, None, error=1, tags=failed(caught.value))]
    assert active.get() is None


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # which redis 4 leaves to the collector
def test_defaults_of_a_url(recorder: Recorder) -> None:
    """What is not said is what the client means by that."""
    for url in ("redis://localhost", "unix:///tmp/no-such-socket?db=2"):
        client = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=0.01)
        with contextlib.suppress(redis.RedisError):
            client.ping()
    shown = [
        {key: value for key, value in span["tags"].items() if key.startswith(("out.", "network."))}
        for span in recorder.take()
    ]
    assert shown == [
        {"out.host": "localhost", "network.destination.port": 6379, "out.redis_db": 0},
        {"out.host": "/tmp/no-such-socket", "out.redis_db": 2},
    ]


def test_no_secret_in_any_tag(redis_port: int, client: Any, recorder: Recorder) -> None:
    client.execute_command("ACL", "SETUSER", "alice", "on", ">hunter2", "~*", "+@all")
    client.execute_command("AUTH", "alice", "hunter2")
    client.auth("hunter2", "alice")
    client.set("hunter2", "hunter2")
    with client.pipeline() as pipe:
        pipe.execute_command("AUTH", "alice", "hunter2").set("hunter2", "hunter2").execute()
    with contextlib.closing(redis.Redis.from_url(f"redis://alice:hunter2@127.0.0.1:{redis_port}/0")) as other:
        other.get("hunter2")
    spans = recorder.take()
    assert [span["resource"] for span in spans] == ["ACL", "AUTH", "AUTH", "SET", "AUTH\nSET", "GET"]
    assert "hunter2" not in repr(spans)


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    **COMMANDS,
    "pipeline without raising": lambda r: repr(r.pipeline().set("k", "x").incr("k").execute(raise_on_error=False)),
    "keywords": lambda r: r.set(name="k", value="w", ex=10),
    "zset": lambda r: (r.zadd("z", {"a": 1}), r.zrange("z", 0, -1, withscores=True)),
    "iteration": lambda r: sorted(r.scan_iter()),
    "lock": lambda r: r.lock("l", timeout=1).acquire(blocking=False),
    "timeout": lambda r: late(r),
}


def late(client: Any) -> None:
    """Wait longer than a client does."""
    port = client.connection_pool.connection_kwargs["port"]
    hasty = redis.Redis(host="127.0.0.1", port=port, socket_timeout=0.2, retry=Retry(NoBackoff(), 0))
    with contextlib.closing(hasty):
        hasty.blpop("nothing", 5)


def test_same_results_with_and_without(client: Any, recorder: Recorder) -> None:
    def found() -> dict[str, Any]:
        client.flushall()
        return outcomes(OPERATIONS, client)

    unpatch("redis")
    without = found()
    assert recorder.take() == []
    patch(redis=True)
    assert found() == without
    assert len(recorder.take()) > len(OPERATIONS)


def test_threads_do_not_mix(client: Any, recorder: Recorder) -> None:
    barrier = threading.Barrier(4)

    def work(number: int) -> None:
        with default_tracer.trace(f"work{number}"):
            barrier.wait()
            for _ in range(20):
                client.incr("n")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans = recorder.take()
    assert len(spans) == 84
    for trace in range(1, 5):
        within = [span for span in spans if span["trace"] == trace]
        assert [span["parent"] for span in within] == [0] + [spans.index(within[0]) + 1] * 20
