"""Any span gives an OTLP request that can be decoded, and both formats say the same."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ddmiddleware.tracing import Span, Tracer
from ddmiddleware.tracing.export.otlp import OtlpEncoder
from ddmiddleware.tracing.export.otlp_json import JsonFormat
from ddmiddleware.tracing.export.otlp_mapping import Mapping
from ddmiddleware.tracing.export.otlp_protobuf import ProtobufFormat
from tests.tracer.anything import HOSTILE
from tests.tracer.conftest import MakeTracer
from tests.tracer.otlp_receiver import read

_Anything = st.one_of(
    st.text(st.characters()),  # lone surrogates and NUL too
    st.binary(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(st.integers() | st.text(st.characters()), max_size=3),
    st.sampled_from(["x" * 30_000, ValueError, "server", "é"]),
    # Made when drawn: hypothesis itself would stumble over them.
    st.sampled_from([*HOSTILE, lambda: 10**6000]).map(lambda make: make()),
)
_Keys = st.sampled_from(["span.kind", "error.stack", "error.type", "error.message", "events", "_dd.span_links", "a"])
_quick = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def idle(make_tracer: MakeTracer) -> Tracer:
    """A tracer whose spans are encoded by the test."""
    return make_tracer("http://127.0.0.1:9")


def _encoded(tracer: Tracer, *spans: Span) -> list[Any]:
    """Encode *spans* in both formats, compare them, and return the spans of the message."""
    mapping = Mapping(tracer.settings)
    messages = []
    for format in (ProtobufFormat(mapping), JsonFormat(mapping)):
        encoder = OtlpEncoder(format, mapping.service, gzip=False)
        encoder.add(list(spans))
        assert encoder.spans == len(spans)
        messages.append(read(format.content_type, encoder.take()))
        assert (encoder.spans, encoder.chunks, encoder.size) == (0, 0, 0)
    in_protobuf, in_json = messages
    assert in_json == in_protobuf
    return [span for resource in in_protobuf.resource_spans for span in resource.scope_spans[0].spans]


def _trace(tracer: Tracer) -> tuple[Span, Span]:
    parent = tracer.start_span("good")
    parent.set_tag("stays", "here")
    subject = tracer.start_span("subject", child_of=parent)
    parent.duration_ns = subject.duration_ns = 1
    return parent, subject


@_quick
@given(st.lists(st.tuples(_Keys | _Anything, _Anything), max_size=5))
def test_any_tag(idle: Tracer, tags: list[tuple[Any, Any]]) -> None:
    good, subject = _trace(idle)
    for key, value in tags:
        subject.set_tag(key, value)
        subject.set_metric(key, value)
    first, second = _encoded(idle, good, subject)
    assert [(pair.key, pair.value.string_value) for pair in first.attributes] == [
        ("operation.name", "good"),
        ("stays", "here"),
    ]
    assert second.parent_span_id == first.span_id


@_quick
@given(st.dictionaries(st.text(), _Anything, max_size=4), st.integers(), st.integers(), st.integers())
def test_any_event_and_link(
    idle: Tracer, attributes: dict[str, Any], time_ns: int, trace_id: int, span_id: int
) -> None:
    good, subject = _trace(idle)
    subject.add_event("e", attributes, time_ns)
    subject.set_link(trace_id, span_id, "a=b", span_id, attributes)
    _, second = _encoded(idle, good, subject)
    assert len(second.events[0].attributes) == len(attributes)


@_quick
@given(_Anything, _Anything, _Anything, _Anything)
def test_any_name(idle: Tracer, name: Any, service: Any, resource: Any, kind: Any) -> None:
    good, subject = _trace(idle)
    subject.name, subject.service, subject.resource, subject.span_type = name, service, resource, kind
    assert _encoded(idle, good, subject)[0].name == "good"


@_quick
@given(_Anything, _Anything, _Anything, _Anything, _Anything)
@example(1, -1, 0, 0, None)
def test_any_number(idle: Tracer, start: Any, duration: Any, trace_id: Any, span_id: Any, parent_id: Any) -> None:
    good, subject = _trace(idle)
    subject.start_ns, subject.duration_ns, subject.trace_id = start, duration, trace_id
    subject.span_id, subject.parent_id = span_id, parent_id
    assert _encoded(idle, good, subject)[0].name == "good"


@_quick
@given(st.dictionaries(st.text(st.characters()) | st.integers() | st.binary(), _Anything, max_size=3))
def test_tags_written_past_the_methods(idle: Tracer, tags: dict[Any, Any]) -> None:
    good, subject = _trace(idle)
    subject._meta, subject._metrics = dict(tags), dict(tags)
    assert _encoded(idle, good, subject)[0].name == "good"


def test_an_integer_and_a_float_that_are_equal(idle: Tracer) -> None:
    good, subject = _trace(idle)
    good.set_metric("n", 1)
    subject.set_metric("n", 1.0)
    first, second = _encoded(idle, good, subject)
    assert first.attributes[-1].value.WhichOneof("value") == "int_value"
    assert second.attributes[-1].value.WhichOneof("value") == "double_value"


def test_many_services_count(idle: Tracer) -> None:
    mapping = Mapping(idle.settings)
    encoder = OtlpEncoder(ProtobufFormat(mapping), mapping.service, gzip=False)
    for number in range(100):
        span, _ = _trace(idle)
        span.service = f"service {number}"
        encoder.add([span])
    size = encoder.size
    assert 0.8 < size / len(encoder.take()) < 1.25


def test_gzip(idle: Tracer) -> None:
    mapping = Mapping(idle.settings)
    spans = _trace(idle)
    bodies = []
    for packed in (False, True):
        encoder = OtlpEncoder(ProtobufFormat(mapping), mapping.service, packed)
        encoder.add(list(spans))
        bodies.append(encoder.take())
    assert gzip.decompress(bodies[1]) == bodies[0]
