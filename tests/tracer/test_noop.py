"""A tracer that is switched off."""

from __future__ import annotations

import threading

import pytest

from ddmiddleware.tracing import Context, Tracer
from tests.recording_agent import RecordingAgent
from tests.tracer.conftest import MakeTracer

pytestmark = pytest.mark.usefixtures("twin")


def _off(make_tracer: MakeTracer, agent: RecordingAgent) -> Tracer:
    return make_tracer(agent.url, DD_TRACE_ENABLED="false")


def test_nothing_is_sent_and_nothing_runs(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = _off(make_tracer, agent)
    threads = threading.active_count()
    with tracer.trace("a") as span, tracer.start_span("b", child_of=span, activate=True):
        assert tracer.current_span() is None
    assert tracer.flush()
    assert tracer.shutdown()
    assert (threading.active_count(), agent.connections) == (threads, 0)


def test_its_span_takes_everything_and_keeps_nothing(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    span = _off(make_tracer, agent).trace("a")
    span.set_tag("a", "b")
    span.set_tag_str("a", "b")
    span.set_tags({"manual.drop": None})
    span.set_metric("c", 1)
    span.set_metrics({"d": 2})
    span.set_exc_info(ValueError, ValueError("x"), None)
    span.set_traceback()
    span.set_link(1, 2)
    span.link_span(Context(1, 2))
    span.context.set_baggage_item("customer", "7")
    span.context.sampling_priority = -1
    span.finish()
    again = _off(make_tracer, agent).trace("b")
    assert (again.get_tags(), again.get_metrics(), again.error, again._links) == ({}, {}, 0, None)
    assert again.context == Context()


def test_the_wrapped_function_is_called(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    @_off(make_tracer, agent).wrap()
    def double(number: int) -> int:
        return number * 2

    assert double(4) == 8
