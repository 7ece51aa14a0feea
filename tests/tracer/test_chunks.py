"""What is handed over together, and that it is handed over exactly once."""

from __future__ import annotations

import gc
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from ddmiddleware.tracing import Span, Tracer
from ddmiddleware.tracing.guard import guard
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.conftest import MakeTracer
from tests.tracer.expected import CHUNK, child, root

pytestmark = pytest.mark.usefixtures("twin")


@pytest.fixture
def _fast_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_a_long_trace_is_sent_in_parts(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(agent.url, DD_TRACE_PARTIAL_FLUSH_MIN_SPANS="3")
    with tracer.trace("a"):
        for name in "bcdef":
            tracer.trace(name).finish()
    tracer.flush()
    part: dict[str, Any] = {"meta": {"_dd.p.dm": "-0"}, "metrics": {**CHUNK, "_dd.py.partial_flush": 3}}
    assert [[span["name"] for span in chunk] for chunk in agent.chunks] == [["d", "c", "b"], ["a", "f", "e"]]
    assert len({chunk[0]["meta"]["_dd.p.tid"] for chunk in agent.chunks}) == 1
    assert plain(agent.spans) == [
        root("a"),
        child("b", 2),
        child("c", 3),
        child("d", 4, **part),
        child("e", 5),
        child("f", 6),
    ]


def test_partial_flush_can_be_switched_off(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(agent.url, DD_TRACE_PARTIAL_FLUSH_ENABLED="false", DD_TRACE_PARTIAL_FLUSH_MIN_SPANS="2")
    with tracer.trace("a"):
        for _ in range(1000):
            tracer.trace("b").finish()
    tracer.flush()
    assert [len(chunk) for chunk in agent.chunks] == [1001]


def test_a_child_that_never_ends_holds_nobody_back(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    """What is above it is sent at its own end, and so is what else outlives that; what is below an open one waits."""
    tracer = make_tracer(agent.url)
    with tracer.trace("request") as request:
        tracer.trace("done").finish()
        abandoned = tracer.start_span("abandoned", child_of=request)
        late = tracer.start_span("late", child_of=request)
    below = tracer.start_span("below", child_of=late)
    below.finish()
    tracer.flush()
    assert [[span["name"] for span in chunk] for chunk in agent.chunks] == [["request", "done"]]
    late.finish()
    tracer.flush()
    assert [[span["name"] for span in chunk] for chunk in agent.chunks] == [["request", "done"], ["late", "below"]]
    abandoned.finish()
    tracer.flush()
    assert [span["name"] for span in agent.chunks[2]] == ["abandoned"]
    assert len({span["trace_id"] for span in agent.spans}) == 1


def test_whole_traces_wait_for_all(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(agent.url, DD_TRACE_PARTIAL_FLUSH_ENABLED="false")
    with tracer.trace("request") as request:
        late = tracer.start_span("late", child_of=request)
    tracer.flush()
    assert agent.chunks == []
    late.finish()
    tracer.flush()
    assert [[span["name"] for span in chunk] for chunk in agent.chunks] == [["request", "late"]]


@pytest.mark.usefixtures("_fast_switches")
@pytest.mark.parametrize("partial_flush", ["7", "300", "1000000"])
def test_many_threads_finish_one_trace(agent: RecordingAgent, make_tracer: MakeTracer, partial_flush: str) -> None:
    tracer = make_tracer(agent.url, DD_TRACE_PARTIAL_FLUSH_MIN_SPANS=partial_flush)
    top = tracer.start_span("root")
    together = threading.Barrier(8)
    made: list[Span] = []

    def work() -> None:
        mine = [tracer.start_span("a", child_of=top) for _ in range(150)]
        together.wait()
        for span in mine:
            inner = tracer.start_span("b", child_of=span)
            span.finish()
            inner.finish()
            made.extend((span, inner))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    top.finish()
    assert tracer.flush(30)
    assert Counter(span["span_id"] for span in agent.spans) == Counter(span.span_id for span in (*made, top))


@pytest.mark.usefixtures("_fast_switches")
def test_many_threads_start_one_worker(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    for _ in range(10):
        tracer = make_tracer(agent.url)
        together = threading.Barrier(8)

        def work(tracer: Tracer = tracer, together: threading.Barrier = together) -> None:
            together.wait()
            tracer.trace("a").finish()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [thread.name for thread in threading.enumerate()].count("ddmiddleware") == 1
        assert tracer.flush()
        assert tracer.shutdown()
        for thread in threading.enumerate():
            if thread.name == "ddmiddleware":
                thread.join()
    assert len(agent.spans) == 80


@pytest.mark.usefixtures("_fast_switches")
def test_the_queue_counts_right(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(agent.url, DD_TRACE_WRITER_INTERVAL_SECONDS="0")

    def work() -> None:
        for _ in range(500):
            tracer.start_span("a").finish()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tracer.flush(30)
    assert tracer.stats() == {"waiting": 0, "pending": 0, "sent": 2000, "dropped": 0, "errors": guard.errors}


def test_an_abandoned_span_is_never_sent_nor_kept(tracer: Tracer, agent: RecordingAgent) -> None:
    abandoned = tracer.start_span("abandoned")
    tracer.start_span("abandoned", child_of=abandoned).finish()
    del abandoned
    gc.collect()
    assert not [found for found in gc.get_objects() if isinstance(found, Span) and found.name == "abandoned"]
    tracer.trace("c").finish()
    tracer.flush()
    assert plain(agent.spans) == [root("c")]


def test_a_tag_set_by_another_thread_while_the_span_is_sent(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(agent.url, DD_TRACE_WRITER_INTERVAL_SECONDS="0")
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(60):
            span = tracer.start_span("a")
            span.set_tags({f"key {number}": "x" for number in range(200)})
            span.finish()
            for number in range(200):
                span.set_tag(f"late {number}", "y")
    finally:
        sys.setswitchinterval(interval)
    assert tracer.flush()
    assert len(agent.spans) == 60
    assert all(span["meta"]["key 199"] == "x" for span in agent.spans)
