"""Whatever arrives, the answer is 200 or 400 with a reason, and the collector goes on."""

from __future__ import annotations

import http.client
import json

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.collector.conftest import Collector
from tests.collector.payloads import span, v04, v05

GOOD = span(1, span_id=1)


def put(**changes) -> bytes:
    return v04([[GOOD], [GOOD, GOOD, GOOD, {**GOOD, **changes}]])


def fields(**changes) -> bytes:
    texts = {"service": 0, "name": 0, "resource": 0}
    numbers = {"trace_id": 1, "span_id": 1, "parent_id": 0, "start": 1, "duration": 0, "error": 0}
    row = {**texts, **numbers, "meta": {}, "metrics": {}, "type": 0, **changes}
    return msgpack.packb([["", "x"], [[list(row.values())]]])


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/v0.4/traces", b"", "payload: the body ends here, an array is missing"),
        ("/v0.4/traces", b"\xc1", "payload: must be an array"),
        ("/v0.4/traces", b"\x81\xa1a\x01", "payload: must be an array"),
        ("/v0.4/traces", b"\x90\x90", "payload: something follows its end"),
        ("/v0.4/traces", b"\x91\x05", "trace 0: must be an array"),
        ("/v0.4/traces", b"\x91\x92", "trace 0, span 0: the body ends too early"),
        ("/v0.4/traces", b"\x91\x91\xc1", "trace 0, span 0: not readable as msgpack (FormatError)"),
        ("/v0.4/traces", b"\x91\x91\x81\x90\x90", "trace 0, span 0: not readable as msgpack"),
        ("/v0.4/traces", b"\x91\x91" + b"\x91" * 2000, "trace 0, span 0: not readable as msgpack"),
        ("/v0.4/traces", b"\x91\x91\x05", "trace 0, span 0: must be a map"),
        ("/v0.4/traces", put(start="now"), "trace 1, span 3: 'start' must be an integer of 64 bits"),
        ("/v0.4/traces", put(start=True), "trace 1, span 3: 'start' must be an integer of 64 bits"),
        ("/v0.4/traces", put(start=-1), "trace 1, span 3: 'start' must be nanoseconds since 1970, not negative"),
        ("/v0.4/traces", put(duration=1.5), "trace 1, span 3: 'duration' must be an integer of 64 bits"),
        ("/v0.4/traces", put(duration=2**63), "trace 1, span 3: 'duration' must be an integer of 64 bits"),
        ("/v0.4/traces", put(error=True), "trace 1, span 3: 'error' must be an integer of 64 bits"),
        ("/v0.4/traces", put(name=None), "trace 1, span 3: 'name' must be text"),
        ("/v0.4/traces", put(service=5), "trace 1, span 3: 'service' must be text"),
        ("/v0.4/traces", put(resource=b"x"), "trace 1, span 3: 'resource' must be text"),
        ("/v0.4/traces", put(span_id=0), "trace 1, span 3: 'span_id' must be an unsigned 64-bit integer other than 0"),
        ("/v0.4/traces", put(parent_id=-1), "trace 1, span 3: 'parent_id' must be an unsigned 64-bit integer"),
        ("/v0.4/traces", put(trace_id=2), "trace 1, span 3: 'trace_id' differs from the one of the trace's first span"),
        ("/v0.4/traces", put(meta={"a": 1}), "trace 1, span 3: 'meta' must map text to text"),
        ("/v0.4/traces", put(meta=[1]), "trace 1, span 3: 'meta' must be a map"),
        ("/v0.4/traces", put(metrics={"a": "1"}), "trace 1, span 3: 'metrics' must map text to numbers"),
        ("/v0.4/traces", put(metrics={"a": True}), "trace 1, span 3: 'metrics' must map text to numbers"),
        ("/v0.4/traces", put(span_links=[{"trace_id": "a"}]), "trace 1, span 3: link 0: 'trace_id', 'span_id' and"),
        ("/v0.4/traces", put(span_links=3), "trace 1, span 3: 'span_links' must be an array"),
        ("/v0.4/traces", put(span_events=[{}]), "trace 1, span 3: event 0: 'name' must be text"),
        ("/v0.5/traces", v04([[GOOD]]), "payload: must be an array of 2, the string table and the traces"),
        ("/v0.5/traces", b"\x92\x91\x05\x90", "string table, entry 0: must be text"),
        ("/v0.5/traces", b"\x92\x90\x91\x91\x91\x00", "trace 0, span 0: must have 12 fields, not 1"),
        ("/v0.5/traces", b"\x92\x90\x91\x91\x80", "trace 0, span 0: must be an array"),
        ("/v0.5/traces", fields(name=2), "trace 0, span 0: 'name' must be an index into the string table, which has 2"),
        ("/v0.5/traces", fields(name=-1), "trace 0, span 0: 'name' must be an index"),
        ("/v0.5/traces", fields(meta={0: 9}), "trace 0, span 0: 'meta' must be an index"),
        ("/v0.5/traces", fields(metrics={7: 1}), "trace 0, span 0: 'metrics' must be an index"),
        ("/v0.5/traces", fields(metrics={1: "x"}), "trace 0, span 0: 'metrics' must map text to numbers"),
        ("/v0.5/traces", fields(meta=5), "trace 0, span 0: 'meta' and 'metrics' must be maps"),
        ("/v0.5/traces", v05([[GOOD]]) + b"\x00", "payload: something follows its end"),
    ],
)
def test_the_reason_is_named(collector: Collector, path: str, body: bytes, reason: str) -> None:
    answer = collector.post(body, path)
    assert answer.status == 400
    assert answer.json["error"].startswith(f"{path}: {reason}")


def test_nothing_of_a_refused_payload_is_stored(fresh: Collector) -> None:
    body = v04([[span(4242)], [{**GOOD, "name": 1}]])
    assert fresh.post(body).status == 400
    fresh.send([span(4243)])
    fresh.trace(4243)
    assert fresh.get(f"/traces/{4242:032x}.json").status == 404
    assert fresh.post(body).status == 400
    errors = fresh.stop()
    assert errors == "collector: /v0.4/traces: refused a payload: trace 1, span 0: 'name' must be text\n"


@pytest.fixture(scope="module")
def connection(collector: Collector):
    kept = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=15)
    yield kept
    kept.close()


def exchange(connection: http.client.HTTPConnection, path: str, body: bytes) -> None:
    connection.request("POST", path, body, {"Content-Type": "application/msgpack"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    assert response.status in (200, 400), answer
    assert ("error" in answer) == (response.status == 400)


many = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
paths = st.sampled_from(["/v0.3/traces", "/v0.4/traces", "/v0.5/traces"])
scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary(max_size=8)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)  # fmt: skip
keys = st.sampled_from([*GOOD, "span_links", "span_events", "_dd.span_links", "events", "_dd.p.tid", "_dd.top_level"])
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys | st.integers(0, 9), inner, max_size=4)
)
almost_spans = st.builds(lambda changes: {**GOOD, **changes}, st.dictionaries(keys, anything, max_size=3))


@many
@given(path=paths, body=st.binary(max_size=200))
def test_random_bytes(connection, path: str, body: bytes) -> None:
    exchange(connection, path, body)


@many
@given(path=paths, value=anything)
def test_random_msgpack(connection, path: str, value: object) -> None:
    exchange(connection, path, msgpack.packb(value))


@many
@given(spans=st.lists(almost_spans, max_size=3))
def test_almost_spans(connection, spans: list[object]) -> None:
    exchange(connection, "/v0.4/traces", msgpack.packb([spans]))


@many
@given(
    body=st.just(v05([[GOOD, {**GOOD, "span_id": 2, "meta": {"a": "b"}}]])),
    place=st.integers(0, 200),
    byte=st.binary(min_size=1, max_size=1),
)
def test_one_byte_changed(connection, body: bytes, place: int, byte: bytes) -> None:
    place %= len(body)
    exchange(connection, "/v0.5/traces", body[:place] + byte + body[place + 1 :])


def test_every_page_shows_what_was_accepted(collector: Collector, connection) -> None:
    """Runs last: the traces above that were taken, strange as they are, are shown."""
    collector.send([span(1, span_id=99)])
    assert collector.wait_for(lambda: collector.get("/traces.json", window="all").json["traces"])
    for path in ("/", "/traces", f"/traces/{1:032x}"):
        assert collector.get(path, window="all").status == 200
    for trace in collector.get("/traces.json", window="all", limit=500).json["traces"]:
        assert collector.get(f"/traces/{trace['trace_id']}").status == 200
        assert collector.get(f"/traces/{trace['trace_id']}.json").status == 200
