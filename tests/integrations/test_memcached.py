"""pymemcache and pylibmc, against a real memcached."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pymemcache
import pytest
from pymemcache.client.hash import HashClient

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.examples_stores import ABSENT
from tests.integrations.likeness import outcome, outcomes
from tests.integrations.recorder import Recorder, failed
from tests.integrations.servers import free_port

pylibmc: Any = None if "pylibmc" in ABSENT else import_module("pylibmc")
NAMES = {"pymemcache": "memcached.command", "pylibmc": "memcached.cmd"}


@pytest.fixture(params=["pymemcache", "pylibmc"])
def library(request: pytest.FixtureRequest) -> str:
    if request.param == "pylibmc" and pylibmc is None:
        pytest.skip("pylibmc is not installed (pip install .[dev-native]), or this Python is too new for it")
    return str(request.param)


@pytest.fixture
def client(library: str, memcached_port: int) -> Iterator[Any]:
    made: Any
    if library == "pymemcache":
        made = pymemcache.Client(("127.0.0.1", memcached_port))
    else:
        made = pylibmc.Client([f"127.0.0.1:{memcached_port}"])
    made.flush_all()
    patch(**{library: True})
    yield made
    made.close() if library == "pymemcache" else made.disconnect_all()


def command(library: str, port: int, resource: str, **changes: Any) -> dict[str, Any]:
    """Return the span of one command."""
    tags = {
        "component": library,
        "span.kind": "client",
        "db.system": "memcached",
        "out.host": "127.0.0.1",
        "network.destination.port": port,
        "_dd.measured": 1,
        **changes.pop("tags", {}),
    }
    shape = {"trace": 1, "parent": 0, "service": "memcached", "name": NAMES[library], "type": "cache", "error": 0}
    return {**shape, "resource": resource, "tags": tags, **changes}


def test_commands(client: Any, library: str, memcached_port: int, recorder: Recorder) -> None:
    with default_tracer.trace("work") as work:
        assert client.set("key", "5")
        assert client.get("key") is not None
        assert client.get("missing") is None
        assert client.incr("key", 2) == 7
        assert not client.set_multi({"a": "1", "b": "2"})
        assert len(client.get_multi(["a", "b", "c"])) == 2
        assert client.delete_multi(["a", "b"])
        assert active.get() is work
    many = "many" if library == "pymemcache" else "multi"

    def expected(resource: str, **tags: Any) -> dict[str, Any]:
        tags = {key.replace("_", ".", 1): value for key, value in tags.items()}
        return command(library, memcached_port, resource, parent=1, tags=tags)

    spans = recorder.take()[1:]
    assert spans == [
        expected("set"),
        expected("get", db_row_count=1),
        expected("get", db_row_count=0),
        expected("incr"),
        expected(f"set_{many}", memcached_key_count=2),
        expected(f"get_{many}", memcached_key_count=3, db_row_count=2),
        expected(f"delete_{many}", memcached_key_count=2),
    ]


def test_an_error(client: Any, library: str, memcached_port: int, recorder: Recorder) -> None:
    client.set("key", "text")
    recorder.take()
    with default_tracer.trace("work") as work:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - each library has its own
            client.incr("key", 1)
        assert active.get() is work
    expected = command(library, memcached_port, "incr", parent=1, error=1, tags=failed(caught.value))
    assert recorder.take()[1:] == [{**expected, "trace": 1}]


def test_keys_and_values_are_not_shown(client: Any, recorder: Recorder) -> None:
    client.set("hunter2", "hunter2")
    client.get("hunter2")
    client.set_multi({"hunter2": "hunter2"})
    with contextlib.suppress(Exception):
        client.incr("hunter2", 1)
    assert "hunter2" not in repr(recorder.take())


def test_keys_that_are_read_once(memcached_port: int, recorder: Recorder) -> None:
    patch(pymemcache=True)
    with contextlib.closing(pymemcache.Client(("127.0.0.1", memcached_port))) as client:
        assert client.get_many(key for key in ("no", "none")) == {}
        assert client.gets("no") == (None, None)
        assert client.get("no", default=1) == 1
    spans = recorder.take()
    assert [span["tags"]["db.row_count"] for span in spans] == [0, 0, 0]
    assert "memcached.key_count" not in spans[0]["tags"]


def test_pools_and_several_servers(memcached_port: int, recorder: Recorder) -> None:
    patch(pymemcache=True)
    server = ("127.0.0.1", memcached_port)
    with contextlib.closing(pymemcache.PooledClient(server)) as pooled:
        pooled.set("key", "value", noreply=False)  # or the other connection may be quicker
    with contextlib.closing(HashClient([server])) as several:
        assert several.get("key") == b"value"
        assert several.get_many(["key"]) == {"key": b"value"}
        with default_tracer.trace("work"):
            several.set_many({"key": "value"})
    assert [(span["name"], span["resource"], span["parent"]) for span in recorder.take()] == [
        ("memcached.command", "set", 0),
        ("memcached.command", "get", 0),
        ("memcached.command", "get_many", 0),
        ("work", "work", 0),
        ("memcached.command", "set_many", 4),
    ]


def test_nobody_listens(library: str, recorder: Recorder) -> None:
    patch(**{library: True})
    port = free_port()
    client: Any
    if library == "pymemcache":
        client = pymemcache.Client(("127.0.0.1", port))
    else:
        client = pylibmc.Client([f"127.0.0.1:{port}"])
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each library has its own
        client.get("key")
    tags = failed(caught.value)
    tags["error.stack"] = tags["error.stack"].removeprefix("builtins.")
    assert recorder.take() == [command(library, port, "get", error=1, tags=tags)]


def test_a_server_that_does_not_answer(library: str, recorder: Recorder) -> None:
    """The time-outs are the library's own, and so is what comes of them: pylibmc's None, and then that it is down."""

    def found(port: int) -> list[Any]:
        client: Any
        if library == "pymemcache":
            client = pymemcache.Client(("127.0.0.1", port), timeout=0.3)
        else:
            client = pylibmc.Client([f"127.0.0.1:{port}"], behaviors={"receive_timeout": 300_000, "_poll_timeout": 300})
        with default_tracer.trace("work") as work:
            outcomes = [outcome(lambda: client.get("key")) for _ in range(2)]
            assert active.get() is work
        return outcomes

    with socket.create_server(("127.0.0.1", 0)) as server:
        unpatch(library)
        without = found(server.getsockname()[1])
        recorder.take()
        patch(**{library: True})
        assert found(server.getsockname()[1]) == without
    assert without != [None, None]
    spans = [span for span in recorder.take() if span["name"] != "work"]
    assert [span["error"] for span in spans] == [int(each is not None) for each in without]


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "set": lambda c: c.set("k", "v"),
    "get": lambda c: c.get("k"),
    "add": lambda c: (c.add("k", "w"), c.add("new", "w")),
    "replace": lambda c: (c.replace("k", "x"), c.replace("none", "x")),
    "append": lambda c: (c.append("k", b"y"), c.prepend("k", b"z"), c.get("k")),
    "delete": lambda c: c.delete("k"),
    "not a number": lambda c: (c.set("t", "text"), c.incr("t", 1)),
    "many": lambda c: (c.set_multi({"a": "1"}), c.get_multi(["a", "z"])),
    "item": lambda c: (c.__setitem__("i", "1"), c["i"]),
    "no item": lambda c: c["none"],
    "no key": lambda c: c.get(),
    "long key": lambda c: c.get("k" * 300),
    "touch": lambda c: c.touch("t", 10),
}


def test_same_results_with_and_without(client: Any, library: str, recorder: Recorder) -> None:
    def found() -> dict[str, Any]:
        client.flush_all()
        return outcomes(OPERATIONS, client)

    unpatch(library)
    without = found()
    assert recorder.take() == []
    patch(**{library: True})
    assert found() == without
    assert len(recorder.take()) > len(OPERATIONS)
