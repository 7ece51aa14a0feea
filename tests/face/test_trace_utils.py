"""Helpers for users' own integrations."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ddmiddleware import tracer
from ddmiddleware.contrib import trace_utils
from ddmiddleware.pin import Pin
from ddmiddleware.tracing import active
from tests.integrations.recorder import Recorder


@pytest.fixture(autouse=True)
def _nothing_active(recorder: Recorder) -> Iterator[None]:
    yield
    active.set(None)


def test_http_meta(recorder: Recorder) -> None:
    with tracer.trace("a") as span:
        trace_utils.set_http_meta(
            span,
            method="GET",
            url="https://bob:secret@shop:8443/users/7?token=1#top",
            status_code=503,
            status_msg="down",
            request_headers={"User-Agent": "curl"},
            retries_remain=2,
            route="/users/{id}",
            response_headers={"set-cookie": "a"},
        )
    (found,) = recorder.take()
    assert found["error"] == 1
    assert found["tags"] == {
        "http.method": "GET",
        "http.url": "https://shop:8443/users/7",
        "http.status_code": "503",
        "http.status_msg": "down",
        "http.useragent": "curl",
        "http.retries_remain": "2",
        "http.route": "/users/{id}",
    }


@pytest.mark.parametrize(("status", "error"), [(404, 0), ("500", 1), ("odd", 0), (None, 0)])
def test_a_status(status: int | str | None, error: int) -> None:
    with tracer.trace("a") as span:
        trace_utils.set_http_meta(span, status_code=status, url="http://[")
    assert span.error == error


def test_headers_are_activated_once() -> None:
    headers = {"X-Datadog-Trace-Id": "7", "X-Datadog-Parent-Id": "8"}
    trace_utils.activate_distributed_headers(tracer, None, headers, override=False)
    assert tracer.current_trace_context() is None
    trace_utils.activate_distributed_headers(tracer, None, headers)
    with tracer.trace("a") as span:
        assert (span.trace_id, span.parent_id) == (7, 8)
        trace_utils.activate_distributed_headers(tracer, None, headers)
        assert tracer.current_span() is span
    trace_utils.activate_distributed_headers(tracer, None, {"x-datadog-trace-id": "9", "x-datadog-parent-id": "1"})
    context = tracer.current_trace_context()
    assert context is not None
    assert context.trace_id == 9


def test_services(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trace_utils.ext_service(Pin(service="a"), None, "b") == "a"
    assert trace_utils.ext_service(None, None, "b") == "b"
    assert trace_utils.int_service(Pin(service="a"), None, "b") == "a"
    assert trace_utils.int_service(None, None, "b") == tracer.settings.service


def test_flat_tags_and_the_user(recorder: Recorder) -> None:
    trace_utils.set_user(tracer, "7")
    with tracer.trace("a"), tracer.trace("b") as span:
        trace_utils.set_flattened_tags(span, {"a": {"b": 1, "c": {"d": "x"}}, "e": None})
        trace_utils.set_user(tracer, "7", email="a@b", nonsense=1)
    outer, inner = recorder.take()
    assert outer["tags"] == {"usr.id": "7", "usr.email": "a@b"}
    assert inner["tags"] == {"a.b": 1, "a.c.d": "x", "e": "None"}
