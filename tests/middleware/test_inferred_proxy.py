"""The span of an API gateway that describes itself in headers."""

from __future__ import annotations

import time

import pytest

from ddmiddleware.tracing import Span, default_tracer
from tests.integrations.recorder import Recorder
from tests.middleware.interfaces import Interface, Pairs, put
from tests.middleware.requests_by_hand import span

AWS = {
    "": "aws-apigateway",
    "-path": "/prod/users/3",
    "-resource-path": "/users/{id}",
    "-httpmethod": "GET",
    "-domain-name": "api.example.com",
    "-stage": "prod",
    "-region": "eu-west-1",
    "-api-id": "a1b2",
    "-account-id": "123",
    "-user": "arn",
}


def headers(ago_s: float, **changes: str) -> Pairs:
    given = {**AWS, "-request-time-ms": str(int((time.time() - ago_s) * 1000)), **changes}
    return [(f"x-dd-proxy{name}", value) for name, value in given.items()]


@pytest.fixture(autouse=True)
def _on() -> None:
    put("DD_TRACE_INFERRED_PROXY_SERVICES_ENABLED", "true")


def test_a_gateway(recorder: Recorder, interface: Interface) -> None:
    seen: list[Span | None] = []
    given = [*headers(2.0), ("traceparent", f"00-{7:032x}-{9:016x}-01"), ("user-agent", "curl")]
    interface.ask("/users/3", headers=given, status=503, work=lambda: seen.append(default_tracer.current_span()))
    gateway, request = recorder.take()
    assert seen[0] is not None
    assert request == span(interface.name, None, "/users/3", 503, parent=1, tags={"http.useragent": "curl"})
    assert (gateway["service"], gateway["error"]) == ("api.example.com", 1)
    assert (gateway["name"], gateway["resource"], gateway["type"]) == ("aws.apigateway", "GET /users/{id}", "web")
    assert gateway["tags"] == {
        "component": "aws-apigateway",
        "span.kind": "server",
        "http.method": "GET",
        "http.url": "https://api.example.com/prod/users/3",
        "http.route": "/users/{id}",
        "http.status_code": "503",
        "http.useragent": "curl",
        "stage": "prod",
        "region": "eu-west-1",
        "apiid": "a1b2",
        "account_id": "123",
        "aws_user": "arn",
        "dd_resource_key": "arn:aws:apigateway:eu-west-1::/restapis/a1b2",
        "_dd.inferred_span": 1,
    }
    parent = seen[0]._parent
    assert parent is not None
    assert seen[0].trace_id == parent.trace_id == 7
    assert parent.parent_id == 9
    assert parent.duration is not None
    assert seen[0].duration is not None
    assert 2.0 <= parent.duration < 60.0
    assert seen[0].duration < parent.duration


@pytest.mark.parametrize(
    "changes",
    [{"": "nginx"}, {"-request-time-ms": ""}, {"-request-time-ms": "soon"}, {"-request-time-ms": "1"}],
)
def test_no_gateway_that_we_know(recorder: Recorder, interface: Interface, changes: dict[str, str]) -> None:
    interface.ask(headers=headers(1.0, **changes))
    assert recorder.take() == [span(interface.name, None, "/")]


@pytest.mark.parametrize(("system", "name"), [("aws-httpapi", "aws.httpapi"), ("azure-apim", "azure.apim")])
def test_a_path_is_no_resource(recorder: Recorder, interface: Interface, system: str, name: str) -> None:
    interface.ask(headers=[(key, value) for key, value in headers(0.0, **{"": system}) if "resource" not in key])
    gateway = recorder.take()[0]
    assert (gateway["name"], gateway["resource"]) == (name, "GET")


def test_a_clock_that_is_ahead(recorder: Recorder, interface: Interface) -> None:
    interface.ask(headers=headers(-30.0))
    assert recorder.names() == ["aws.apigateway", f"{interface.name}.request"]  # which checks durations


def test_off(recorder: Recorder, interface: Interface) -> None:
    put("DD_TRACE_INFERRED_PROXY_SERVICES_ENABLED", "false")
    interface.ask(headers=headers(1.0))
    assert recorder.take() == [span(interface.name, None, "/")]
