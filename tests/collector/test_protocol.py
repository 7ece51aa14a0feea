"""The agent's protocol, over real sockets."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from pathlib import Path

import msgpack
import pytest

from tests.collector.conftest import Answer, Collector
from tests.collector.payloads import SECOND, new_trace_id, span, v04, v05

VERSIONS = [("/v0.3/traces", v04), ("/v0.4/traces", v04), ("/v0.5/traces", v05)]


def test_info(collector: Collector) -> None:
    info = collector.get("/info").json
    assert info["endpoints"] == ["/v0.3/traces", "/v0.4/traces", "/v0.5/traces", "/v0.6/stats", "/profiling/v1/input"]
    assert info["client_drop_p0s"] is False
    assert info["config"] == {}


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize(("path", "encode"), VERSIONS)
def test_a_whole_trace(collector: Collector, path: str, encode, method: str) -> None:
    low = new_trace_id()
    meta = {"_dd.p.tid": "6b02aadd00000000", "http.method": "GET"}
    root = span(low, start=5 * SECOND, meta=meta, metrics={"_dd.top_level": 1, "ratio": 0.5})
    child = span(
        low, start=5 * SECOND + 10, duration=20, parent_id=root["span_id"], span_id=2**64 - low % 1000,
        service="db", name="postgres.query", resource="SELECT 1", type="sql", error=1, meta={"error.type": "E"},
    )  # fmt: skip
    answer = collector.post(encode([[root, child]]), path, method, X_Datadog_Trace_Count="7")
    assert answer.status == 200
    assert answer.json == {"rate_by_service": {"service:,env:": 1.0}}
    trace = collector.trace(low, spans=2)
    assert trace == {
        "trace_id": f"6b02aadd00000000{low:016x}",
        "start_ns": 5 * SECOND,
        "duration_ns": SECOND,
        "spans_total": 2,
        "spans_shown": 2,
        "errors": 1,
        "services": [{"service": "shop", "spans": 1}, {"service": "db", "spans": 1}],
        "spans": [
            {
                "span_id": f"{root['span_id']:016x}", "parent_id": None, "depth": 0, "orphan": False,
                "service": "shop", "name": "flask.request", "resource": "GET /cart", "type": "web",
                "start_ns": 5 * SECOND, "duration_ns": SECOND, "offset_ns": 0, "shift_ns": 0, "error": 0,
                "tags": meta, "metrics": {"_dd.top_level": 1, "ratio": 0.5}, "links": [], "events": [],
                "profiled": None,
            },
            {
                "span_id": f"{child['span_id']:016x}", "parent_id": f"{root['span_id']:016x}", "depth": 1,
                "orphan": False, "service": "db", "name": "postgres.query", "resource": "SELECT 1", "type": "sql",
                "start_ns": 5 * SECOND + 10, "duration_ns": 20, "offset_ns": 10, "shift_ns": 0, "error": 1,
                "tags": {"error.type": "E"}, "metrics": {}, "links": [], "events": [], "profiled": None,
            },
        ],
    }  # fmt: skip


@pytest.mark.parametrize(("path", "encode"), VERSIONS)
def test_nothing_to_store(collector: Collector, path: str, encode) -> None:
    assert collector.post(encode([]), path).status == 200
    assert collector.post(encode([[]]), path).status == 200


def test_absent_and_nil_fields(collector: Collector) -> None:
    low = new_trace_id()
    bare = {"trace_id": low, "span_id": 1, "name": "work", "start": 1, "duration": -5, "service": None, "meta": None}
    collector.send([bare])
    (found,) = collector.trace(low)["spans"]
    assert (found["service"], found["resource"], found["duration_ns"]) == ("", "", -5)
    assert "work" in collector.get(f"/traces/{low:032x}").text


def test_links_and_events(collector: Collector) -> None:
    low = new_trace_id()
    native = span(
        low,
        span_links=[{"trace_id": 1, "trace_id_high": 2, "span_id": 3, "flags": 2**31, "attributes": {"reason": "x"}}],
        span_events=[
            {
                "name": "e",
                "time_unix_nano": 9,
                "attributes": {
                    "n": {"type": 2, "int_value": 3},
                    "l": {"type": 4, "array_value": {"values": [{"type": 0, "string_value": "a"}]}},
                },
            }
        ],
    )
    link = {"trace_id": f"{2:016x}{1:016x}", "span_id": f"{3:016x}", "attributes": {"reason": "x"}}
    tagged = span(
        low,
        parent_id=native["span_id"],
        meta={
            "_dd.span_links": json.dumps([link]),
            "events": json.dumps([{"name": "e", "time_unix_nano": 9, "attributes": {"n": 3}}]),
        },
    )
    odd = span(low, parent_id=native["span_id"], meta={"_dd.span_links": "[1]", "events": '["\\ud800"]'})
    collector.send([native, tagged, odd])
    one, two, three = sorted(collector.trace(low, spans=3)["spans"], key=lambda found: found["span_id"])
    assert one["links"] == [{**link, "flags": str(2**31)}]
    assert one["events"] == [{"name": "e", "time_ns": 9, "attributes": {"n": "3", "l": '["a"]'}}]
    assert two["links"] == [link]
    assert two["events"] == [{"name": "e", "time_ns": 9, "attributes": {"n": "3"}}]
    assert two["tags"] == {}
    assert three["tags"] == odd["meta"]


def test_old_tracer_sends_no_high_half(collector: Collector) -> None:
    low = new_trace_id()
    old = span(low, service="old", parent_id=1)
    collector.send([old], [span(low, span_id=low, meta={"_dd.p.tid": "00000000000000aa"})])
    assert len(collector.trace(low, spans=2)["spans"]) == 2
    assert len(collector.get(f"/traces/{0xAA:016x}{low:016x}.json").json["spans"]) == 2
    assert collector.get(f"/traces/{0xBB:016x}{low:016x}.json").json["spans_total"] == 1


def test_bad_utf8_and_odd_numbers(collector: Collector) -> None:
    low = new_trace_id()
    odd = span(low, metrics={"nan": float("nan"), "inf": float("-inf"), "big": 2**64 - 1})
    collector.send([{**odd, "resource": "§"}])
    body = v04([[{**odd, "span_id": 77, "resource": "§§"}]]).replace("§§".encode(), b"\xff\xed\xa0\x80")
    assert collector.post(body).status == 200
    trace = collector.trace(low, spans=2)
    assert trace["spans"][0]["metrics"] == {"nan": "nan", "inf": "-inf", "big": 2**64 - 1}
    assert {"§", "\ufffd" * 4} == {found["resource"] for found in trace["spans"]}


def test_gzip(collector: Collector) -> None:
    low = new_trace_id()
    assert collector.post(gzip.compress(v04([[span(low)]])), Content_Encoding="gzip").status == 200
    collector.trace(low)


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"no gzip at all", {"Content_Encoding": "gzip"}, 400, "gzip stream is broken"),
        (gzip.compress(b"\x90")[:-3], {"Content_Encoding": "gzip"}, 400, "ends too early"),
        (gzip.compress(b"\x90") + b"x", {"Content_Encoding": "gzip"}, 400, "follows the end"),
        (gzip.compress(bytes(60 * 2**20)), {"Content_Encoding": "gzip"}, 413, "larger than"),
        (zlib.compress(b"\x90"), {"Content_Encoding": "deflate"}, 415, "content encoding"),
        (b"[]", {"Content_Type": "application/json"}, 415, "content type"),
        (b"\x90", {"Content_Type": "text/plain"}, 415, "content type"),
    ],
)
def test_refused_bodies(collector: Collector, body: bytes, headers: dict[str, str], status: int, reason: str) -> None:
    answer = collector.post(body, **headers)
    assert answer.status == status
    assert answer.json["error"].startswith("/v0.4/traces: ")
    assert reason in answer.json["error"]


def test_announced_length_is_refused_before_it_is_sent(collector: Collector) -> None:
    assert collector.post(b"", Content_Length=str(2**40)).status == 413


def test_other_methods_and_paths(collector: Collector) -> None:
    assert collector.get("/v0.4/traces").status == 405
    assert collector.get("/profiling/v1/input").status == 405
    assert collector.post(b"\x90", "/v1/input").status == 404


@pytest.mark.parametrize("path", ["/telemetry/proxy/api/v2/apmtelemetry", "/v0.7/config"])
def test_what_tracers_post_besides(collector: Collector, path: str) -> None:
    assert collector.post(b"{}", path).status == 200
    assert collector.post(b"{}", path, "PUT").status == 200


def test_large_payload(collector: Collector) -> None:
    lows = [new_trace_id() for _ in range(400)]
    body = v04([[span(low, meta={"k": "v" * 500})] for low in lows])
    assert len(body) > 100_000
    assert collector.post(body).status == 200
    collector.trace(lows[-1])


def test_msgpack_that_reserves_memory_is_refused(collector: Collector) -> None:
    body = b"\x91\x91" + b"\xdd\x02\x00\x00\x00" * 400 + msgpack.packb(None)
    answer = collector.post(body)
    assert answer.status == 400
    assert "trace 0, span 0" in answer.json["error"]


def test_a_full_disk_answers_507_until_there_is_space(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2 * 2**20))
    running = Collector(store=str(small_disk / "a.db"))
    noise = random.Random(1)

    def posted() -> Answer:
        return running.post(v04([[span(new_trace_id(), meta={"noise": noise.randbytes(100_000).hex()})]]))

    refused = running.wait_for(lambda: answer if (answer := posted()).status != 200 else None)
    assert refused.status == 507
    assert "a.db: database or disk is full; free space on that disk" in refused.json["error"]
    assert refused.headers["Retry-After"] == "1"
    assert running.get("/traces").status == 200
    ballast.unlink()
    running.wait_for(lambda: running.post(b"\x90").status == 200)
    errors = running.stop()
    assert running.process.returncode == 0
    assert errors.count("cannot store what arrives") == errors.count("storing again") == 1


def test_a_damaged_file_is_named_by_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    running = Collector(store=str(path))
    path.with_name("a.db-wal").unlink()
    path.write_bytes(b"damaged" * 10_000)
    page = running.wait_for(lambda: answer if (answer := running.get("/traces")).status != 200 else None)
    assert page.status == 503
    assert f"The store cannot be read. {path}: " in page.text
    assert running.get("/endpoints.json").json["error"].startswith(f"The store cannot be read. {path}: ")
    assert running.get("/info").status == 200
    running.stop()
    assert running.process.returncode == 0


def test_statistics_are_taken_and_not_kept(collector: Collector) -> None:
    answer = collector.post(msgpack.packb({"Env": "test", "Stats": [{"Start": 0, "Stats": []}]}), "/v0.6/stats")
    assert (answer.status, answer.json) == (200, {})


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x81", msgpack.packb([]), msgpack.packb({"Stats": 1})])
def test_what_is_no_statistics_is_refused(collector: Collector, body: bytes) -> None:
    answer = collector.post(body, "/v0.6/stats")
    assert answer.status == 400
    assert answer.json["error"].startswith("/v0.6/stats: the body is no ")
