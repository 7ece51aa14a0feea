"""When it is decided: once, and as late as the trace lets us."""

from __future__ import annotations

import gc
import pickle
import threading
import weakref
from typing import Any

import pytest

from ddmiddleware.tracing import Context, Tracer, active
from ddmiddleware.tracing.propagation import inject
from tests.recording_agent import RecordingAgent
from tests.tracer.conftest import MakeTracer
from tests.tracer.processes import run

# Keeps what has the tag, and nothing else.
RULES = '[{"sample_rate": 1, "tags": {"keep": "yes"}}, {"sample_rate": 0}]'


@pytest.fixture
def tracer(agent: RecordingAgent, make_tracer: MakeTracer) -> Tracer:
    """A tracer that keeps what is tagged so."""
    return make_tracer(agent.url, DD_TRACE_SAMPLING_RULES=RULES, DD_TRACE_PARTIAL_FLUSH_MIN_SPANS="3")


def _priorities(agent: RecordingAgent) -> list[Any]:
    return [chunk[0]["metrics"]["_sampling_priority_v1"] for chunk in agent.chunks]


def test_what_the_root_got_last_counts(tracer: Tracer, agent: RecordingAgent) -> None:
    with tracer.trace("a") as span:
        tracer.trace("b").finish()
        assert span.context.sampling_priority is None
        span.set_tag("keep", "yes")
    tracer.flush()
    assert _priorities(agent) == [2]


def test_the_resource_that_a_router_set(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(agent.url, DD_TRACE_SAMPLING_RULES='[{"sample_rate": 0, "resource": "GET /health"}]')
    with tracer.trace("web.request") as span:
        span.resource = "GET /health"
    tracer.flush()
    assert _priorities(agent) == [-1]


def test_headers_and_chunk_agree(tracer: Tracer, agent: RecordingAgent) -> None:
    with tracer.trace("a") as span:
        with tracer.trace("b") as inner:
            headers = inject(inner.context)
        span.set_tag("keep", "yes")
    tracer.flush()
    assert (headers["x-datadog-sampling-priority"], _priorities(agent)) == ("-1", [-1])
    assert headers["traceparent"].endswith("-02")
    assert "_dd.p.dm" not in headers.get("x-datadog-tags", "")
    with tracer.trace("a") as span:
        span.set_tag("keep", "yes")
        headers = inject(span.context)
        assert inject(span.context) == headers
    tracer.flush()
    assert (headers["x-datadog-sampling-priority"], _priorities(agent)) == ("2", [-1, 2])
    assert "_dd.p.dm=-3" in headers["x-datadog-tags"]
    assert "_dd.p.ksr" not in headers["x-datadog-tags"]
    assert headers["traceparent"].endswith("-03")


def test_by_hand_after_the_headers(tracer: Tracer, agent: RecordingAgent) -> None:
    with tracer.trace("a") as span:
        headers = inject(span.context)
        span.set_tag("manual.keep")
    tracer.flush()
    assert (headers["x-datadog-sampling-priority"], _priorities(agent)) == ("-1", [2])


def test_the_first_part_decides_for_all(tracer: Tracer, agent: RecordingAgent) -> None:
    with tracer.trace("a") as span:
        for _ in range(3):
            tracer.trace("b").finish()
        assert span.context.sampling_priority == -1
        span.set_tag("keep", "yes")
    tracer.flush()
    assert _priorities(agent) == [-1, -1]


def test_a_root_that_ends_first(tracer: Tracer, agent: RecordingAgent) -> None:
    first = tracer.trace("a")
    second = tracer.start_span("b", child_of=first)
    first.set_tag("keep", "yes")
    first.finish()
    second.finish()
    tracer.flush()
    assert _priorities(agent) == [2, 2]  # its child comes later, in a chunk of its own


def test_other_threads_and_processes_agree(tracer: Tracer, agent: RecordingAgent) -> None:
    with tracer.trace("a") as span:
        context = tracer.current_trace_context()
        assert context is not None

        def work() -> None:
            active.set(context)
            tracer.trace("b").finish()
            active.set(None)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        span.set_tag("keep", "yes")
        copies: list[Context] = [context.copy(), pickle.loads(pickle.dumps(context))]
    tracer.flush()
    assert _priorities(agent) == [-1, -1]
    assert [copy.sampling_priority for copy in copies] == [-1, -1]


def test_comparing_and_showing_decide_nothing(tracer: Tracer) -> None:
    with tracer.trace("a") as span:
        assert span.context == span.context
        assert "priority=None" in repr(span.context)
        assert span.context.sampling_priority is None


def test_a_copy_is_a_decision(tracer: Tracer) -> None:
    with tracer.trace("a") as span:
        assert pickle.loads(pickle.dumps(span.context)).sampling_priority == -1
    with tracer.trace("a") as span:
        assert span.context.copy().sampling_priority == -1


def test_a_fork_is_a_decision(agent: RecordingAgent) -> None:
    script = """
import os, sys
from ddmiddleware import tracer
with tracer.trace("parent") as span:
    pid = os.fork()
    if not pid:
        tracer.trace("child").finish()
        sys.exit()
    assert os.waitpid(pid, 0)[1] == 0
    span.set_tag("keep", "yes")
"""
    run(script, agent.url, DD_TRACE_SAMPLING_RULES=RULES)
    assert sorted(span["name"] for span in agent.spans) == ["child", "parent"]
    assert _priorities(agent) == [-1, -1]


def test_two_threads_decide_alike(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    """One of them would find the limit reached."""
    tracer = make_tracer(agent.url, DD_TRACE_SAMPLE_RATE="1", DD_TRACE_RATE_LIMIT="1")
    found = []
    for _ in range(50):
        with tracer.trace("a") as span:
            barrier = threading.Barrier(3)

            def decide(barrier: threading.Barrier = barrier, context: Context = span.context) -> None:
                barrier.wait()
                found.append(inject(context)["x-datadog-sampling-priority"])

            threads = [threading.Thread(target=decide) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(set(found)) == 1
        assert found.pop() == str(span.context.sampling_priority)
        found.clear()
    tracer.flush()


def test_a_filter_that_takes_the_root_away(tracer: Tracer, agent: RecordingAgent) -> None:
    class NoRoots:
        def process_trace(self, trace: list[Any]) -> list[Any]:
            return [span for span in trace if span.parent_id]

    tracer.configure(trace_processors=[NoRoots()])
    with tracer.trace("a") as span:
        tracer.trace("b").finish()
        span.set_tag("keep", "yes")
    tracer.flush()
    assert _priorities(agent) == [2]


def test_an_abandoned_trace_is_not_kept(tracer: Tracer) -> None:
    gc.disable()
    try:
        span = tracer.start_span("a")
        gone = weakref.ref(span)
        context = span.context
        del span
        assert gone() is None
        assert inject(context)["x-datadog-sampling-priority"] == "1"
    finally:
        gc.enable()
