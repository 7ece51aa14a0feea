"""Elasticsearch: the real clients, over HTTP."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from elastic_transport import ConnectionError, ConnectionTimeout
from elasticsearch import ApiError, AsyncElasticsearch, BadRequestError, Elasticsearch, NotFoundError
from elasticsearch.helpers import bulk

from ddmiddleware import config, patch, patch_all, unpatch
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.likeness import awaited_outcomes, cancelled, outcomes
from tests.integrations.recorder import Recorder, failed
from tests.integrations.search_spans import QUERY, SHOWN, request
from tests.servers.elastic import ElasticServer


@pytest.fixture
def server() -> Iterator[ElasticServer]:
    with ElasticServer() as server:
        yield server


@pytest.fixture
def client(server: ElasticServer) -> Iterator[Elasticsearch]:
    patch(elasticsearch=True)
    with Elasticsearch([f"http://127.0.0.1:{server.port}"], max_retries=0) as client:
        yield client


def test_requests(client: Elasticsearch, server: ElasticServer, recorder: Recorder) -> None:
    with default_tracer.trace("work") as work:
        client.index(index="people-2026.11", id="ann", document={"name": "ann", "age": 31})
        assert client.get(index="people", id="ann")["_source"]["name"] == "ann"
        assert client.search(index="people", query=QUERY, q="name:ann")["hits"]["total"]["value"] == 1
        assert not client.exists(index="people", id="7")
        assert active.get() is work
    body = {"elasticsearch.body": '{"name": "?", "age": "?"}'}
    found = {"elasticsearch.body": SHOWN, "elasticsearch.params": "q=?", "elasticsearch.took": 3, "db.row_count": 1}
    path, port = "/people-2026.11/_doc/ann", server.port
    assert recorder.take()[1:] == [
        request(port, "PUT", path, 201, parent=1, resource="PUT /people-?.?/_doc/?", tags=body),
        request(port, "GET", "/people/_doc/ann", 200, parent=1, resource="GET /people/_doc/?"),
        request(port, "POST", "/people/_search", 200, parent=1, tags=found),
        request(port, "HEAD", "/people/_doc/7", 404, parent=1, resource="HEAD /people/_doc/?"),
    ]


def test_many_at_once(client: Elasticsearch, server: ElasticServer, recorder: Recorder) -> None:
    bulk(client, [{"_index": "people", "_id": number, "name": "ann"} for number in range(2)])
    (span,) = recorder.take()
    assert (span["resource"], span["tags"]["elasticsearch.took"]) == ("PUT /_bulk", 5)


def test_errors_of_the_server(client: Elasticsearch, server: ElasticServer, recorder: Recorder) -> None:
    with pytest.raises(BadRequestError):
        client.search(index="people", query={"nonsense": {}})
    with pytest.raises(NotFoundError):
        client.get(index="people", id="7")
    kind = {"error.type": "parsing_exception", "elasticsearch.body": '{"query": {"nonsense": {}}}'}
    assert recorder.take() == [
        request(server.port, "POST", "/people/_search", 400, error=1, tags=kind),
        request(server.port, "GET", "/people/_doc/7", 404, trace=2, resource="GET /people/_doc/?"),
    ]


def test_a_connection_that_is_lost(client: Elasticsearch, server: ElasticServer, recorder: Recorder) -> None:
    with pytest.raises(ConnectionError) as caught:
        client.get(index="drop", id="a")
    expected = request(server.port, "GET", "/drop/_doc/a", None, error=1, resource="GET /drop/_doc/?")
    expected["tags"].update(failed(caught.value))
    (span,) = recorder.take()
    assert span["tags"].pop("error.stack")
    del expected["tags"]["error.stack"]
    assert span == expected


def test_a_timeout(client: Elasticsearch, server: ElasticServer, recorder: Recorder) -> None:
    with pytest.raises(ConnectionTimeout):
        client.options(request_timeout=0.02).get(index="slow", id="a")
    server.released.set()
    (span,) = recorder.take()
    assert (span["error"], span["tags"]["error.type"]) == (1, "elastic_transport.ConnectionTimeout")


def test_asyncio(server: ElasticServer, recorder: Recorder) -> None:
    patch(elasticsearch=True)

    async def main() -> None:
        async with AsyncElasticsearch([f"http://127.0.0.1:{server.port}"], max_retries=0) as client:
            with default_tracer.trace("work") as work:
                await asyncio.gather(*(client.search(index="people") for _ in range(2)))
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(client.get(index="slow", id="a"), 0.05)
                assert active.get() is work
            server.released.set()

    asyncio.run(main())
    tags = {"elasticsearch.took": 3, "db.row_count": 0}
    spans = recorder.take()[1:]
    assert spans[:2] == [request(server.port, "POST", "/people/_search", 200, parent=1, tags=tags)] * 2
    assert [(span["error"], span["tags"]["error.type"]) for span in spans[2:]] == [
        (1, "asyncio.exceptions.CancelledError")
    ]


def test_one_message_has_one_span(server: ElasticServer, recorder: Recorder) -> None:
    """Whatever is below it gets none, and the headers that go out are of the one."""
    patch_all()
    with Elasticsearch([f"http://127.0.0.1:{server.port}"]) as client:
        client.search(index="people")
    assert recorder.names() == ["elasticsearch.query"]
    assert "x-datadog-trace-id" in server.requests[0][1]


def test_every_attempt_carries_the_trace(server: ElasticServer, recorder: Recorder) -> None:
    """Also where what is beneath is not traced; the caller's own headers stay, and his mapping as it is."""
    patch(elasticsearch=True)
    own = {"mine": "1"}
    with Elasticsearch([f"http://127.0.0.1:{server.port}"], max_retries=2, retry_on_status=[500]) as client:
        with pytest.raises(ApiError):
            client.options(headers=own).search(index="broken")
        config.elasticsearch["distributed_tracing"] = False
        try:
            client.search(index="people")
        finally:
            config.elasticsearch["distributed_tracing"] = None
    assert own == {"mine": "1"}
    span = recorder[0]
    sent = [(headers.get("mine"), headers.get("x-datadog-parent-id")) for _, headers in server.requests]
    assert sent == [("1", str(span.span_id))] * 3 + [(None, None)]


def test_no_value_leaves(client: Elasticsearch, server: ElasticServer, exported: Recorder) -> None:
    client.index(index="people", document={"name": "hunter2"})
    client.search(index="people", query={"match": {"name": "hunter2"}}, q="hunter2")
    client.bulk(operations='{"index": {"_id": "hunter2"}}\n{"name": "hunter2"}\n', index="people")
    client.bulk(operations=[{"index": {"_id": "hunter2"}}, {"name": "hunter2"}], index="people")
    for index in ("people", "broken"):
        with pytest.raises(Exception):  # noqa: B017, PT011 - the two are not alike
            client.search(index=index, query={"nonsense": "hunter2"})
    spans = exported.take()
    assert len(spans) == 6
    assert spans[2]["tags"]["elasticsearch.body"] == '{"index": {"_id": "?"}} {"name": "?"} '
    assert "hunter2" not in repr(spans)


OPERATIONS: dict[str, Callable[[Elasticsearch], Any]] = {
    "info": lambda c: c.info().body,
    "index": lambda c: c.index(index="people", id="1", document={"a": 1}).body,
    "get": lambda c: c.get(index="people", id="1").body,
    "missing": lambda c: c.get(index="people", id="9"),
    "ignored": lambda c: c.options(ignore_status=404).get(index="people", id="9").body,
    "exists": lambda c: bool(c.exists(index="people", id="1")),
    "search": lambda c: c.search(index="people", query={"match_all": {}}).body,
    "bad": lambda c: c.search(index="people", query={"nonsense": {}}),
    "broken": lambda c: c.search(index="broken"),
    "drop": lambda c: c.search(index="drop"),
    "not encodable": lambda c: c.index(index="people", document={"a": object}),
    "raw": lambda c: c.perform_request("GET", "/people/_doc/1", headers={"accept": "application/json"}).body,
    "timeout": lambda c: c.options(request_timeout=0.2).get(index="slow", id="a"),
}


def test_same_results_with_and_without(client: Elasticsearch, server: ElasticServer, recorder: Recorder) -> None:
    unpatch("elasticsearch")
    without = outcomes(OPERATIONS, client)
    assert recorder.take() == []
    patch(elasticsearch=True)
    assert outcomes(OPERATIONS, client) == without
    assert len(recorder.take()) == len(OPERATIONS)


async def body(answer: Awaitable[Any]) -> Any:
    """Return what can be compared of an answer."""
    return (await answer).body


AWAITED: dict[str, Callable[[AsyncElasticsearch], Awaitable[Any]]] = {
    "info": lambda c: body(c.info()),
    "index": lambda c: body(c.index(index="people", id="1", document={"a": 1})),
    "missing": lambda c: c.get(index="people", id="9"),
    "search": lambda c: body(c.search(index="people", query={"match_all": {}})),
    "bad": lambda c: c.search(index="people", query={"nonsense": {}}),
    "drop": lambda c: c.search(index="drop"),
    "not encodable": lambda c: c.index(index="people", document={"a": object}),
    "timeout": lambda c: c.options(request_timeout=0.2).get(index="slow", id="a"),
    "out of time": lambda c: asyncio.wait_for(c.get(index="slow", id="a"), 0.05),
    "cancelled": lambda c: cancelled(c.get(index="slow", id="a")),
    "after that": lambda c: body(c.get(index="people", id="1")),
}


def test_same_results_with_and_without_in_asyncio(server: ElasticServer, recorder: Recorder) -> None:
    async def found() -> dict[str, Any]:
        async with AsyncElasticsearch([f"http://127.0.0.1:{server.port}"], max_retries=0) as client:
            return await awaited_outcomes(AWAITED, client)

    without = asyncio.run(found())
    assert recorder.take() == []
    patch(elasticsearch=True)
    assert asyncio.run(found()) == without
    assert len(recorder.take()) >= len(AWAITED) - 1


def test_warnings_point_at_the_caller(client: Elasticsearch, recorder: Recorder) -> None:
    """The client counts the frames of its own to find who called: it must not find ours."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client.search(index="old")
    assert [(str(warning.message), warning.filename) for warning in caught] == [("this index is old", __file__)]
    assert len(recorder.take()) == 1
