"""The testing kit: fixture, queries, trees, snapshots; in a user's own pytest run as well."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ddmiddleware import tracer
from ddmiddleware.testing import Spans, recorded
from ddmiddleware.tracing import active
from tests.tracer.processes import environment

pytest_plugins = ["ddmiddleware.testing.plugin"]


def _request(path: str = "/users/{id}", error: bool = False) -> None:
    with tracer.trace("web.request", resource=f"GET {path}", span_type="web") as span:
        span.set_tag("http.method", "GET")
        with tracer.trace("redis.command", service="cache", resource="GET"):
            pass
        with tracer.trace("sql.query", service="db", resource="select *\n  from t") as query:
            query.set_metric("db.row_count", 3)
            query.error = int(error)


def test_queries(ddspans: Spans) -> None:
    _request()
    _request("/orders/[x]?", error=True)
    assert len(ddspans) == 6
    assert [span.name for span in ddspans] == ["web.request", "redis.command", "sql.query"] * 2
    assert ddspans[0].resource == "GET /users/{id}"
    assert ddspans.one(error=1).service == "db"
    assert ddspans.one(resource="GET /orders/[x]?").parent_id == 0
    assert len(ddspans.where(resource="GET /*", tags={"http.method": "GET"})) == 2
    assert len(ddspans.where(tags={"db.row_count": 3})) == 2
    assert ddspans.where(tags={"nonsense": None}) == []
    with pytest.raises(AssertionError, match=r"2 spans are \{'name': 'redis.command'\}, among these:\nweb.request"):
        ddspans.one(name="redis.command")
    ddspans.clear()
    assert list(ddspans) == []


def test_a_tree(ddspans: Spans) -> None:
    _request(error=True)
    ddspans.assert_tree("""
        web.request | GET /users/{id}
            redis.command | GET
            sql.query | select * from t !
    """)
    ddspans.assert_tree("web.*\n    redis.*\n    sql.query*")
    with pytest.raises(AssertionError, match="- expected, ") as caught:
        ddspans.assert_tree("web.request | GET /users/{id}\nredis.command | GET")
    assert "+     sql.query | select * from t !" in str(caught.value)


def test_a_tree_of_ten_thousand_levels(ddspans: Spans) -> None:
    spans = [tracer.trace("deep") for _ in range(10_000)]
    spans[-1].finish_with_ancestors()
    assert ddspans.tree().count("\n") == 9_999


def _fail() -> None:
    with tracer.trace("c"):
        raise ValueError("no")


def test_a_snapshot(ddspans: Spans) -> None:
    with tracer.trace("a") as span:
        span.add_event("retry", {"n": 1})
    with tracer.trace("b") as other:
        other.link_span(span.context)
        with pytest.raises(ValueError, match="no"):
            _fail()
    error = {"error.type": "builtins.ValueError", "error.message": "no", "error.stack": "ValueError: no"}
    plain: dict[str, Any] = {"service": tracer.service, "type": None, "error": 0, "tags": {}}
    assert ddspans.snapshot() == [
        {**plain, "trace": 1, "parent": 0, "name": "a", "resource": "a", "events": [("retry", {"n": 1})]},
        {**plain, "trace": 2, "parent": 0, "name": "b", "resource": "b", "links": [1]},
        {**plain, "trace": 2, "parent": 2, "name": "c", "resource": "c", "tags": error, "error": 1},
    ]


def test_canaries(ddspans: Spans) -> None:
    with tracer.trace("a") as span:
        span.set_tag("note", "the code is 1234")
        span.add_event("e", {"list": ["canary"]})
        span.set_tag("http.url", "http://bob:hunter2@shop/")
    ddspans.assert_no_sensitive("4321", "hunter2")
    for canary in ("1234", "canary"):
        with pytest.raises(AssertionError, match=f"'{canary}' is in the span 'a'"):
            ddspans.assert_no_sensitive("4321", canary)


def test_a_block_is_isolated_and_puts_everything_back() -> None:
    with recorded() as outer, tracer.trace("outside"):
        with recorded() as inner:
            assert active.get() is None
            tracer.enabled = False
        assert tracer.enabled
        with recorded() as again:
            _request()
        assert (len(inner), len(again)) == (0, 3)
        assert tracer.current_span() is not None
        thread = threading.Thread(target=_request)
        thread.start()
        thread.join()
    assert sorted(span.name for span in outer) == ["outside", "redis.command", "sql.query", "web.request"]


def test_a_users_own_run(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "from ddmiddleware import tracer\n"
        "def test_one(ddspans):\n"
        "    with tracer.trace('a'): pass\n"
        "    ddspans.assert_tree('a')\n"
        "def test_two(ddspans):\n"
        "    assert len(ddspans) == 0\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "ddmiddleware.testing.plugin", "-p", "no:cacheprovider"]
    environ = environment("http://127.0.0.1:9", DD_TRACE_ENABLED="false")
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert "2 passed" in done.stdout, done.stdout
