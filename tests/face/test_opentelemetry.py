"""The OpenTelemetry API over our tracer: one trace, one active span, one baggage, the same headers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import opentelemetry.context as otel_context
import pytest
from opentelemetry import baggage, propagate, trace
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

from ddmiddleware import opentelemetry as bridge
from ddmiddleware import patch, tracer, unpatch
from ddmiddleware.testing import Spans, recorded
from ddmiddleware.tracing import active
from tests.recording_agent import RecordingAgent
from tests.tracer.processes import run


@pytest.fixture
def spans() -> Iterator[Spans]:
    before = vars(otel_context)["_RUNTIME_CONTEXT"]
    with recorded() as spans:
        patch(otel=True)
        yield spans
        unpatch("otel")
        bridge._bridge.unpatch()
    assert vars(otel_context)["_RUNTIME_CONTEXT"] is before
    assert active.get() is None


def _tracer() -> trace.Tracer:
    return trace.get_tracer("library")


def test_parents_cross_over_both_ways(spans: Spans) -> None:
    with tracer.trace("ours") as ours:
        assert trace.get_current_span().get_span_context().span_id == ours.span_id
        with _tracer().start_as_current_span("theirs", kind=SpanKind.SERVER) as theirs:
            assert trace.get_current_span() is theirs
            with tracer.trace("ours again"), _tracer().start_as_current_span("leaf"):
                pass
            assert trace.get_current_span() is theirs
        assert tracer.current_span() is ours
    assert trace.get_current_span() is trace.INVALID_SPAN
    spans.assert_tree("""
        ours
            server.request | theirs
                ours again
                    internal | leaf
    """)


def test_a_span(spans: Spans) -> None:
    with _tracer().start_as_current_span("GET /users/{id}", kind=SpanKind.CLIENT, attributes={"a": "b"}) as span:
        span.set_attribute("http.request.method", "GET")
        span.set_attributes({"http.response.status_code": 404, "n": 1.5, "flag": True, "list": ["x", "y"]})
        span.add_event("retry", {"n": 2}, timestamp=17)
        assert span.is_recording()
    span.set_attribute("late", "1")
    span.update_name("late")
    span.set_status(StatusCode.ERROR)
    span.end()
    assert not span.is_recording()
    assert spans.snapshot() == [
        {
            "trace": 1,
            "parent": 0,
            "service": tracer.service,
            "name": "http.client.request",
            "resource": "GET /users/{id}",
            "type": "http",
            "error": 0,
            "tags": {
                "span.kind": "client",
                "a": "b",
                "http.request.method": "GET",
                "http.status_code": "404",
                "n": 1.5,
                "flag": "true",
                "list.0": "x",
                "list.1": "y",
            },
            "events": [("retry", {"n": 2})],
        }
    ]


@pytest.mark.parametrize(
    ("kind", "attributes", "name"),
    [
        (SpanKind.INTERNAL, {}, "internal"),
        (SpanKind.SERVER, {}, "server.request"),
        (SpanKind.SERVER, {"http.method": "GET"}, "http.server.request"),
        (SpanKind.CLIENT, {"db.system": "postgresql"}, "postgresql.query"),
        (SpanKind.PRODUCER, {"messaging.system": "Kafka", "messaging.operation": "publish"}, "kafka.publish"),
        (SpanKind.CLIENT, {"rpc.system": "grpc"}, "grpc.client.request"),
        (SpanKind.CLIENT, {"rpc.system": "aws-api", "rpc.service": "S3"}, "aws.s3.request"),
        (SpanKind.CLIENT, {"faas.invoked_provider": "aws", "faas.invoked_name": "f"}, "aws.f.invoke"),
        (SpanKind.SERVER, {"faas.trigger": "timer"}, "timer.invoke"),
        (SpanKind.SERVER, {"graphql.operation.type": "query"}, "graphql.server.request"),
        (SpanKind.CLIENT, {"network.protocol.name": "amqp"}, "amqp.client.request"),
        (SpanKind.CONSUMER, {}, "consumer"),
        (SpanKind.SERVER, {"operation.name": "own"}, "own"),
    ],
)
def test_operation_names(spans: Spans, kind: SpanKind, attributes: dict[str, str], name: str) -> None:
    _tracer().start_span("x", kind=kind, attributes=attributes).end()
    assert spans.one().name == name


def test_fields_by_attributes(spans: Spans) -> None:
    attributes = {"service.name": "s", "resource.name": "r", "span.type": "t", "operation.name": "o"}
    _tracer().start_span("x", attributes=attributes, start_time=1_000).end(3_000)
    (span,) = spans
    found = (span.service, span.resource, span.type, span.name, span.start_ns, span.duration_ns)
    assert found == ("s", "r", "t", "o", 1_000, 2_000)


def _fail() -> None:
    with _tracer().start_as_current_span("x"):
        raise LookupError("gone")


def test_an_exception(spans: Spans) -> None:
    with pytest.raises(LookupError, match="gone"):
        _fail()
    (span,) = spans
    assert (span.error, span.tags["error.message"]) == (1, "LookupError: gone")
    assert span.tags["error.type"] == "builtins.LookupError"
    ((name, _, attributes),) = span.events
    assert (name, attributes["exception.message"]) == ("exception", "gone")


def test_status_rules(spans: Spans) -> None:
    span = _tracer().start_span("x")
    span.set_status(StatusCode.ERROR, "no")
    span.set_status(StatusCode.UNSET)
    span.end()
    other = _tracer().start_span("y")
    other.record_exception(ValueError("handled"))
    other.set_status(StatusCode.OK)
    other.set_status(StatusCode.ERROR, "too late")
    other.end()
    first, second = spans
    assert (first.error, first.tags["error.message"]) == (1, "no")
    assert (second.error, "error.message" in second.tags) == (0, False)


def test_links_and_remote_parents(spans: Spans) -> None:
    state = TraceState.from_header(["dd=s:2,other=1"])
    remote = SpanContext(7 << 64 | 9, 8, True, TraceFlags(1), state)
    context = trace.set_span_in_context(NonRecordingSpan(remote))
    span = _tracer().start_span("x", context=context, links=[Link(SpanContext(1, 2, True), {"why": "batch"})])
    span.add_link(SpanContext(0, 0, True))
    found = span.get_span_context()
    assert (found.trace_id, found.is_remote, found.trace_state.to_header()) == (remote.trace_id, False, "other=1")
    span.end()
    (sent,) = spans
    assert (sent.trace_id, sent.parent_id) == (remote.trace_id, 8)
    assert sent.links == (
        {"trace_id": f"{1:032x}", "span_id": f"{2:016x}", "flags": 0, "attributes": {"why": "batch"}},
    )


def test_baggage_crosses_over_both_ways(spans: Spans) -> None:
    with tracer.trace("ours") as ours:
        ours.context.set_baggage_item("from", "ours")
        assert baggage.get_baggage("from") == "ours"
        token = otel_context.attach(baggage.set_baggage("to", "theirs"))
        assert ours.context.get_all_baggage_items() == {"from": "ours", "to": "theirs"}
        otel_context.detach(token)
    token = otel_context.attach(baggage.set_baggage("alone", 1))
    found = active.get()
    assert found is not None
    assert found.get_all_baggage_items() == {"alone": "1"}  # type: ignore[union-attr]  # a context, without a trace
    otel_context.detach(token)


def test_headers(spans: Spans) -> None:
    headers: dict[str, str] = {}
    with tracer.trace("ours") as ours:
        propagate.inject(headers)
    assert headers["x-datadog-parent-id"] == str(ours.span_id)
    assert headers["traceparent"].split("-")[1:3] == [f"{ours.trace_id:032x}", f"{ours.span_id:016x}"]
    context = propagate.extract(headers)
    with _tracer().start_as_current_span("x", context=context):
        pass
    assert spans.one(resource="x").parent_id == ours.span_id
    assert propagate.extract({}) == {}
    assert {"traceparent", "x-datadog-trace-id"} <= propagate.get_global_textmap().fields
    with tracer.trace("fresh"):
        token = otel_context.attach(otel_context.Context())
        assert tracer.current_span() is None
        otel_context.detach(token)


def test_decorated_functions_and_tasks(spans: Spans) -> None:
    @_tracer().start_as_current_span("decorated")
    async def work() -> None:
        await asyncio.sleep(0)
        with tracer.trace("inside"):
            pass

    async def main() -> None:
        await asyncio.gather(work(), work())

    asyncio.run(main())
    tree = "internal | decorated\n    inside\n"
    spans.assert_tree(tree + tree)


def test_a_context_that_is_detached_elsewhere(spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
    token = otel_context.attach(otel_context.set_value("key", 1))
    threading.Thread(target=otel_context.detach, args=(token,)).start()
    otel_context.detach(token)
    assert caplog.records == []


def test_a_switched_off_tracer(spans: Spans) -> None:
    tracer.enabled = False
    with _tracer().start_as_current_span("x") as span:
        span.set_attribute("a", 1)
    tracer.enabled = True
    assert len(spans) == 0


SCRIPT = """
import sys
import ddmiddleware
ddmiddleware.patch_all()
from opentelemetry import trace
if sys.argv[1:]:
    from ddmiddleware.opentelemetry import TracerProvider
    trace.set_tracer_provider(TracerProvider())
with trace.get_tracer("a").start_as_current_span("x"), ddmiddleware.tracer.trace("y"):
    pass
"""


@pytest.mark.parametrize(
    ("arguments", "environ", "names"),
    [
        ((), {"DD_TRACE_OTEL_ENABLED": "true"}, ["internal", "y"]),
        (("by hand",), {}, ["internal", "y"]),
        ((), {}, ["y"]),
    ],
)
def test_how_it_is_switched_on(arguments: tuple[str, ...], environ: dict[str, Any], names: list[str]) -> None:
    with RecordingAgent() as agent:
        run(SCRIPT, agent.url, *arguments, **environ)
        assert [span["name"] for span in agent.spans] == names
        assert len({span["trace_id"] for span in agent.spans}) == 1
