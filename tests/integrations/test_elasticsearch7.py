"""Elasticsearch's clients of version 7: run with one of them by ``nox -s older``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import elasticsearch
import pytest

from ddmiddleware import patch, patch_all, unpatch
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.likeness import outcomes
from tests.integrations.recorder import Recorder, failed
from tests.integrations.search_spans import QUERY, SEARCHES, SHOWN, request
from tests.servers.elastic import ElasticServer

pytestmark = [
    pytest.mark.skipif(elasticsearch.__version__[0] != 7, reason="another version is installed"),
    pytest.mark.filterwarnings("ignore:The .body. parameter is deprecated:DeprecationWarning"),
]
ASKS_FIRST = elasticsearch.__version__ >= (7, 14)  # whether this is Elasticsearch


@pytest.fixture
def server() -> Iterator[ElasticServer]:
    with ElasticServer(version="7.17.0") as server:
        yield server


@pytest.fixture
def client(server: ElasticServer) -> Any:
    patch(elasticsearch=True)
    client = elasticsearch.Elasticsearch([f"http://127.0.0.1:{server.port}"], max_retries=0)
    yield client
    client.transport.close()


def test_requests(client: Any, server: ElasticServer, recorder: Recorder) -> None:
    with default_tracer.trace("work") as work:
        client.index(index="people-2026.11", id="ann", body={"name": "ann", "age": 31})
        assert client.get(index="people", id="ann")["_source"]["name"] == "ann"
        found = client.search(index="people", body={"query": QUERY}, q="name:ann", request_timeout=5)
        assert found["hits"]["total"]["value"] == 1
        assert not client.exists(index="people", id="7")
        assert active.get() is work
    if ASKS_FIRST:
        assert server.requests[0][0] == "/"  # which has no span of its own
    assert len(server.requests) == 4 + ASKS_FIRST
    body = {"elasticsearch.body": '{"name": "?", "age": "?"}'}
    search = {"elasticsearch.body": SHOWN, "elasticsearch.params": "q=?", "elasticsearch.took": 3, "db.row_count": 1}
    path, port = "/people-2026.11/_doc/ann", server.port
    assert recorder.take()[1:] == [
        request(port, "PUT", path, 201, parent=1, resource="PUT /people-?.?/_doc/?", tags=body),
        request(port, "GET", "/people/_doc/ann", 200, parent=1, resource="GET /people/_doc/?"),
        request(port, "POST", "/people/_search", 200, parent=1, tags=search),
        request(port, "HEAD", "/people/_doc/7", 404, parent=1, resource="HEAD /people/_doc/?"),
    ]


def test_errors_of_the_server(client: Any, server: ElasticServer, recorder: Recorder) -> None:
    with pytest.raises(elasticsearch.RequestError) as caught:
        client.search(index="people", body={"query": {"nonsense": {}}})
    with pytest.raises(elasticsearch.NotFoundError):
        client.get(index="people", id="7")
    error = {"elasticsearch.body": '{"query": {"nonsense": {}}}', **failed(caught.value)}
    assert recorder.take() == [
        request(server.port, "POST", "/people/_search", 400, error=1, tags=error),
        request(server.port, "GET", "/people/_doc/7", 404, trace=2, resource="GET /people/_doc/?"),
    ]


def test_connections_that_fail(client: Any, server: ElasticServer, recorder: Recorder) -> None:
    with pytest.raises(elasticsearch.ConnectionError):
        client.get(index="drop", id="a")
    with pytest.raises(elasticsearch.ConnectionTimeout):
        client.get(index="slow", id="a", request_timeout=0.05)
    server.released.set()
    shown = [(span["error"], span["tags"]["error.type"], span["tags"]["out.host"]) for span in recorder.take()]
    assert shown == [
        (1, "elasticsearch.exceptions.ConnectionError", "127.0.0.1"),
        (1, "elasticsearch.exceptions.ConnectionTimeout", "127.0.0.1"),
    ]


@pytest.mark.skipif(elasticsearch.__version__ < (7, 14), reason="it does not ask")
def test_another_product(recorder: Recorder) -> None:
    patch(elasticsearch=True)
    with ElasticServer(product=False) as server:
        client = elasticsearch.Elasticsearch([f"http://127.0.0.1:{server.port}"])
        with pytest.raises(elasticsearch.UnsupportedProductError):
            client.get(index="people", id="7")
        client.transport.close()
    (span,) = recorder.take()
    assert (span["resource"], span["error"]) == ("GET /people/_doc/?", 1)


@pytest.mark.skipif(elasticsearch.__version__ < (7, 8), reason="it has no asyncio twin")
def test_asyncio(server: ElasticServer, recorder: Recorder) -> None:
    patch(elasticsearch=True)

    async def main() -> None:
        client = elasticsearch.AsyncElasticsearch([f"http://127.0.0.1:{server.port}"], max_retries=0)
        with default_tracer.trace("work") as work:
            await asyncio.gather(*(client.search(index="people") for _ in range(2)))
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.get(index="slow", id="a"), 0.05)
            with pytest.raises(elasticsearch.NotFoundError):
                await client.get(index="people", id="7")
            assert active.get() is work
        server.released.set()
        await client.close()

    asyncio.run(main())
    tags = {"elasticsearch.took": 3, "db.row_count": 0}
    spans = recorder.take()[1:]
    assert spans[:2] == [request(server.port, "POST", "/people/_search", 200, parent=1, tags=tags)] * 2
    assert [(span["error"], span["tags"].get("error.type")) for span in spans[2:]] == [
        (1, "asyncio.exceptions.CancelledError"),
        (0, None),
    ]


def test_one_message_has_one_span(server: ElasticServer, recorder: Recorder) -> None:
    """Whatever is below it gets none, and the headers that go out are of the one."""
    patch_all()
    client = elasticsearch.Elasticsearch([f"http://127.0.0.1:{server.port}"])
    client.search(index="people")
    client.transport.close()
    assert recorder.names() == ["elasticsearch.query"]
    assert all("x-datadog-trace-id" in headers for _, headers in server.requests)


def test_same_results_with_and_without(client: Any, recorder: Recorder) -> None:
    unpatch("elasticsearch")
    without = outcomes(SEARCHES, client)
    assert recorder.take() == []
    patch(elasticsearch=True)
    assert outcomes(SEARCHES, client) == without
    assert len(recorder.take()) == len(SEARCHES)
