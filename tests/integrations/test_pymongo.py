"""MongoDB, with the real driver over the real protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pymongo
import pytest
from pymongo import InsertOne, MongoClient, UpdateOne, WriteConcern
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, NetworkTimeout, OperationFailure

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.likeness import outcomes
from tests.integrations.recorder import Recorder, failed
from tests.servers.mongo import MongoServer


@pytest.fixture
def server() -> Iterator[MongoServer]:
    with MongoServer() as server:
        server.documents["people"] = [{"_id": number, "name": "ann"} for number in range(5)]
        yield server


@pytest.fixture
def client(server: MongoServer) -> Iterator[MongoClient[Any]]:
    patch(pymongo=True)
    with MongoClient("127.0.0.1", server.port, retryReads=False) as client:
        yield client


# What only some of the versions have that we support.
ASYNCIO = pytest.mark.skipif(not hasattr(pymongo, "AsyncMongoClient"), reason="pymongo has asyncio from 4.9 on")
BULK = pytest.mark.skipif(not hasattr(MongoClient, "bulk_write"), reason="clients have bulk writes from 4.9 on")


def command(port: int, resource: str, rows: int | None, **changes: Any) -> dict[str, Any]:
    """Return the span of one command; its resource is made of what the tags hold."""
    tags = {
        "component": "pymongo",
        "span.kind": "client",
        "db.system": "mongodb",
        "mongodb.db": "shop",
        "out.host": "127.0.0.1",
        "network.destination.port": port,
        "_dd.measured": 1,
        **changes.pop("tags", {}),
    }
    _, collection, query, *_ = [*resource.split(" ", 2), "", ""]
    if collection:
        tags["mongodb.collection"] = collection
    if query:
        tags["mongodb.query"] = query
    if rows is not None:
        tags["db.row_count"] = rows
    shape = {"trace": 1, "parent": 0, "service": "pymongo", "name": "pymongo.cmd", "type": "mongodb", "error": 0}
    return {**shape, "resource": resource, "tags": tags, **changes}


def test_commands(client: MongoClient[Any], server: MongoServer, recorder: Recorder) -> None:
    people = client.shop.people
    with default_tracer.trace("work") as work:
        people.insert_many([{"name": "bob"}, {"name": "bob"}])
        people.update_many({"name": "bob"}, {"$set": {"age": 5}})
        people.delete_one({"name": "bob", "age": {"$gt": 3}})
        assert client.shop.command("ping") == {"ok": 1.0}
        assert active.get() is work
    port = server.port
    assert recorder.take()[1:] == [
        command(port, "insert people", 2, parent=1),
        command(port, 'update people {"name": "?"}', 2, parent=1),
        command(port, 'delete people {"name": "?", "age": {"$gt": "?"}}', 0, parent=1),
        command(port, "ping", None, parent=1),
    ]


def test_each_batch_of_a_cursor(client: MongoClient[Any], server: MongoServer, recorder: Recorder) -> None:
    with default_tracer.trace("work") as work:
        assert len(list(client.shop.people.find({"name": "ann"}))) == 5
        assert len(list(client.shop.people.aggregate([{"$match": {"name": "bob"}}, {"$limit": 5}]))) == 0
        assert active.get() is work
    assert recorder.take()[1:] == [
        command(server.port, 'find people {"name": "?"}', 2, parent=1),
        command(server.port, "getMore people", 2, parent=1),
        command(server.port, "getMore people", 1, parent=1),
        command(server.port, 'aggregate people [{"$match": {"name": "?"}}, {"$limit": "?"}]', 0, parent=1),
    ]


def test_a_bulk_write(client: MongoClient[Any], server: MongoServer, recorder: Recorder) -> None:
    requests: list[Any] = [InsertOne({"_id": 9}), UpdateOne({"_id": 9}, {"$set": {"a": 1}}), InsertOne({"_id": 9})]
    with pytest.raises(BulkWriteError):
        client.shop.people.bulk_write(requests)
    message = "E11000 duplicate key error collection: shop.people index: _id_ dup key: { _id: 9 }"
    error = {"error.type": "pymongo.errors.WriteError", "error.message": message}
    assert recorder.take() == [
        command(server.port, "insert people", 1),
        command(server.port, 'update people {"_id": "?"}', 1, trace=2),
        command(server.port, "insert people", 0, trace=3, error=1, tags=error),
    ]


@BULK
def test_a_bulk_write_of_the_client(client: MongoClient[Any], server: MongoServer, recorder: Recorder) -> None:
    inserts: list[Any] = [InsertOne({"_id": number}, namespace="shop.pets") for number in range(2)]
    assert client.bulk_write(inserts).inserted_count == 2
    with pytest.raises(pymongo.errors.ClientBulkWriteException) as caught:
        client.bulk_write([pymongo.DeleteOne({"_id": 1}, namespace="shop.pets")])
    tags = {"mongodb.db": "admin"}
    assert caught.value.error is not None
    assert recorder.take() == [
        command(server.port, "bulkWrite", 2, tags=tags),
        command(server.port, "bulkWrite", None, trace=2, error=1, tags={**tags, **failed(caught.value.error)}),
    ]


def test_an_explanation(client: MongoClient[Any], server: MongoServer, recorder: Recorder) -> None:
    with pytest.raises(OperationFailure) as caught:  # the server has none
        client.shop.people.find({"name": "ann"}).explain()
    assert recorder.take() == [command(server.port, "explain", None, error=1, tags=failed(caught.value))]


def test_an_unacknowledged_write(client: MongoClient[Any], server: MongoServer, recorder: Recorder) -> None:
    client.shop.people.with_options(write_concern=WriteConcern(w=0)).insert_one({"_id": 9})
    assert recorder.take() == [command(server.port, "insert people", None)]


@pytest.mark.parametrize(("collection", "kind"), [("fails", OperationFailure), ("closes", AutoReconnect)])
def test_errors(
    collection: str, kind: type[Exception], client: MongoClient[Any], server: MongoServer, recorder: Recorder
) -> None:
    with default_tracer.trace("work") as work:
        with pytest.raises(kind) as caught:
            client.shop[collection].find_one({"a": 1})
        assert active.get() is work
    (span,) = recorder.take()[1:]
    if kind is AutoReconnect:  # raised in place of the socket's
        assert (span["error"], span["resource"]) == (1, 'find closes {"a": "?"}')
    else:
        resource = f'find {collection} {{"a": "?"}}'
        assert span == command(server.port, resource, None, parent=1, error=1, tags=failed(caught.value))


def test_a_timeout(server: MongoServer, recorder: Recorder) -> None:
    patch(pymongo=True)
    with (
        MongoClient("127.0.0.1", server.port, retryReads=False, socketTimeoutMS=20) as client,
        pytest.raises(NetworkTimeout),
    ):
        client.shop.slow.find_one()
    server.released.set()
    (span,) = recorder.take()
    assert (span["resource"], span["error"]) == ("find slow {}", 1)


@ASYNCIO
def test_asyncio(server: MongoServer, recorder: Recorder) -> None:
    patch(pymongo=True)

    async def main() -> None:
        async with pymongo.AsyncMongoClient("127.0.0.1", server.port, retryReads=False) as client:
            people = client.shop.people
            with default_tracer.trace("work") as work:
                assert len(await people.find({"name": "ann"}).to_list()) == 5
                await asyncio.gather(*(people.insert_one({"a": number}) for number in range(2)))
                with pytest.raises(DuplicateKeyError):
                    await people.insert_one({"_id": 1})
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(client.shop.slow.find_one(), 0.05)
                assert active.get() is work
            server.released.set()

    asyncio.run(main())
    spans = recorder.take()[1:]
    assert spans[:5] == [
        command(server.port, 'find people {"name": "?"}', 2, parent=1),
        *[command(server.port, "getMore people", rows, parent=1) for rows in (2, 1)],
        *[command(server.port, "insert people", 1, parent=1)] * 2,
    ]
    assert [(span["resource"], span["error"], span["tags"]["error.type"]) for span in spans[5:]] == [
        ("insert people", 1, "pymongo.errors.WriteError"),
        ("find slow {}", 1, "asyncio.exceptions.CancelledError"),
    ]


def test_no_value_leaves(client: MongoClient[Any], exported: Recorder) -> None:
    client.shop.people.insert_one({"name": "hunter2"})
    client.shop.people.find_one({"$or": [{"name": "hunter2"}, {"name": {"$in": ["hunter2"]}}]})
    client.shop.people.update_one({"name": "hunter2"}, {"$set": {"name": "hunter2"}})
    client.shop.people.insert_one({"_id": "hunter2"})
    with pytest.raises(DuplicateKeyError):
        client.shop.people.insert_one({"_id": "hunter2"})
    with pytest.raises(OperationFailure):
        client.shop.fails.find_one({"name": "hunter2"})
    spans = exported.take()
    assert spans[1]["resource"] == 'find people {"$or": [{"name": "?"}, {"name": {"$in": ["?"]}}]}'
    assert "hunter2" not in repr(spans)


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "insert": lambda p: p.insert_one({"_id": 10}).inserted_id,
    "again": lambda p: p.insert_one({"_id": 10}),
    "find": lambda p: list(p.find({"name": "ann"}).sort("_id")),
    "find one": lambda p: p.find_one(10),
    "raw": lambda p: len(list(p.find_raw_batches({"name": "ann"}))),
    "update": lambda p: p.update_one({"_id": 10}, {"$set": {"a": 1}}).raw_result,
    "no operator": lambda p: p.update_one({"_id": 10}, {"a": 1}),
    "delete": lambda p: p.delete_one({"_id": 10}).deleted_count,
    "unknown": lambda p: p.database.command("nonsense"),
    "fails": lambda p: p.database.fails.find_one({}),
    "closes": lambda p: p.database.closes.find_one({}),
    "not encodable": lambda p: p.insert_one({"_id": 12, "a": object()}),
    "timeout": lambda p: late(p.database.client),
}


def late(client: MongoClient[Any]) -> None:
    """Wait longer than a client does."""
    host, port = client.address or ("", 0)
    with MongoClient(host, port, retryReads=False, socketTimeoutMS=200) as hasty:
        hasty.shop.slow.find_one()


def test_same_results_with_and_without(client: MongoClient[Any], recorder: Recorder) -> None:
    unpatch("pymongo")
    without = outcomes(OPERATIONS, client.shop.people)
    assert recorder.take() == []
    patch(pymongo=True)
    assert outcomes(OPERATIONS, client.shop.people) == without
    assert len(recorder.take()) >= 11
