"""MongoDB with the driver's asyncio client: what is cancelled, and what is the same without us."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pymongo
import pytest
from pymongo import InsertOne

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.likeness import awaited_outcomes, cancelled
from tests.integrations.recorder import Recorder
from tests.servers.mongo import MongoServer

pytestmark = pytest.mark.skipif(not hasattr(pymongo, "AsyncMongoClient"), reason="pymongo has asyncio from 4.9 on")


@pytest.fixture
def server() -> Iterator[MongoServer]:
    with MongoServer() as server:
        server.documents["people"] = [{"_id": number, "name": "ann"} for number in range(5)]
        yield server


def asynchronously(server: MongoServer, use: Callable[[Any], Awaitable[Any]]) -> Any:
    """Run *use* with a database of an asyncio client, and see that it leaves the caller's active span alone."""

    async def run() -> Any:
        client = pymongo.AsyncMongoClient[Any]("127.0.0.1", server.port, retryReads=False, retryWrites=False)
        async with client:
            with default_tracer.trace("work") as work:
                found = await use(client.shop)
                assert active.get() is work
            assert active.get() is None
        return found

    return asyncio.run(run())


async def aggregated(collection: Any, *stages: Any) -> list[Any]:
    """Return what an aggregation finds."""
    return list(await (await collection.aggregate([*stages])).to_list())


# Each waits for an answer of the server.
SLOW: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "find slow": lambda shop: shop.slow.find_one(),
    "aggregate slow": lambda shop: aggregated(shop.slow),
    "insert slow": lambda shop: shop.slow.insert_one({}),
    "update slow": lambda shop: shop.slow.update_one({}, {"$set": {"a": 1}}),
    "insert slow, of many": lambda shop: shop.slow.bulk_write([InsertOne({}), InsertOne({})]),
    "ping slow": lambda shop: shop.command("ping", "slow"),
}


def waits(server: MongoServer) -> bool:
    """Return whether the server has got what it does not answer."""
    return any("slow" in map(str, command.values()) for command in server.commands)


@pytest.mark.parametrize(
    ("how", "operation"),
    [*(("cancel", operation) for operation in SLOW), ("wait_for", "find slow"), ("never awaited", "find slow")],
)
def test_cancelled(how: str, operation: str, server: MongoServer, recorder: Recorder) -> None:
    async def use(shop: Any) -> None:
        work = active.get()
        await shop.command("ping")
        waiting: Any = SLOW[operation](shop)
        if how == "never awaited":
            waiting.close()
        elif how == "wait_for":
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(waiting, 0.05)
        else:
            with pytest.raises(asyncio.CancelledError):
                await cancelled(waiting, lambda: waits(server))
        assert active.get() is work
        server.released.set()
        await shop.command("ping")

    patch(pymongo=True)
    asynchronously(server, use)
    spans = [(span["resource"], span["parent"], span["tags"].get("error.type")) for span in recorder.take()[1:]]
    resource = operation.partition(",")[0].removeprefix("ping slow") or "ping slow"
    found = [(each.partition(" {")[0].partition(" [")[0], parent, error) for each, parent, error in spans]
    lost = [(resource, 1, "asyncio.exceptions.CancelledError")] if how != "never awaited" else []
    assert found == [("ping", 1, None), *lost, ("ping", 1, None)]


async def late(shop: Any) -> Any:
    """Wait longer than a client does."""
    host, port = await shop.client.address
    async with pymongo.AsyncMongoClient[Any](host, port, retryReads=False, socketTimeoutMS=200) as hasty:
        return await hasty.shop.slow.find_one()


OPERATIONS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "insert": lambda shop: shown(shop.people.insert_one({"_id": 10}), "inserted_id"),
    "again": lambda shop: shop.people.insert_one({"_id": 10}),
    "find": lambda shop: shop.people.find({"name": "ann"}).sort("_id").to_list(),
    "find one": lambda shop: shop.people.find_one(10),
    "aggregate": lambda shop: aggregated(shop.people, {"$match": {"name": "ann"}}),
    "update": lambda shop: shown(shop.people.update_one({"_id": 10}, {"$set": {"a": 1}}), "raw_result"),
    "no operator": lambda shop: shop.people.update_one({"_id": 10}, {"a": 1}),
    "many": lambda shop: shop.people.bulk_write([InsertOne({"_id": 11}), InsertOne({"_id": 11})]),
    "delete": lambda shop: shown(shop.people.delete_many({"_id": 10}), "deleted_count"),
    "delete another": lambda shop: shown(shop.people.delete_many({"_id": 11}), "deleted_count"),
    "unknown": lambda shop: shop.command("nonsense"),
    "fails": lambda shop: shop.fails.find_one({}),
    "closes": lambda shop: shop.closes.find_one({}),
    "not encodable": lambda shop: shop.people.insert_one({"_id": 12, "a": object()}),
    "wrong call": lambda shop: shop.people.insert_one(),
    "at once": lambda shop: asyncio.gather(*(shop.people.find_one(number) for number in range(3))),
    "timeout": late,
    "out of time": lambda shop: asyncio.wait_for(shop.slow.find_one(), 0.05),
    "cancelled": lambda shop: cancelled(shop.slow.find_one()),
    "after that": lambda shop: shop.command("ping"),
}


async def shown(result: Awaitable[Any], attribute: str) -> Any:
    """Return what can be compared of a result."""
    return getattr(await result, attribute)


def test_same_results_with_and_without(server: MongoServer, recorder: Recorder) -> None:
    async def use(shop: Any) -> Any:
        return await awaited_outcomes(OPERATIONS, shop)

    without = asynchronously(server, use)
    assert recorder.names() == ["work"]
    patch(pymongo=True)
    assert asynchronously(server, use) == without
    unpatch("pymongo")
    assert len(recorder.take()) > len(OPERATIONS)
