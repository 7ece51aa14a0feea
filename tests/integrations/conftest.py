"""What the integrations are tested against, and what must hold after every test."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ddmiddleware import unpatch
from ddmiddleware.integrations import TABLE, _http_client, is_on
from ddmiddleware.tracing import active, default_settings, default_tracer, guarded, open_redaction
from tests.integrations import examples_sql
from tests.integrations.database_servers import mariadb, postgres
from tests.integrations.example import Names
from tests.integrations.examples import EXAMPLES
from tests.integrations.mysql_drivers import required
from tests.integrations.rabbit_server import RabbitServer
from tests.integrations.recorder import Recorder
from tests.integrations.rows import Imported
from tests.integrations.servers import HttpServer, MemcachedServer, RedisServer, free_port
from tests.integrations.wire import Wire


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing stays patched, no span active and no thread alive; an error of ours fails the test that met it."""
    monkeypatch.setattr(guarded, "raises", True)
    monkeypatch.setattr(default_settings, "_values", {})
    for name in ("DD_PATCH_MODULES", "DD_TRACE_ENABLED", "DD_LOGS_INJECTION"):
        monkeypatch.delenv(name, raising=False)
    assert active.get() is None
    before = set(threading.enumerate())
    yield
    left = active.get()
    active.set(None)
    unpatch()
    default_settings._values.clear()
    for changed in default_settings._listeners:  # what took over a setting of this test's
        changed("")
    assert left is None
    assert not [name for name in TABLE if is_on(name)]
    for thread in set(threading.enumerate()) - before:
        if "process_request_thread" in thread.name or thread.name == "event_loop":
            continue  # of the server here; of Cassandra's driver, one for all of the process
        thread.join(10)
        assert not thread.is_alive(), thread


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> Imported:
    """Return a function that makes an application's module with an example's imports."""

    def imported_by(name: str) -> Names:
        application = ModuleType("application")
        exec(EXAMPLES[name].imports, application.__dict__)
        monkeypatch.setitem(sys.modules, f"application{len(sys.modules)}", application)
        return application.__dict__

    return imported_by


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real server on a free port."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def rabbit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """A real RabbitMQ on a free port."""
    with RabbitServer(tmp_path_factory.mktemp("rabbit")) as server:
        yield server


@pytest.fixture
def rabbit(rabbit_server: RabbitServer) -> Iterator[Any]:
    """Kombu's connection to RabbitMQ."""
    import kombu

    with kombu.Connection(rabbit_server.url) as connection:
        yield connection


@pytest.fixture
def memory() -> Iterator[Any]:
    """Kombu's connection to a broker in memory."""
    import kombu

    with kombu.Connection("memory://") as connection:
        yield connection


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real server that is a cluster by itself."""
    import redis

    directory, bus = tmp_path_factory.mktemp("cluster"), str(free_port())
    with RedisServer(directory, "--cluster-enabled", "yes", "--cluster-port", bus) as server:
        with contextlib.closing(redis.Redis(port=server.port)) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            deadline = time.monotonic() + 10
            while "cluster_state:ok" not in str(client.execute_command("CLUSTER", "INFO")):
                assert time.monotonic() < deadline, "the cluster does not get ready"
                time.sleep(0.01)
        yield server


@pytest.fixture(scope="session")
def memcached_port() -> Iterator[int]:
    """A real server's port."""
    with MemcachedServer() as server:
        yield server.port


@pytest.fixture
def redis_port(redis_server: RedisServer, recorder: Recorder) -> int:
    """The server's port; it holds nothing."""
    import redis

    with contextlib.closing(redis.Redis(port=redis_server.port)) as client:
        client.flushall()
        client.script_flush()
    recorder.take()
    return redis_server.port


@pytest.fixture(scope="session")
def postgres_port() -> Iterator[int]:
    """The port of a real PostgreSQL, which examples read in the environment."""
    with postgres() as port, pytest.MonkeyPatch.context() as environment:
        environment.setenv(examples_sql.POSTGRES, str(port))
        yield port


@pytest.fixture(scope="session")
def mariadb_port() -> Iterator[int]:
    """The port of a real MariaDB, which examples read in the environment."""
    with mariadb() as port, pytest.MonkeyPatch.context() as environment:
        environment.setenv(examples_sql.MARIADB, str(port))
        yield port


@pytest.fixture(autouse=True)
def _server_of_the_example(request: pytest.FixtureRequest) -> None:
    """Start what the example of this row needs; it is skipped where its library is not installed."""
    row = request.node.callspec.params.get("name") if hasattr(request.node, "callspec") else None
    if row in examples_sql.NATIVE:
        required(examples_sql.NATIVE[row])
    if row in examples_sql.SERVERS:
        request.getfixturevalue(examples_sql.SERVERS[row])


@pytest.fixture(scope="session")
def _http_server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture
def http_server(_http_server: HttpServer) -> Iterator[HttpServer]:
    """A real server that records what it is asked."""
    _http_server.requests.clear()
    _http_server.released.clear()
    yield _http_server
    _http_server.released.set()


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A server that records what it is sent as it came."""
    with Wire() as wire:
        yield wire


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was sent past the libraries' steps: one entry for each request."""
    seen: list[str] = []
    lines = _http_client.lines

    def noted(headers: dict[str, str]) -> bytes:
        seen.append(headers["traceparent"])
        return lines(headers)

    monkeypatch.setattr(_http_client, "lines", noted)
    return seen


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """What exporters get: the spans without secrets and literals."""
    recorder = Recorder(open_redaction(default_settings))
    monkeypatch.setattr(default_tracer, "export", recorder)
    return recorder


@pytest.fixture
def root() -> Path:
    """The repository."""
    return Path(__file__).parent.parent.parent


@pytest.fixture
def connection(recorder: Recorder) -> Iterator[sqlite3.Connection]:
    """An empty table, in a database whose tests have sqlite3 patched."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table t (a, b)")
        recorder.take()
        yield connection
