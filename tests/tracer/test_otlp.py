"""What of a span stands where in OTLP, in both formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ddmiddleware.tracing import Context, Tracer
from tests.tracer.conftest import MakeTracer
from tests.tracer.otlp_receiver import TYPES, OtlpReceiver, attributes, decode, expected_resource, otlp_tracer

MakeOtlpTracer = Any


@pytest.fixture(params=TYPES)
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture
def make(make_tracer: MakeTracer, receiver: OtlpReceiver, protocol: str) -> MakeOtlpTracer:
    """A maker of tracers that send to the receiver."""

    def make(**environ: str) -> Tracer:
        environ |= {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "DD_TRACE_WRITER_INTERVAL_SECONDS": "60"}
        return otlp_tracer(make_tracer, receiver.url, **environ)

    return make


def _sent(tracer: Tracer, receiver: OtlpReceiver) -> list[dict[str, Any]]:
    """Return the spans in the order in which they started."""
    assert tracer.flush()
    assert len(receiver.requests) == 1
    times = {
        span.span_id.hex(): span.start_time_unix_nano
        for resource in decode(receiver.requests[0]).resource_spans
        for span in resource.scope_spans[0].spans
    }
    return sorted(receiver.spans, key=lambda span: times[span["span_id"]])


def _expected(span: Any, **changes: Any) -> dict[str, Any]:
    return {
        "service": "shop",
        "trace_id": f"{span.trace_id:032x}",
        "span_id": f"{span.span_id:016x}",
        "parent_id": f"{span.parent_id:016x}" if span.parent_id else "",
        "trace_state": "",
        "flags": 0x101,
        "name": span.name,
        "kind": 1,
        "duration": span.duration_ns,
        "events": [],
        "links": [],
        "status": (0, ""),
        **changes,
        "attributes": {"operation.name": span.name, **changes.get("attributes", {})},
    }


def test_a_trace(make: MakeOtlpTracer, receiver: OtlpReceiver, protocol: str) -> None:
    tracer = make()
    with tracer.trace("web.request", resource="GET /orders", span_type="web") as web:
        web.set_tags({"span.kind": "server", "text": "é\0", "number": -3, "big": 2**63 - 1, "half": 0.5, "yes": True})
        with tracer.trace("sql.query", service="db", resource="SELECT 1") as query:
            query.set_tag("span.kind", "client")
    assert _sent(tracer, receiver) == [
        _expected(
            web,
            name="GET /orders",
            kind=2,
            attributes={
                "span.type": "web",
                "text": "é\0",
                "number": -3,
                "big": 2**63 - 1,
                "half": 0.5,
                "yes": "True",
            },
        ),
        _expected(query, service="db", name="SELECT 1", kind=3, attributes={"_dd.base_service": "shop"}),
    ]
    (request,) = receiver.requests
    assert (request.path, request.headers["content-type"]) == ("/v1/traces", TYPES[protocol])


@pytest.mark.parametrize(("text", "number"), [("producer", 4), ("consumer", 5), ("internal", 1)])
def test_a_kind(make: MakeOtlpTracer, receiver: OtlpReceiver, text: str, number: int) -> None:
    tracer = make()
    with tracer.trace("a") as span:
        span.set_tag("span.kind", text)
    assert _sent(tracer, receiver) == [_expected(span, kind=number)]


def test_an_unknown_kind_stays_an_attribute(make: MakeOtlpTracer, receiver: OtlpReceiver) -> None:
    tracer = make()
    with tracer.trace("a") as span:
        span.set_tag("span.kind", "odd")
    assert _sent(tracer, receiver) == [_expected(span, attributes={"span.kind": "odd"})]


def test_an_error_is_a_status_and_an_event(make: MakeOtlpTracer, receiver: OtlpReceiver) -> None:
    tracer = make()
    with pytest.raises(ValueError, match="no"), tracer.trace("a") as span:
        raise ValueError("no")
    (found,) = _sent(tracer, receiver)
    assert found == _expected(
        span,
        status=(2, "no"),
        attributes={"error.type": "builtins.ValueError", "error.message": "no"},
        events=[
            {
                "name": "exception",
                "time": span.start_ns + span.duration_ns,
                "attributes": {
                    "exception.type": "builtins.ValueError",
                    "exception.message": "no",
                    "exception.stacktrace": span.get_tag("error.stack"),
                },
            }
        ],
    )
    assert "raise ValueError" in found["events"][0]["attributes"]["exception.stacktrace"]


def test_an_exception_that_was_recorded_is_no_second_event(make: MakeOtlpTracer, receiver: OtlpReceiver) -> None:
    tracer = make()
    error = ValueError("no")
    span = tracer.trace("a")
    span.record_exception(error, escaped=True, timestamp=1)
    with pytest.raises(ValueError, match="no"), span:
        raise error
    (found,) = _sent(tracer, receiver)
    (event,) = found["events"]
    assert (event["time"], event["attributes"]["exception.escaped"]) == (1, True)


def test_an_error_without_words(make: MakeOtlpTracer, receiver: OtlpReceiver) -> None:
    tracer = make()
    with tracer.trace("a") as span:
        span.error = 1
    assert _sent(tracer, receiver) == [_expected(span, status=(2, ""))]


def test_events_and_links(make: MakeOtlpTracer, receiver: OtlpReceiver) -> None:
    tracer = make()
    with tracer.trace("a") as span:
        span.add_event("bare", time_unix_nano=5)
        span.add_event("full", {"text": "é", "yes": True, "n": -1, "half": 0.5, "list": ["x", "y"], "ints": [1, 2]}, 6)
        span.set_link(2**128 - 1, 2**64 - 1, "congo=t61", 1, {"why": "batch"})
        span.set_link(1, 2)
        span.set_link(-1, 2)  # no ids: left out
    assert _sent(tracer, receiver) == [
        _expected(
            span,
            events=[
                {"name": "bare", "time": 5, "attributes": {}},
                {
                    "name": "full",
                    "time": 6,
                    "attributes": {
                        "text": "é",
                        "yes": True,
                        "n": -1,
                        "half": 0.5,
                        "list": ["x", "y"],
                        "ints": [1, 2],
                    },
                },
            ],
            links=[
                {
                    "trace_id": "f" * 32,
                    "span_id": "f" * 16,
                    "trace_state": "congo=t61",
                    "flags": 1,
                    "attributes": {"why": "batch"},
                },
                {
                    "trace_id": f"{1:032x}",
                    "span_id": f"{2:016x}",
                    "trace_state": "",
                    "flags": 0,
                    "attributes": {},
                },
            ],
        )
    ]


def test_a_remote_parent(make: MakeOtlpTracer, receiver: OtlpReceiver) -> None:
    tracer = make()
    remote = Context(2**127, 2**63, "rum", 2, tracestate="congo=t61,rojo=00f")
    with tracer.start_span("a", child_of=remote, activate=True) as span, tracer.trace("b") as inner:
        pass
    state = {"trace_state": "congo=t61,rojo=00f", "attributes": {"_dd.origin": "rum"}}
    assert _sent(tracer, receiver) == [_expected(span, flags=0x301, **state), _expected(inner, **state)]


def test_what_sampling_rejected_is_not_sent(make: MakeOtlpTracer, receiver: OtlpReceiver) -> None:
    tracer = make()
    with tracer.start_span("a", child_of=Context(1, 2, None, -1), activate=True), tracer.trace("b") as kept:
        kept.set_metric("_dd.span_sampling.mechanism", 8)  # a rule for single spans kept this one
    assert _sent(tracer, receiver) == [_expected(kept, flags=0x100)]
    assert (tracer.stats()["sent"], tracer.stats()["dropped"]) == (1, 0)


def test_the_agents_own_texts_are_left_out_after_it_encoded_a_span(
    make: MakeOtlpTracer, receiver: OtlpReceiver
) -> None:
    from ddmiddleware.tracing.encoding import EncoderV05

    tracer = make()

    class _First:
        def process_trace(self, trace: Any) -> Any:
            EncoderV05().add(trace)
            return trace

    tracer._pipeline.filters.append(_First())
    with tracer.trace("a") as span:
        span.add_event("bare", time_unix_nano=5)
        span.set_link(1, 2)
    with tracer.trace("b") as other:
        other.set_tag("events", "of the user")
    assert tracer.flush()
    assert [found["attributes"] for found in receiver.spans] == [
        {"operation.name": "a"},
        {"operation.name": "b", "events": "of the user"},
    ]


def _resources(receiver: OtlpReceiver) -> list[dict[str, Any]]:
    message = decode(receiver.requests[0])
    return [attributes(resource.resource.attributes) for resource in message.resource_spans]


def test_a_resource_per_service(make: MakeOtlpTracer, receiver: OtlpReceiver) -> None:
    tracer = make(DD_ENV="prod", DD_VERSION="1.2", DD_TAGS="team:blue host.name:box")
    with tracer.trace("a") as span, tracer.trace("b", service="db") as query:
        query.set_tag("team", "red")
    tracer.trace("c").finish()
    found = _sent(tracer, receiver)
    shared = {"deployment.environment.name": "prod", "team": "blue", "host.name": "box"}
    resources = [
        expected_resource(**shared, **{"service.version": "1.2"}),
        expected_resource(**shared, **{"service.name": "db"}),
    ]
    assert sorted(_resources(receiver), key=len, reverse=True) == resources
    assert found[0] == _expected(span, attributes={"version": "1.2"})
    assert found[1] == _expected(query, service="db", attributes={"team": "red", "_dd.base_service": "shop"})


def test_a_renamed_service_has_the_version(make: MakeOtlpTracer, receiver: OtlpReceiver) -> None:
    tracer = make(DD_VERSION="1.2", DD_SERVICE_MAPPING="shop:store")
    tracer.trace("a").finish()
    _sent(tracer, receiver)
    assert _resources(receiver) == [expected_resource(**{"service.name": "store", "service.version": "1.2"})]


def test_git_is_renamed_and_other_bookkeeping_left_out(make: MakeOtlpTracer, receiver: OtlpReceiver) -> None:
    tracer = make()
    with tracer.trace("a") as span:
        span.set_tags({"_dd.git.commit.sha": "c0ffee", "_dd.base_service": "shop", "_dd.p.ts": "02", "language": "de"})
        span.set_tags({"_dd.measured": 1, "_dd.git.repository_url": "https://example.org/shop"})
    expected = {
        "vcs.ref.head.revision": "c0ffee",
        "vcs.repository.url.full": "https://example.org/shop",
        "_dd.base_service": "shop",
    }
    (found,) = _sent(tracer, receiver)
    assert found == _expected(span, attributes=expected)
