"""The examples of databases and caches, by name; those whose clients connect first have a server of their own."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from tests.integrations.example import Example, Names
from tests.integrations.recorder import Recorder
from tests.servers.cql import CqlServer
from tests.servers.mongo import MongoServer


def _cassandra(names: Names, server: CqlServer, policy: Any) -> Any:
    profile = names["ExecutionProfile"](load_balancing_policy=policy)
    return names["Cluster"](
        ["127.0.0.1"],
        port=server.port,
        protocol_version=4,
        schema_metadata_enabled=False,
        token_metadata_enabled=False,
        execution_profiles={names["EXEC_PROFILE_DEFAULT"]: profile},
    )


def _use_cassandra(names: Names, recorder: Recorder) -> int:
    recorder.take()
    with CqlServer() as server, _cassandra(names, server, names["RoundRobinPolicy"]()) as cluster:
        cluster.connect().execute("SELECT name FROM people")
    return len(recorder.take())


def _fail_cassandra(names: Names, error: BaseException) -> None:
    base: Any = names["RoundRobinPolicy"]

    class Policy(base):  # type: ignore[misc]
        def make_query_plan(self, working_keyspace: Any = None, query: Any = None) -> Any:
            if query is not None:
                raise error
            yield from super().make_query_plan()

    with CqlServer() as server, _cassandra(names, server, Policy()) as cluster:
        cluster.connect().execute("SELECT name FROM people")


def _use_pymongo(names: Names, recorder: Recorder) -> int:
    recorder.take()
    with MongoServer() as server, names["MongoClient"]("127.0.0.1", server.port) as client:
        client.shop.people.find_one()
    return len(recorder.take())


def _fail_pymongo(names: Names, error: BaseException) -> None:
    base: Any = names["MongoClient"]

    class Client(base):  # type: ignore[misc]
        def _process_response(self, reply: Any, session: Any) -> None:
            if server.commands[-1].get("ping"):
                raise error

    with MongoServer() as server, Client("127.0.0.1", server.port) as client:
        client.shop.command("ping")


def _use_memcached(address: Any) -> Callable[[Names, Recorder], int]:
    def use(names: Names, recorder: Recorder) -> int:
        recorder.take()
        with contextlib.suppress(Exception):
            names["Client"](address).get("key")
        return len(recorder.take())

    return use


def _fail_pymemcache(names: Names, error: BaseException) -> None:
    class Serde:
        def serialize(self, key: Any, value: Any) -> Any:
            raise error

    names["Client"](("127.0.0.1", 1), serde=Serde()).set("key", "value")


def _fail_pylibmc(names: Names, error: BaseException) -> None:
    base: Any = names["Client"]

    class Client(base):  # type: ignore[misc]
        def serialize(self, value: Any) -> Any:
            raise error

    Client(["127.0.0.1:1"]).set("key", "value")


def _use_search(client: str, address: Any) -> Callable[[Names, Recorder], int]:
    def use(names: Names, recorder: Recorder) -> int:
        recorder.take()
        with contextlib.suppress(Exception), names[client]([address], max_retries=0) as connected:
            connected.search(index="people")
        return len(recorder.take())

    return use


def _fail_elasticsearch(names: Names, error: BaseException) -> None:
    base: Any = names["JsonSerializer"]

    class Serializer(base):  # type: ignore[misc]
        def dumps(self, data: Any) -> Any:
            raise error

    with names["Elasticsearch"](["http://127.0.0.1:1"], serializer=Serializer()) as client:
        client.index(index="people", document={})


def _fail_opensearch(names: Names, error: BaseException) -> None:
    class Serializer:
        mimetype = "application/json"

        def dumps(self, data: Any) -> Any:
            raise error

    with names["OpenSearch"](["http://127.0.0.1:1"], serializer=Serializer()) as client:
        client.index(index="people", body={})


def _use_redis(client: str) -> Callable[[Names, Recorder], int]:
    def use(names: Names, recorder: Recorder) -> int:
        recorder.take()
        with contextlib.suppress(Exception):
            names[client](port=1, retry=names["Retry"](names["NoBackoff"](), 0)).ping()
        return len(recorder.take())

    return use


def _fail_redis(client: str) -> Callable[[Names, BaseException], None]:
    def fail(names: Names, error: BaseException) -> None:
        base: Any = names["ConnectionPool"]

        class Pool(base):  # type: ignore[misc]
            def get_connection(self, *args: Any, **kwargs: Any) -> Any:
                raise error

        names[client](connection_pool=Pool()).ping()

    return fail


def _redis(library: str, client: str) -> Example:
    imports = (
        f"from {library} import {client}, ConnectionPool\n"
        f"from {library}.backoff import NoBackoff\nfrom {library}.retry import Retry"
    )
    return Example(imports, _use_redis(client), _fail_redis(client))


# Built where they are installed; where everything is required (in CI), their absence is an error. On Python 3.13 the
# constructor of pylibmc 1.6 leaves an exception behind that nobody catches, with or without us.
NATIVE = ("pylibmc",)
_OPTIONAL = os.environ.get("REQUIRE_SERVICES") != "1"
ABSENT = {name for name in NATIVE if sys.version_info >= (3, 13) or (_OPTIONAL and find_spec(name) is None)}
STORES = {
    "cassandra": Example(
        "from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile\n"
        "from cassandra.policies import RoundRobinPolicy",
        _use_cassandra,
        _fail_cassandra,
    ),
    "elasticsearch": Example(
        "from elasticsearch import Elasticsearch, JsonSerializer",
        _use_search("Elasticsearch", "http://127.0.0.1:1"),
        _fail_elasticsearch,
        over=("httplib", "urllib3"),
    ),
    "opensearch": Example(
        "from opensearchpy import OpenSearch",
        _use_search("OpenSearch", "http://127.0.0.1:1"),
        _fail_opensearch,
        over=("httplib", "urllib3"),
    ),
    "pylibmc": Example("from pylibmc import Client", _use_memcached(["127.0.0.1:1"]), _fail_pylibmc),
    "pymemcache": Example(
        "from pymemcache.client.base import Client", _use_memcached(("127.0.0.1", 1)), _fail_pymemcache
    ),
    "pymongo": Example("from pymongo import MongoClient", _use_pymongo, _fail_pymongo),
    "redis": _redis("redis", "Redis"),
    "valkey": _redis("valkey", "Valkey"),
}
for _name in ABSENT:
    del STORES[_name]
