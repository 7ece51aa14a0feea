"""Whatever arrives as a profile, the answer is 200 or 400 with a reason, and the collector goes on."""

from __future__ import annotations

import gzip
import http.client
import json
from typing import Any

import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.collector.conftest import Collector
from tests.collector.uploads import BOUNDARY, TYPE, Profile, body, event, message, multipart, packed

PATH = "/profiling/v1/input"
CPU = ("cpu-time", "nanoseconds")
MAIN = ("main", "app.py", 3)

GOOD = Profile(CPU).sample((MAIN,), 5, trace_endpoint="GET /", span_id=7)
PLAIN = GOOD.encode()
PROFILE = ("profile.pprof", "profile.pprof", gzip.compress(PLAIN))
EVENT = ("event", "event.json", json.dumps(event()).encode())
STRINGS = ((6, b""), (6, b"cpu-time"), (6, b"nanoseconds"), (6, b"app.py"))
KIND = (1, message((1, 1), (2, 2)))
FUNCTION = (5, message((1, 1), (2, 3)))
LOCATION = (4, message((1, 1), (4, message((1, 1), (2, 9)))))


def pprof(*fields: tuple[int, int | bytes]) -> bytes:
    return body(message(*fields))


def of_event(**changes: Any) -> bytes:
    return multipart(("event", "event.json", json.dumps(event(**changes)).encode()), PROFILE)


REASONS = [
    (b"", "the boundary is not in the body"),
    (b"--other\r\n\r\n", "the boundary is not in the body"),
    (f"--{BOUNDARY}x\r\n".encode(), "part 0: the boundary's line goes on, or does not end"),
    (f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=a".encode(), "part 0: its headers do not end within"),
    (f"--{BOUNDARY}\r\nA: b\r\n\r\nx\r\n--{BOUNDARY}--".encode(), "part 0: it has no Content-Disposition"),
    (multipart(EVENT, PROFILE)[:-50], "part 1: the body ends before the boundary"),
    (multipart(PROFILE), "there is no part 'event'"),
    (multipart(EVENT), "no part is a pprof file; there are 'event.json'"),
    (multipart(*[EVENT] * 65), "there are more than 64 parts"),
    (multipart(("event", "event.json", b"{"), PROFILE), "event.json: it is no JSON"),
    (multipart(("event", "event.json", b"[" * 100_000), PROFILE), "event.json: it is no JSON"),
    (multipart(("event", "event.json", b"[]"), PROFILE), "event.json: must be an object"),
    (multipart(("event", "event.json", b" " * 2**21), PROFILE), "event.json: it is larger than"),
    (multipart(("event", "event.json", b"{}"), PROFILE), "event.json: 'start' and 'end' are missing"),
    (multipart(("event", "event.json", b'{"tags_profiler": 5}'), PROFILE), "event.json: 'tags_profiler' must be text"),
    (of_event(start="yesterday"), "event.json: 'start' must be a time such as"),
    (of_event(start=5), "event.json: 'start' must be a time such as"),
    (of_event(start="2026-02-30T00:00:00Z"), "event.json: 'start' is no time that exists"),
    (of_event(end="9999-01-01T00:00:00Z"), "event.json: 'end' must be between 1970 and 2262"),
    (of_event(end="1971-01-01T00:00:00Z"), "event.json: 'end' is before 'start'"),
    (of_event(endpoint_counts=[1]), "event.json: 'endpoint_counts' must be an object"),
    (of_event(endpoint_counts={"GET /": -1}), "event.json: 'endpoint_counts' must map text to whole numbers"),
    (body(gzip.compress(PLAIN)[:-9]), "profile.pprof: the gzip stream ends too early"),
    (body(gzip.compress(PLAIN) + b"x"), "profile.pprof: something follows the end of the gzip stream"),
    (body(b"\x1f\x8bxxxxxxxxxxxxx"), "profile.pprof: the gzip stream is broken"),
    (body(zstd.compress(PLAIN)[:-9]), "profile.pprof: the zstd stream ends too early"),
    (body(zstd.compress(PLAIN) + b"x"), "profile.pprof: something follows the end of the zstd stream"),
    (body(b"\x28\xb5\x2f\xfdxxxxxxxxx"), "profile.pprof: the zstd stream is broken"),
    (body(gzip.compress(bytes(2**25 + 1))), "profile.pprof: it is larger than 33554432 bytes"),
    (body(zstd.compress(bytes(2**25 + 1))), "profile.pprof: it is larger than 33554432 bytes"),
    (body(b""), "profile.pprof: string 0: must be there, and empty"),
    (body(b"\x00"), "profile.pprof: profile: byte 0: a field has the number 0"),
    (body(b"\x0f"), "profile.pprof: profile: byte 0: field 1 has the wire type 7, which is not known"),
    (body(b"\x0a\x05ab"), "profile.pprof: profile: byte 0: field 1 is longer than what is left"),
    (body(b"\x09abc"), "profile.pprof: profile: byte 0: field 1 is longer than what is left"),
    (body(b"\x48" + b"\xff" * 11), "profile.pprof: profile: byte 1: a number has more than 64 bits"),
    (body(b"\x48\xff"), "profile.pprof: profile: byte 1: the message ends within a number"),
    (pprof((1, 5)), "profile.pprof: sample type 0: there is a number where bytes must be"),
    (pprof((9, b"x")), "profile.pprof: profile: there are bytes where a number must be"),
    (pprof((6, b"x")), "profile.pprof: string 0: must be there, and empty"),
    (pprof(*STRINGS), "profile.pprof: profile: it has no sample type"),
    (pprof(*STRINGS, KIND, KIND), "profile.pprof: profile: two sample types have the same name"),
    (pprof(*STRINGS, (1, message((2, 1)))), "profile.pprof: sample type 0: it has no name"),
    (pprof(*STRINGS, (1, message((1, 9)))), "profile.pprof: sample type 0: its name points to string 9 of 4"),
    (pprof(*STRINGS, KIND, (5, message((2, 1)))), "profile.pprof: function 0: its id must not be 0"),
    (pprof(*STRINGS, KIND, FUNCTION, FUNCTION), "profile.pprof: function 1: the id 1 is taken"),
    (pprof(*STRINGS, KIND, LOCATION), "profile.pprof: location 0: there is no function 1"),
    (pprof(*STRINGS, KIND, FUNCTION, LOCATION, LOCATION), "profile.pprof: location 1: the id 1 is taken"),
    (pprof(*STRINGS, KIND, (4, message((4, b"")))), "profile.pprof: location 0: there is no function 0"),
    (pprof(*STRINGS, KIND, (2, b"")), "profile.pprof: sample 0: it has 0 values, and there are 1 sample types"),
    (pprof(*STRINGS, KIND, (2, message((2, 1), (1, 9)))), "profile.pprof: sample 0: there is no location 9"),
    (pprof(*STRINGS, KIND, (2, message((2, 2**64 - 5)))), "profile.pprof: sample 0: a value is negative"),
    (pprof(*STRINGS, KIND, (2, message((2, 1), (3, b"")))), "profile.pprof: sample 0: a label has no key"),
    (
        pprof(*STRINGS, KIND, FUNCTION, LOCATION, (2, message((2, 1), (1, packed(*[1] * 3000))))),
        "profile.pprof: sample 0: its stack has more than 2048 frames",
    ),
    (
        pprof(*STRINGS, KIND, FUNCTION, (4, message((1, 1), (4, message((1, 1), (2, 2**64 - 1)))))),
        "profile.pprof: location 0: a line is negative, or beyond any file's end",
    ),
    (
        pprof(*STRINGS, KIND, *[(2, message((2, 2**52)))] * 3),
        "profile: the values of 'cpu-time' add up to more than 2**53",
    ),
    (pprof(*STRINGS, KIND, (9, 2**64 - 1)), "profile.pprof: profile: its time or its duration is negative"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "reason"), REASONS, ids=[reason for _, reason in REASONS])
def test_the_reason_is_named(collector: Collector, sent: bytes, reason: str) -> None:
    answer = collector.post(sent, PATH, Content_Type=TYPE)
    assert (answer.status, answer.json["error"][: len(PATH) + 2 + len(reason)]) == (400, f"{PATH}: {reason}")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("application/json", "the content type 'application/json' is not supported; use multipart/form-data"),
        ("multipart/form-data", "the content type names no boundary, or none that is allowed"),
        ("multipart/form-data; boundary=é", "the content type names no boundary, or none that is allowed"),
    ],
)
def test_content_types(collector: Collector, kind: str, reason: str) -> None:
    answer = collector.post(body(GOOD), PATH, Content_Type=kind)
    assert (answer.status, answer.json["error"]) == (400, f"{PATH}: {reason}")
    assert collector.post(body(GOOD), PATH, Content_Type=f'Multipart/Form-Data; Boundary="{BOUNDARY}"').status == 200


def test_limits_of_the_body(collector: Collector) -> None:
    bomb = gzip.compress(bytes(51 * 2**20))
    assert collector.post(bomb, PATH, Content_Type=TYPE, Content_Encoding="gzip").status == 413
    assert collector.post(gzip.compress(body(GOOD)), PATH, Content_Type=TYPE, Content_Encoding="gzip").status == 200


@pytest.fixture(scope="module")
def connection(collector: Collector):
    kept = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=15)
    yield kept
    kept.close()


def exchange(connection: http.client.HTTPConnection, sent: bytes) -> None:
    connection.request("POST", PATH, sent, {"Content-Type": TYPE})
    response = connection.getresponse()
    answer = json.loads(response.read())
    assert response.status in (200, 400), answer
    assert ("error" in answer) == (response.status == 400)


many = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
numbers = st.integers(0, 2**64 - 1) | st.integers(0, 9)
# Messages within messages, with the fields that profiles have.
messages = st.recursive(
    st.binary(max_size=6) | st.lists(numbers, max_size=4).map(lambda found: packed(*found)),
    lambda inner: st.lists(st.tuples(st.integers(1, 14), numbers | inner), max_size=5).map(
        lambda found: message(*found)
    ),
    max_leaves=20,
)
values = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)
keys = st.sampled_from(["start", "end", "tags_profiler", "endpoint_counts", "attachments", "x"])


@many
@given(sent=st.binary(max_size=200))
def test_random_bytes(connection, sent: bytes) -> None:
    exchange(connection, sent)
    exchange(connection, f"--{BOUNDARY}".encode() + sent + f"\r\n--{BOUNDARY}--".encode())
    exchange(connection, body(sent))


@many
@given(sent=messages)
def test_random_messages(connection, sent: bytes) -> None:
    exchange(connection, body(sent))
    exchange(connection, body(message(*STRINGS, KIND, FUNCTION, LOCATION) + sent))


@many
@given(changes=st.dictionaries(keys, values, max_size=3))
def test_almost_events(connection, changes: dict[str, Any]) -> None:
    sent = json.dumps({**event(), **changes}).encode()
    exchange(connection, multipart(("event", "event.json", sent), PROFILE))


@many
@given(place=st.integers(0, 9999), byte=st.binary(min_size=1, max_size=2))
def test_one_byte_changed(connection, place: int, byte: bytes) -> None:
    for sent in (multipart(EVENT, PROFILE), PLAIN):
        at = place % len(sent)
        changed = sent[:at] + byte + sent[at + 1 :]
        exchange(connection, changed if sent is not PLAIN else body(changed))


def test_every_page_shows_what_was_accepted(collector: Collector, connection) -> None:
    """Runs last: the profiles above that were taken, strange as they are, are shown, and others come after them."""
    assert collector.post(body(GOOD, tags={"service": "last"}), PATH, Content_Type=TYPE).status == 200
    services = collector.wait_for(
        lambda: found if "last" in (found := collector.get("/profiles.json").json["all_services"]) else None
    )
    for service in services:
        kinds = collector.get("/profiles.json", service=service, window="all").json["values"]
        for kind in kinds[:20]:
            query = {"service": service, "window": "all", "value": kind["name"], "q": "a"}
            assert collector.get("/profiles", **query).status == 200
            assert collector.get("/profiles.json", **query).status == 200
