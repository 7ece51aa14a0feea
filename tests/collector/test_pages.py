"""What the pages and their JSON say about known traces."""

from __future__ import annotations

import random
import time

import pytest

from ddmiddleware.collector.traces import MAX_SEARCHED_ROWS
from tests.collector.conftest import Collector
from tests.collector.payloads import SECOND, new_trace_id, span, v04

MS = 10**6
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&{{ 7*7 }}"


def names(collector: Collector, **query) -> list[str]:
    return [trace["resource"] for trace in collector.get("/traces.json", **query).json["traces"]]


def fill(collector: Collector, *traces) -> None:
    collector.send(*traces)
    collector.trace(traces[-1][0]["trace_id"], spans=len(traces[-1]))


def test_endpoints(fresh: Collector) -> None:
    now = time.time_ns()
    fast = list(range(1, 101))
    random.Random(1).shuffle(fast)
    traces = [
        [span(new_trace_id(), resource="GET /fast", duration=ms * MS, start=now - 100 * SECOND, error=int(ms > 97))]
        for ms in fast
    ]
    # More than are sorted in memory, so that the index answers.
    many = list(range(1, 1_002))
    random.Random(2).shuffle(many)
    traces += [[span(new_trace_id(), resource="GET /many", duration=ms * MS, start=now)] for ms in many]
    traces += [[span(new_trace_id(), service="other", resource="GET /one", duration=7 * MS, start=now - 7200 * SECOND)]]
    fill(fresh, *traces)
    hour = fresh.get("/endpoints.json").json
    assert hour["requests"] == 1_101
    assert hour["errors"] == 3
    assert hour["all_services"] == ["other", "shop"]
    assert hour["since_ns"] == hour["until_ns"] - 3600 * SECOND
    (shop,) = hour["services"]
    assert shop["service"] == "shop"
    assert shop["endpoints"] == [
        {
            "resource": "GET /many", "requests": 1_001, "errors": 0, "error_rate": 0.0, "per_second": 1_001 / 3600,
            "p50_ns": 501 * MS, "p95_ns": 951 * MS, "p99_ns": 991 * MS,
            "profiled": False,
        },
        {
            "resource": "GET /fast", "requests": 100, "errors": 3, "error_rate": 0.03, "per_second": 100 / 3600,
            "p50_ns": 50 * MS, "p95_ns": 95 * MS, "p99_ns": 99 * MS,
            "profiled": False,
        },
    ]  # fmt: skip
    everything = fresh.get("/endpoints.json", window="all", sort="p99").json
    assert [section["service"] for section in everything["services"]] == ["other", "shop"]
    assert everything["since_ns"] == now - 7200 * SECOND
    assert 7200 < everything["seconds"] < 7260
    (only,) = fresh.get("/endpoints.json", window="all", service="other").json["services"]
    assert only["endpoints"][0]["p99_ns"] == 7 * MS
    html = fresh.get("/").text
    for text in ("GET /fast", "3.0%", "50.0 ms", "951 ms", "1,001", "16.7/min"):
        assert text in html


def test_rate_begins_with_the_first_request(fresh: Collector) -> None:
    now = time.time_ns()
    fill(fresh, *([span(new_trace_id(), start=now - 10 * SECOND)] for _ in range(100)))
    data = fresh.get("/endpoints.json", window="24h").json
    assert data["since_ns"] == now - 10 * SECOND
    assert 10 < data["seconds"] < 30
    assert data["services"][0]["endpoints"][0]["per_second"] == pytest.approx(100 / data["seconds"])


def test_two_services_make_one_trace(fresh: Collector) -> None:
    low = new_trace_id()
    caller = span(low, resource="GET /cart")
    called = span(low, service="inventory", resource="GET /stock", parent_id=caller["span_id"], error=1)
    fill(fresh, [called], [caller, span(low, parent_id=caller["span_id"])])
    fresh.trace(low, spans=3)
    (row,) = fresh.get("/traces.json").json["traces"]
    assert (row["resource"], row["spans"], row["span_errors"], row["error"]) == ("GET /cart", 3, 1, 0)
    assert row["services"] == ["inventory", "shop"]
    assert names(fresh, service="inventory") == ["GET /stock"]


def test_filters(fresh: Collector) -> None:
    now = time.time_ns()
    low = new_trace_id()
    fill(
        fresh,
        [span(new_trace_id(), resource="A", duration=5 * MS, start=now - 1, meta={"user": "100%_sure"})],
        [span(new_trace_id(), resource="B", duration=50 * MS, start=now - 2, error=1, meta={"error.message": "Boom"})],
        [span(new_trace_id(), resource="C", service="other", duration=500 * MS, start=now - 3)],
        [span(low, resource="D", start=now - 86400 * 2 * SECOND, meta={"_dd.p.tid": "00000000000000ff"})],
    )
    assert names(fresh) == ["A", "B", "C"]
    assert names(fresh, window="all") == ["A", "B", "C", "D"]
    assert names(fresh, service="other") == ["C"]
    assert names(fresh, resource="B") == ["B"]
    assert names(fresh, service="other", resource="B") == []
    assert names(fresh, error="1") == ["B"]
    assert names(fresh, min_ms="5.5") == ["B", "C"]
    assert names(fresh, min_ms=50, max_ms=50) == ["B"]
    assert names(fresh, q="boom") == ["B"]
    assert names(fresh, q="user:100%_s") == ["A"]
    assert names(fresh, q="100%s") == []
    assert names(fresh, q=f"{0xFF:016x}{low:016x}") == ["D"]
    assert names(fresh, q=f"{0xAA:016x}{low:016x}") == []
    assert names(fresh, q=f" {low:016x} ") == ["D"]
    assert names(fresh, q=str(low)) == ["D"]
    for query in ({"error": "1"}, {"q": "boom"}, {"resource": "B"}):
        assert "Nothing found" not in fresh.get("/traces", **query).text


def test_paging_shows_each_once(fresh: Collector) -> None:
    now = time.time_ns()
    # Ten of them begin in the same nanosecond.
    fill(fresh, *([span(new_trace_id(), resource=f"R{n}", start=now - n // 10)] for n in range(95)))
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        data = fresh.get("/traces.json", before=cursor, limit=20).json
        seen += [trace["resource"] for trace in data["traces"]]
        cursor = data["next"]
    assert sorted(seen) == sorted(f"R{n}" for n in range(95))
    assert seen[:10] == [f"R{n}" for n in range(9, -1, -1)]
    assert 'rel="next"' in fresh.get("/traces", limit=20).text


def test_search_says_how_far_it_went(fresh: Collector) -> None:
    now = time.time_ns()
    old = new_trace_id()
    fresh.send([span(old, resource="needle", start=now - 10 * SECOND)])
    for part in range(0, MAX_SEARCHED_ROWS + 1_000, 5_000):
        rows = [[span(new_trace_id(), start=now - part - n)] for n in range(5_000)]
        fresh.wait_for(lambda rows=rows: fresh.post(v04(rows)).status == 200)
    fresh.trace(rows[-1][0]["trace_id"])
    first = fresh.get("/traces.json", q="needle").json
    assert first["traces"] == []
    assert first["searched_to_ns"] == now - MAX_SEARCHED_ROWS
    assert "Search older ones" in fresh.get("/traces", q="needle").text
    second = fresh.get("/traces.json", q="needle", before=first["next"]).json
    assert [trace["resource"] for trace in second["traces"]] == ["needle"]
    assert second["next"] is None


@pytest.mark.parametrize("path", ["/", "/traces"])
def test_empty_pages_say_what_to_do(fresh: Collector, path: str) -> None:
    text = fresh.get(path).text
    assert "No traces yet" in text
    assert f"DD_TRACE_AGENT_URL={fresh.url} ddmiddleware-run" in text
    fill(fresh, [span(new_trace_id(), start=1)])
    assert "No traces yet" not in fresh.get(path).text
    assert "window=all" in fresh.get(path).text


@pytest.mark.parametrize(
    ("path", "query", "status", "reason"),
    [
        ("/traces", {"min_ms": "x"}, 400, "'min_ms' must be a number of milliseconds"),
        ("/traces", {"max_ms": "nan"}, 400, "'max_ms' must be a number of milliseconds"),
        ("/traces", {"min_ms": "1e300"}, 400, "'min_ms' must be a number of milliseconds"),
        ("/traces", {"limit": "0"}, 400, "'limit' must be a whole number from 1 to 500"),
        ("/traces", {"before": "x"}, 400, "'before' must be the cursor of another page"),
        ("/traces", {"before": "9" * 19 + ":1"}, 400, "'before' must be the cursor of another page"),
        ("/traces", {"window": "x"}, 400, "'window' must be one of 5m, 15m, 1h, 6h, 24h, all"),
        ("/", {"sort": "x"}, 400, "'sort' must be one of requests, errors"),
        ("/traces/" + "f" * 32, {}, 404, "There is no trace " + "f" * 32),
        ("/traces/nonsense", {}, 404, "There is no trace nonsense"),
    ],
)
def test_bad_queries(collector: Collector, path: str, query: dict[str, str], status: int, reason: str) -> None:
    page = collector.get(path, **query)
    twin = collector.get("/endpoints.json" if path == "/" else f"{path}.json", **query)
    assert (page.status, twin.status) == (status, status)
    assert twin.json["error"].startswith(reason)
    assert reason.replace("'", "&#39;") in page.text


def test_everything_is_escaped(fresh: Collector) -> None:
    low = new_trace_id()
    root = span(
        low, service=HOSTILE, name=HOSTILE, resource=HOSTILE, type=HOSTILE, error=1,
        meta={HOSTILE: HOSTILE, "error.type": HOSTILE, "error.message": HOSTILE, "error.stack": HOSTILE,
              "http.status_code": "<b>500</b>"},
        metrics={HOSTILE: 1},
        span_links=[{"trace_id": 1, "span_id": 1, "attributes": {HOSTILE: HOSTILE}, "tracestate": HOSTILE}],
        span_events=[{"name": HOSTILE, "time_unix_nano": 1, "attributes": {HOSTILE: HOSTILE}}],
    )  # fmt: skip
    fill(fresh, [root, span(low, parent_id=5, service=HOSTILE, name=HOSTILE, resource="")])
    paths = [("/", {}), ("/traces", {"q": HOSTILE, "resource": HOSTILE, "service": HOSTILE}), ("/traces", {}),
             (f"/traces/{low:032x}", {}), ("/traces/%3Cscript%3E", {}), ("/", {"service": HOSTILE})]  # fmt: skip
    for path, query in paths:
        text = fresh.get(path, **query).text
        assert "<script>" not in text
        assert "<img src=x" not in text
        assert "<b>500" not in text
        assert "49" not in text.split("alert(2)&gt;&amp;", 1)[-1][:12]
    assert fresh.get("/traces.json", service=HOSTILE, resource=HOSTILE, q=HOSTILE).json["traces"]


def test_large_traces_are_cut_with_a_note(fresh: Collector) -> None:
    low = new_trace_id()
    root = span(low)
    fill(fresh, [root, *(span(low, parent_id=root["span_id"]) for _ in range(2_499))])
    page = fresh.get(f"/traces/{low:032x}").text
    assert page.count("<details") == 1_000
    assert "the first 1,000 of its 2,500 spans are shown" in page
    data = fresh.get(f"/traces/{low:032x}.json", limit=2_500).json
    assert (data["spans_total"], data["spans_shown"], len(data["spans"])) == (2_500, 2_500, 2_500)


def test_huge_traces_are_read_in_part(fresh: Collector) -> None:
    low = new_trace_id()
    root = span(low)
    fresh.send([root, *(span(low, parent_id=root["span_id"]) for _ in range(14_999))])
    fresh.send([span(low, parent_id=root["span_id"]) for _ in range(10_000)])
    data = fresh.trace(low, spans=25_000)
    assert (data["spans_total"], data["spans_shown"]) == (25_000, 1_000)


def test_details(fresh: Collector) -> None:
    low = new_trace_id()
    meta = {"error.type": "ValueError", "error.message": "no", "error.stack": "Traceback ...", "http.url": "http://a/"}
    link = {"trace_id": 1, "trace_id_high": 2, "span_id": 3, "attributes": {"why": "later"}}
    root = span(low, error=1, meta=meta, metrics={"rows": 7}, span_links=[link])
    behind = span(low, service="other", parent_id=root["span_id"], start=root["start"] - SECOND)
    fill(fresh, [root], [behind], [span(low, parent_id=404)])
    text = fresh.get(f"/traces/{low:032x}").text
    for part in (
        "ValueError", "Traceback ...", "http.url", "rows", "Moved by 1.00 s", "has not been received",
        f'href="/traces/{2:016x}{1:016x}#span-{3:016x}"', str(root["span_id"]), f"{root['span_id']:016x}",
    ):  # fmt: skip
        assert part in text
