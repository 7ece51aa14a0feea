"""Spans that a program makes by calling ``Span(...)``: as ddtrace's users do to test their filters."""

from __future__ import annotations

import pytest

from ddmiddleware.tracing import Context, FilterRequestsOnUrl, Span, Tracer, active
from ddmiddleware.tracing.guard import guard
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.expected import child
from tests.tracer.processes import run

pytestmark = pytest.mark.usefixtures("twin")


def test_a_name_is_enough() -> None:
    with Span("a") as span:
        assert (span.name, span.service, span.resource, span.span_type, span.parent_id) == ("a", None, "a", None, None)
        assert (span.error, span.finished, span.get_tags(), span.get_metrics()) == (0, False, {}, {})
        assert span.trace_id >> 64
        assert span.span_id
        assert span.context == Context(span.trace_id, span.span_id)
        span.set_tag("k", "v")
        span.set_tag("manual.keep")
        assert (span.get_tags(), span.context.sampling_priority) == ({"k": "v"}, 2)
        assert Span("b").trace_id != span.trace_id
    assert span.finished


def test_all_is_taken() -> None:
    ended: list[Span] = []
    remote = Context(9, 8, dd_origin="rum", sampling_priority=2)
    span = Span("a", "s", "r", "web", 1, 2, 3, 4.5, remote, [ended.append])
    assert (span.name, span.service, span.resource, span.span_type) == ("a", "s", "r", "web")
    assert (span.trace_id, span.span_id, span.parent_id, span.start) == (1, 2, 3, 4.5)
    assert (span.context.dd_origin, span.context.sampling_priority) == ("rum", 2)
    assert Span("b", context=remote).trace_id == 9
    assert ended == []
    span.finish(6)
    span.finish(7)
    assert (ended, span.duration) == ([span], 1.5)


def test_a_callback_that_fails_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "raises", False)
    ended: list[Span] = []

    def fail(_span: Span) -> None:
        raise ValueError("not today")

    Span("a", on_finish=[fail, ended.append]).finish()
    assert len(ended) == 1


def test_a_filter_is_tested_with_them() -> None:
    spans = [Span("a"), Span("b", parent_id=1)]
    spans[0].set_tag("http.url", "http://shop/health")
    assert FilterRequestsOnUrl("http://shop/health").process_trace(spans) is None
    assert FilterRequestsOnUrl("http://other/").process_trace(spans) is spans


def test_a_span_of_a_program_s_own_kind() -> None:
    class Mine(Span):
        pass

    mine = Mine("a")
    mine.finish()
    assert mine.finished


def test_what_starts_under_one_is_sent_without_it(agent: RecordingAgent) -> None:
    script = """
from ddmiddleware import Span, tracer
span = Span("by hand", service="shop", trace_id=7, span_id=8)
with tracer.start_span("under", child_of=span):
    pass
tracer.context_provider.activate(span)
with tracer.trace("below"):
    pass
tracer.context_provider.activate(None)
assert tracer.flush()
span.finish()
"""
    run(script, agent.url)
    assert {span["trace_id"] for span in agent.spans} == {7}
    expected = [child("under", 1, 8), child("below", 2, 8)]
    for span in expected:
        span["meta"] = {"_dd.p.dm": "-0"}
        span["metrics"] = {"_sampling_priority_v1": 1, "_dd.tracer_kr": 1, "_dd.py.partial_flush": 1}
    assert plain(agent.spans) == expected


def test_a_duration_by_hand(tracer: Tracer, agent: RecordingAgent) -> None:
    with tracer.trace("a") as span:
        span.start = 1_700_000_000
        span.duration = 2.5
        assert active.get() is None
    assert span.duration == pytest.approx(2.5)
    span.duration = 3
    assert span.duration_ns == 3_000_000_000
    tracer.flush()
    assert [span["name"] for span in agent.spans] == ["a"]


def test_a_duration_of_nothing(tracer: Tracer) -> None:
    tracer.enabled = False
    span = tracer.trace("a")
    span.duration = 1
    assert span.duration is None
