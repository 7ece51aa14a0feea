"""v0.4: links and events have fields of their own, and whatever else stands in their tags stays a tag."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ddmiddleware.tracing import Span, Tracer
from ddmiddleware.tracing.encoding import EncoderV05
from ddmiddleware.tracing.encoding_v04 import v04_from_v05
from tests.recording_agent import RecordingAgent
from tests.tracer.conftest import MakeTracer

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@pytest.fixture
def idle(make_tracer: MakeTracer) -> Tracer:
    """A tracer whose spans are encoded by the test."""
    return make_tracer("http://127.0.0.1:9")


def _converted(span: Span, native_events: bool) -> dict[str, Any]:
    span.duration_ns = 1
    encoder = EncoderV05()
    encoder.add([span])
    ((found,),) = msgpack.unpackb(v04_from_v05(encoder.take(), native_events=native_events))
    return dict(found)


def test_links(idle: Tracer) -> None:
    span = idle.start_span("a")
    span.set_link(2**128 - 1, 2**64 - 1, "congo=t61", 0, {"why": "batch"})
    span.set_link(1, 2)
    found = _converted(span, False)
    assert found["span_links"] == [
        {
            "trace_id": 2**64 - 1,
            "trace_id_high": 2**64 - 1,
            "span_id": 2**64 - 1,
            "attributes": {"why": "batch"},
            "tracestate": "congo=t61",
            "flags": 1 << 31,
        },
        {"trace_id": 1, "trace_id_high": 0, "span_id": 2},
    ]
    assert found["meta"] == {}


def test_events_are_a_tag_where_the_agent_does_not_know_them(idle: Tracer) -> None:
    span = idle.start_span("a")
    span.add_event("e", {"n": 1}, 5)
    found = _converted(span, False)
    assert "span_events" not in found
    assert json.loads(found["meta"]["events"]) == [{"name": "e", "time_unix_nano": 5, "attributes": {"n": 1}}]


def test_native_events(idle: Tracer) -> None:
    span = idle.start_span("a")
    span.add_event("bare", time_unix_nano=5)
    span.add_event("full", {"text": "é", "yes": True, "n": -1, "half": 0.5, "list": ["x"]}, 6)
    found = _converted(span, True)
    assert found["span_events"] == [
        {"name": "bare", "time_unix_nano": 5},
        {
            "name": "full",
            "time_unix_nano": 6,
            "attributes": {
                "text": {"type": 0, "string_value": "é"},
                "yes": {"type": 1, "bool_value": True},
                "n": {"type": 2, "int_value": -1},
                "half": {"type": 3, "double_value": 0.5},
                "list": {"type": 4, "array_value": {"values": [{"type": 0, "string_value": "x"}]}},
            },
        },
    ]
    assert found["meta"] == {}


@pytest.mark.parametrize("tag", ["events", "_dd.span_links"])
@pytest.mark.parametrize(
    "text", ["", "of the user", "[1]", "{}x", '{"a":1}', "[{}]", '[{"name":"\\ud800"}]', "[" * 20_000]
)
def test_what_a_user_wrote_stays(idle: Tracer, tag: str, text: str) -> None:
    span = idle.start_span("a")
    span.set_tag(tag, text)
    assert _converted(span, True)["meta"] == {tag: text}


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(["events", "_dd.span_links"]), _JSON, st.booleans())
def test_any_json(idle: Tracer, tag: str, value: object, in_list: bool) -> None:
    known = {"name": "e", "time_unix_nano": 5, "trace_id": "f" * 32, "span_id": "1", "attributes": value}
    span = idle.start_span("a")
    span.set_tag(tag, json.dumps([known] if in_list else value))
    assert _converted(span, True)["name"] == "a"


def _many_events(span: Span) -> None:
    for number in range(128):
        span.add_event(f"event {number}", {"text": "x" * 1000})


def _many_links(span: Span) -> None:
    for number in range(128):
        span.set_link(1, number + 1, attributes={"text": "x" * 1000})


@pytest.mark.parametrize(("fill", "field"), [(_many_events, "span_events"), (_many_links, "span_links")])
def test_what_would_be_cut_loses_its_end(idle: Tracer, fill: Callable[[Span], None], field: str) -> None:
    span = idle.start_span("a")
    fill(span)
    found = _converted(span, True)
    assert 10 < len(found[field]) < 128


@pytest.mark.parametrize("native", [False, True])
def test_the_agent_says_whether_it_knows_events(make_tracer: MakeTracer, native: bool) -> None:
    with RecordingAgent() as agent:
        agent.info = json.dumps({"span_events": native}).encode()
        tracer = make_tracer(agent.url, DD_TRACE_API_VERSION="v0.4")
        tracer.trace("a").finish()
        agent.wait_until_asked()
        with tracer.trace("b") as span:
            span.add_event("e", time_unix_nano=5)
        assert tracer.flush()
        assert ("span_events" in agent.spans[1]) is native
        assert ("events" in agent.spans[1]["meta"]) is not native
        tracer.shutdown()
        assert agent.asked == 1
