"""Payloads: every object that a user may set, both versions of the protocol."""

from __future__ import annotations

import math
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddmiddleware.tracing import Context, Span, Tracer
from ddmiddleware.tracing.encoding import EncoderV05
from ddmiddleware.tracing.encoding_v04 import v04_from_v05
from ddmiddleware.tracing.errors import has_failed
from tests.recording_agent import RecordingAgent, decode, plain
from tests.tracer.anything import Anything, quick
from tests.tracer.conftest import MakeTracer
from tests.tracer.expected import CHUNK, child, root

pytestmark = pytest.mark.usefixtures("twin")


def _payload(*spans: Span) -> list[list[dict[str, Any]]]:
    """Encode one chunk of *spans*; compare both versions of the protocol; return what v0.5 holds."""
    for span in spans:
        span._metrics["_sampling_priority_v1"] = 1
        span.duration_ns = 1
    encoder = EncoderV05()
    encoder.add(list(spans))
    payload = encoder.take()
    found = decode("/v0.5/traces", payload)
    assert decode("/v0.4/traces", v04_from_v05(payload)) == found
    return found


@pytest.fixture
def idle(make_tracer: MakeTracer) -> Tracer:
    """A tracer whose spans are encoded by the test."""
    return make_tracer("http://127.0.0.1:9")


def _trace(tracer: Tracer) -> tuple[Span, Span]:
    parent = tracer.start_span("good")
    parent.set_tag("stays", "here")
    return parent, tracer.start_span("subject", child_of=parent)


@quick
@given(st.lists(st.tuples(Anything, Anything), max_size=5))
def test_any_tag(idle: Tracer, tags: list[tuple[Any, Any]]) -> None:
    good, subject = _trace(idle)
    for key, value in tags:
        subject.set_tag(key, value)
        subject.set_metric(key, value)
        subject.set_tag_str(key, value)
    ((first, second),) = _payload(good, subject)
    assert (first["name"], first["meta"], second["name"]) == ("good", {"stays": "here"}, "subject")


@quick
@given(Anything, Anything, Anything, Anything)
def test_any_name(idle: Tracer, name: Any, service: Any, resource: Any, kind: Any) -> None:
    good, subject = _trace(idle)
    subject.name, subject.service, subject.resource, subject.span_type = name, service, resource, kind
    ((first, second),) = _payload(good, subject)
    assert (first["name"], first["resource"], first["service"]) == ("good", "good", "shop")
    if isinstance(name, str) and type(name) is str and name.isascii() and len(name) < 25_000:
        assert second["name"] == name


@quick
@given(st.integers(0, 2**63 - 1) | st.integers(2**64), Anything)
def test_any_number(idle: Tracer, start: int, error: Any) -> None:
    good, subject = _trace(idle)
    subject.start_ns, subject.error = start, error
    ((first, second),) = _payload(good, subject)
    assert first["name"] == "good"
    assert second["error"] == int(has_failed(error))


def test_long_texts_are_cut(idle: Tracer) -> None:
    good, subject = _trace(idle)
    subject.set_tag("just fits", "x" * 25_000)
    subject.set_tag("too long", "y" * 25_001)
    subject.resource = "ü" * 10_000_000
    ((_, found),) = _payload(good, subject)
    assert found["meta"] == {"just fits": "x" * 25_000, "too long": "y" * 2_500 + "<truncated>..."}
    assert found["resource"] == "ü" * 2_500 + "<truncated>..."


def test_lone_surrogates_become_question_marks(idle: Tracer) -> None:
    good, subject = _trace(idle)
    subject.set_tag("key \udcff", "value \ud800")
    ((_, found),) = _payload(good, subject)
    assert found["meta"] == {"key ?": "value ?"}


def test_strings_are_shared_and_forgotten_between_payloads(idle: Tracer) -> None:
    encoder = EncoderV05()
    for _ in range(2):
        for _ in range(3):
            good, subject = _trace(idle)
            good.duration_ns = subject.duration_ns = 1
            encoder.add([good, subject])
        assert (encoder.chunks, encoder.spans) == (3, 6)
        strings, chunks = msgpack.unpackb(encoder.take(), strict_map_key=False)
        assert sorted(strings) == ["", "good", "here", "shop", "stays", "subject"]
        assert [len(chunk) for chunk in chunks] == [2, 2, 2]
        assert (encoder.chunks, encoder.spans, encoder.size) == (0, 0, 0)


@pytest.mark.parametrize("version", ["v0.4", "v0.5"])
def test_both_versions_say_the_same(agent: RecordingAgent, make_tracer: MakeTracer, version: str) -> None:
    tracer = make_tracer(agent.url, DD_TRACE_API_VERSION=version)
    remote = Context(2**128 - 1, 2**64 - 1, "rum", 2)
    with tracer.start_span("a", child_of=remote, span_type="web", activate=True) as span:
        span.set_tags({"tag": "text", "big": 2**63 - 1, "small": -(2**63), "half": 0.5})
        tracer.trace("b").finish()
    tracer.flush()
    assert [request.path for request in agent.requests] == [f"/{version}/traces"]
    assert plain(agent.spans) == [
        {
            **root("a", parent_id=2**64 - 1, type="web"),
            "meta": {"_dd.origin": "rum", "language": "python", "tag": "text"},
            "metrics": {
                **CHUNK,
                "_dd.top_level": 1,
                "_sampling_priority_v1": 2,
                "big": 2**63 - 1,
                "small": -(2**63),
                "half": 0.5,
            },
        },
        child("b", 2, meta={"_dd.origin": "rum"}),
    ]
    assert agent.spans[0]["trace_id"] == 2**64 - 1
    assert agent.spans[0]["meta"]["_dd.p.tid"] == "f" * 16


@pytest.mark.parametrize("status", [404, 415])
def test_an_agent_that_does_not_know_v05_loses_nothing(
    agent: RecordingAgent, make_tracer: MakeTracer, status: int
) -> None:
    tracer = make_tracer(agent.url)
    agent.answers.append((status, b"what?"))
    with tracer.trace("a") as span:
        span.set_tag("tag", math.pi)
        tracer.trace("b").finish()
    assert tracer.flush()
    tracer.trace("c").finish()
    assert tracer.flush()
    assert [request.path for request in agent.requests] == ["/v0.5/traces", "/v0.4/traces", "/v0.4/traces"]
    assert plain(agent.spans) == [root("a", metrics={"tag": math.pi}), child("b", 2), root("c", 3, 2)]
    assert tracer.stats()["dropped"] == 0
