"""Profiles: how they are taken, added up and shown."""

from __future__ import annotations

import gzip
import re
import time
from typing import Any

import pytest
from backports import zstd

from tests.collector.conftest import Collector
from tests.collector.payloads import new_trace_id, span
from tests.collector.uploads import SECOND, TYPE, Profile, body, iso, multipart

PATH = "/profiling/v1/input"
CPU, HEAP = ("cpu-time", "nanoseconds"), ("heap-space", "bytes")
MS = 10**6

MAIN = ("main", "/srv/shop/app.py", 3)
PAY = ("Cart.pay", "/srv/shop/cart.py", 12)
PAY_LATER = ("Cart.pay", "/srv/shop/cart.py", 14)
DUMPS = ("dumps", "/usr/lib/python3.11/json/__init__.py", 183)
SEND = ("send", "/venv/lib/python3.11/site-packages/requests/sessions.py", 700)


def shop() -> Profile:
    return (
        Profile(CPU)
        .sample((MAIN, PAY, DUMPS), 60 * MS, trace_endpoint="POST /pay", span_id=7, local_root_span_id=5)
        .sample((MAIN, PAY_LATER), 20 * MS, trace_endpoint="POST /pay", span_id=6, local_root_span_id=5)
        .sample((MAIN, PAY, SEND), 10 * MS, trace_endpoint="GET /cart", span_id=9, local_root_span_id=9)
        .sample((MAIN,), 10 * MS)
    )


def upload(collector: Collector, sent: bytes, method: str = "POST", kind: str = TYPE, **headers: str) -> Any:
    return collector.post(sent, PATH, method, Content_Type=kind, **headers)


def shown(collector: Collector, profiles: int = 1, **query: Any) -> Any:
    """Return the page's data as soon as it draws so many profiles."""

    def found() -> Any:
        data = collector.get("/profiles.json", **query).json
        return data if data.get("drawn", 0) >= profiles else None

    return collector.wait_for(found)


def boxes(data: Any) -> list[tuple[int, str, int, int]]:
    return [(box["row"], box["name"], box["total"] // MS, box["own"] // MS) for box in data["boxes"]]


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("pack", [lambda plain: plain, gzip.compress, zstd.compress], ids=["plain", "gzip", "zstd"])
def test_flame_graph(collector: Collector, method: str, pack: Any) -> None:
    service = f"shop-{method}-{pack.__module__}"
    sent = body(pack(shop().encode()), tags={"service": service}, endpoint_counts={"POST /pay": 4})
    answer = upload(collector, sent, method)
    assert (answer.status, answer.json) == (200, {})
    data = shown(collector, service=service)
    assert boxes(data) == [
        (0, "", 100, 0),
        (1, "main", 100, 10),
        (2, "Cart.pay", 90, 20),
        (3, "dumps", 60, 60),
        (3, "send", 10, 10),
    ]
    assert [(box["left"], box["width"]) for box in data["boxes"]] == [(0, 1), (0, 1), (0, 0.9), (0, 0.6), (0.6, 0.1)]
    assert [box["group"] for box in data["boxes"]] == ["all", "application", "application", "standard", "library"]
    assert [
        (row["endpoint"], row["amount"] // MS, row["requests"], row["per_request"]) for row in data["endpoints"]
    ] == [
        ("POST /pay", 80, 4, 20 * MS),
        ("(no endpoint)", 10, 0, None),
        ("GET /cart", 10, 0, None),
    ]
    assert [(item["name"], item["own"] // MS, item["total"] // MS, item["line"]) for item in data["functions"]] == [
        ("dumps", 60, 60, 183),
        ("Cart.pay", 20, 90, 14),
        ("main", 10, 100, 3),
        ("send", 10, 10, 700),
    ]
    assert data["values"] == [{"name": "cpu-time", "label": "CPU time", "unit": "nanoseconds"}]
    assert service in data["all_services"]


@pytest.fixture
def taken(fresh: Collector) -> Collector:
    assert upload(fresh, body(shop(), tags={"sampler": "python"})).status == 200
    shown(fresh)
    return fresh


def test_one_endpoint(taken: Collector) -> None:
    data = shown(taken, endpoint="GET /cart")
    assert boxes(data) == [(0, "", 10, 0), (1, "main", 10, 0), (2, "Cart.pay", 10, 0), (3, "send", 10, 10)]
    assert len(data["endpoints"]) == 3
    assert boxes(shown(taken, endpoint="(no endpoint)")) == [(0, "", 10, 0), (1, "main", 10, 10)]
    page = taken.get("/profiles", endpoint="GET /cart").text
    assert "sampler:python" in page
    assert '<option selected value="GET /cart">' in page


def test_look_closer_and_search(taken: Collector) -> None:
    whole = shown(taken)
    pay = next(box["id"] for box in whole["boxes"] if box["name"] == "Cart.pay")
    data = shown(taken, at=pay, q="REQUESTS")
    assert boxes(data) == [(0, "Cart.pay", 90, 20), (1, "dumps", 60, 60), (1, "send", 10, 10)]
    assert [(item["name"], item["total"] // MS) for item in data["path"]] == [("", 100), ("main", 100)]
    assert [box["found"] for box in data["boxes"]] == [False, False, True]
    assert (data["shown"], data["amount"], data["found"]) == (90 * MS, 100 * MS, 10 * MS)
    assert [item["name"] for item in data["functions"]] == ["dumps", "Cart.pay", "send"]
    assert shown(taken, q="pay")["found"] == 90 * MS
    assert shown(taken, q="nothing of that")["found"] == 0
    # A path that other profiles have: where it is not, nothing is drawn.
    assert shown(taken, at="0" * 24)["lost"]
    assert "Show all" in taken.get("/profiles", at="0" * 24).text
    assert pay == next(box["id"] for box in shown(taken, endpoint="GET /cart")["boxes"] if box["name"] == "Cart.pay")


def test_profiles_are_added_up(fresh: Collector) -> None:
    now = time.time_ns()
    for number, process in enumerate(["one", "two", "two"]):
        end = iso(now - number * 60 * SECOND)
        sent = body(shop(), tags={"runtime-id": process}, start=iso(now - (number + 1) * 60 * SECOND), end=end)
        assert upload(fresh, sent).status == 200
        # A tracer that saw no answer sends it again.
        assert upload(fresh, sent).status == 200
    data = shown(fresh, profiles=3)
    assert boxes(data)[:2] == [(0, "", 300, 0), (1, "main", 300, 30)]
    assert (data["profiles"], data["drawn"], data["processes"]) == (3, 3, 2)
    assert (data["start_ns"], data["end_ns"]) == (now - 180 * SECOND, now)
    part = shown(fresh, from_ms=(now - 90 * SECOND) // 10**6, to_ms=(now - 70 * SECOND) // 10**6)
    assert (part["drawn"], part["window"]) == (1, "range")
    assert part["endpoints"][0]["amount"] == 80 * MS


def test_a_gauge_is_what_is_there_at_last(fresh: Collector) -> None:
    now = time.time_ns()
    for number, (process, size) in enumerate([("one", 100), ("two", 30), ("one", 70)]):
        profile = Profile(HEAP).sample((MAIN,), size)
        end = now - (9 - number) * 60 * SECOND
        upload(fresh, body(profile, tags={"runtime-id": process}, start=iso(end - SECOND), end=iso(end)))
    data = fresh.wait_for(lambda: found if (found := shown(fresh, profiles=2))["amount"] == 100 else None)
    assert (data["unit"], data["gauge"], data["endpoints"][0]["amount"]) == ("bytes", True, 100)
    assert "100 B" in fresh.get("/profiles").text


def test_what_a_sample_is_about_is_its_innermost_frame(fresh: Collector) -> None:
    kinds = (("exception-samples", "count"), ("lock-acquire-wait", "nanoseconds"))
    profile = (
        Profile(*kinds).sample((MAIN, PAY), 3, 0, exception_type="KeyError").sample((MAIN,), 0, 5, lock_name="a:7")
    )
    upload(fresh, body(profile))
    assert [box["name"] for box in shown(fresh, value="exception-samples")["boxes"]][1:] == [
        "main",
        "Cart.pay",
        "KeyError",
    ]
    assert [box["name"] for box in shown(fresh, value="lock-acquire-wait")["boxes"]][1:] == ["main", "a:7"]


def test_from_a_span(fresh: Collector) -> None:
    low = new_trace_id()
    root = span(low, span_id=5, resource="POST /pay")
    view = span(low, span_id=6, parent_id=5, service="views", name="view", resource="view")
    query = span(low, span_id=7, parent_id=6, service="db", name="query", resource="query")
    fresh.send([root, view, query])
    fresh.trace(low, spans=3)
    trace = f"{low:032x}"
    assert "Profile of this span" not in fresh.get(f"/traces/{trace}").text
    assert upload(fresh, body(shop(), end=iso(time.time_ns() + 30 * SECOND))).status == 200
    shown(fresh)
    spans = fresh.get(f"/traces/{trace}.json").json["spans"]
    assert [(item["name"], item["profiled"]) for item in spans] == [
        ("flask.request", "shop"),
        ("view", "shop"),
        ("query", "shop"),
    ]
    address = f"/profiles?service=shop&amp;trace={trace}&amp;span=000000000000000"
    assert fresh.get(f"/traces/{trace}").text.count(address) == 3
    query_string = {"service": "shop", "trace": trace}
    assert boxes(shown(fresh, span=f"{5:016x}", **query_string))[0] == (0, "", 80, 0)
    assert boxes(shown(fresh, span=f"{6:016x}", **query_string))[0] == (0, "", 80, 0)
    assert boxes(shown(fresh, span=f"{7:016x}", **query_string))[0] == (0, "", 60, 0)
    # Without its trace: the span alone, or the request whose root it is.
    assert boxes(shown(fresh, service="shop", span="6"))[0] == (0, "", 20, 0)
    assert boxes(shown(fresh, service="shop", span="5"))[0] == (0, "", 80, 0)
    assert "Back to the trace" in fresh.get("/profiles", span=f"{7:016x}", **query_string).text


def test_from_an_endpoint(fresh: Collector) -> None:
    fresh.send([span(new_trace_id(), resource="POST /pay")], [span(new_trace_id(), resource="GET /other")])
    upload(fresh, body(shop()))
    shown(fresh)
    fresh.wait_for(lambda: fresh.get("/endpoints.json").json["requests"] == 2)
    page = fresh.get("/").text
    assert page.count('aria-label="Profile of') == 1
    assert "/profiles?service=shop&amp;endpoint=POST+%2Fpay&amp;window=1h" in page
    assert "Profile of this endpoint" in fresh.get("/traces", service="shop", resource="POST /pay").text
    assert "Profile of this endpoint" not in fresh.get("/traces", service="shop", resource="GET /other").text


def test_no_profiles_yet(fresh: Collector) -> None:
    page = fresh.get("/profiles").text
    assert f"DD_TRACE_AGENT_URL={fresh.url} DD_PROFILING_ENABLED=true ddmiddleware-run python app.py" in page
    assert PATH in fresh.get("/info").json["endpoints"]
    assert fresh.get("/profiles.json").json["boxes"] == []


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"window": "2h"}, "'window' must be one of"),
        ({"at": "x"}, "'at' must be the path"),
        ({"span": "x"}, "'span' must be a span id"),
        ({"from_ms": "-1"}, "'from_ms' must be a whole number"),
        ({"from_ms": "9", "to_ms": "8"}, "'to_ms' must not be before 'from_ms'"),
        ({"from_ms": str(2**63)}, "'from_ms' must be a whole number"),
    ],
)
def test_a_query_that_cannot_be_understood(taken: Collector, query: dict[str, str], reason: str) -> None:
    answer = taken.get("/profiles.json", **query)
    assert answer.status == 400
    assert answer.json["error"].startswith(reason)
    assert taken.get("/profiles", **query).status == 400


def test_fields_of_old_tracers(fresh: Collector) -> None:
    """ddtrace 1.0 has form fields in place of an event."""
    now = time.time_ns()
    fields = {
        "runtime-id": "one",
        "recording-start": iso(now - SECOND)[:-4] + "Z",
        "recording-end": iso(now)[:-4] + "Z",
        "runtime": "CPython",
        "format": "pprof",
        "type": "cpu+alloc+exceptions",
        "tags[]": "service:old",
    }
    parts = [(name, "", value.encode()) for name, value in fields.items()]
    profile = Profile(CPU).sample((MAIN,), 5, local_root_span_id="17", span_id="18")
    sent = multipart(*parts, ("chunk-data", "profile.pb.gz", gzip.compress(profile.encode())))
    assert upload(fresh, sent).status == 200
    assert shown(fresh, service="old")["amount"] == 5
    assert shown(fresh, service="old", span="17")["amount"] == 5


def test_ten_thousand_stacks(fresh: Collector) -> None:
    functions = [(f"function_{number}", f"/srv/app/module_{number % 40}.py", number + 1) for number in range(500)]
    profile = Profile(CPU)
    # Faster than `text`, which looks for each string.
    strings = {"": 0}
    profile.text = lambda text: strings.setdefault(text, len(strings))  # type: ignore[method-assign]
    strings.update({"cpu-time": 1, "nanoseconds": 2})
    for number in range(10_000):
        stack = [functions[(number // 10**power) % 10 + 40 * power] for power in (3, 2, 1, 0)]
        base = [functions[300 + level] for level in range(16)]
        profile.sample((*base, *stack), number + 1, trace_endpoint="GET /")
    profile.strings = list(strings)
    assert upload(fresh, body(profile)).status == 200
    data = shown(fresh)
    assert data["amount"] == sum(range(10_001))
    # What is too small to be drawn stands in one box below its caller.
    assert data["rows"] == 21
    assert {box["name"] for box in data["boxes"] if box["row"] == 20} == {"(smaller calls)"}
    page = fresh.get("/profiles", endpoint="GET /", q="function_7")
    assert page.status == 200
    assert len(page.body) < 1_500_000


def test_the_pages_of_an_unlikely_profile(fresh: Collector) -> None:
    strange = ("<script>alert(1)</script>\0\n\"'&", "C:\\app.py", 0)
    profile = Profile(("<b>", "'&")).sample((strange,) * 300, 5, trace_endpoint="<i>").sample((), 7)
    assert upload(fresh, body(profile, tags={"service": "<u>"})).status == 200
    data = shown(fresh)
    assert (data["amount"], data["hidden"], data["rows"]) == (12, 1, 200)
    page = fresh.get("/profiles").text
    for tag in ("<script>alert", "<b>", "<i>", "<u>"):
        assert tag not in page
    for item in re.findall(r'href="(/profiles[^"]*)"', page)[:20]:
        assert fresh.get(item.replace("&amp;", "&")).status == 200
