"""Helpers for users' own integrations."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Iterator
from typing import Any

import pytest

from ddmiddleware import config, tracer
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


def test_what_settings_ask_for(recorder: Recorder) -> None:
    headers = {"X-Request-Id": "7", "Authorization": "Basic x", "X-Forwarded-For": "8.8.4.4"}
    about: dict[str, Any] = {"query": "a=1", "request_headers": headers, "response_headers": {"x-Served-BY": "b"}}
    with tracer.trace("as it is") as span:
        trace_utils.set_http_meta(span, config.flask, peer_ip="9.9.9.9", server_address="shop", **about)
    settings = {
        "DD_TRACE_HEADER_TAGS": {"x-request-id": "", "authorization": "", "x-served-by": "served"},
        "DD_TRACE_QUERY_STRING_ENABLED": True,
        "DD_TRACE_CLIENT_IP_ENABLED": True,
    }
    before = {name: tracer.settings[name] for name in settings}
    try:
        for name, value in settings.items():
            tracer.settings[name] = value
        with tracer.trace("asked") as span:
            trace_utils.set_http_meta(span, None, **about)
            trace_utils.set_http_meta(span, config.flask, peer_ip="9.9.9.9")
    finally:
        for name, value in before.items():
            tracer.settings[name] = value
    plain, asked = recorder.take()
    assert plain["tags"] == {"server.address": "shop"}
    assert asked["tags"] == {
        "http.query.string": "a=1",
        "http.request.headers.x-request-id": "7",
        "served": "b",
        "http.client_ip": "9.9.9.9",
        "network.client.ip": "9.9.9.9",
    }


class _Library:
    def call(self, number: int) -> int:
        return number + 1

    async def call_later(self, number: int) -> int:
        return number + 1


def test_wrapping_by_hand(recorder: Recorder) -> None:
    @trace_utils.with_traced_module
    def traced(module: Any, pin: Pin, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        with pin.tracer.trace("library.call", service=pin.service):
            return wrapped(*args, **kwargs)

    @trace_utils.with_traced_module_async
    async def traced_later(module: Any, pin: Pin, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        with pin.tracer.trace("library.call_later", service=pin.service):
            return await wrapped(*args, **kwargs)

    module = types.ModuleType("library")
    original = _Library.call
    trace_utils.wrap(_Library, "call", traced(module))
    trace_utils.wrap(_Library, "call_later", traced_later(module))
    assert trace_utils.iswrapped(_Library, "call")
    assert trace_utils.iswrapped(_Library.call)
    assert (_Library().call(1), asyncio.run(_Library().call_later(1))) == (2, 2)
    assert recorder.take() == []
    Pin(service="library").onto(module)
    assert (_Library().call(1), asyncio.run(_Library().call_later(1))) == (2, 2)
    assert [(span["name"], span["service"]) for span in recorder.take()] == [
        ("library.call", "library"),
        ("library.call_later", "library"),
    ]
    for name in ("call", "call_later", "call"):
        trace_utils.unwrap(_Library, name)
    assert _Library.call is original
    assert not trace_utils.iswrapped(_Library, "call")


def test_what_is_in_an_url() -> None:
    netloc_and_query = trace_utils.extract_netloc_and_query_info_from_url
    assert netloc_and_query("https://bob:secret@shop:8443/users?a=1#b") == ("shop:8443", "a=1")
    assert netloc_and_query("http://[") == ("", "")


@pytest.mark.parametrize(
    ("options", "on"),
    [
        ({}, False),
        ({"distributed_tracing": True}, True),
        ({"distributed_tracing_enabled": False}, False),
        (None, False),
    ],
)
def test_distributed_tracing(options: Any, on: bool) -> None:
    assert trace_utils.distributed_tracing_enabled(options) is on
    assert trace_utils.distributed_tracing_enabled(config.flask)
    assert trace_utils.distributed_tracing_enabled({}, default=True)


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
        trace_utils.set_flattened_tags(
            span,
            [("f", {"g": 1}), ("h", 2)],
            sep="/",
            exclude_policy=lambda key: key == "h",
            processor=lambda value: value + 1,
        )
        trace_utils.set_user(tracer, "8", span=span, propagate=True)
        assert span.context.dd_user_id == "8"
    outer, inner = recorder.take()
    assert outer["tags"] == {"usr.id": "7", "usr.email": "a@b"}
    assert inner["tags"] == {"a.b": 1, "a.c.d": "x", "e": "None", "f/g": 2, "usr.id": "8"}
