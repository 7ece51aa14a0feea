"""Starting, finishing and finding spans."""

from __future__ import annotations

import pickle
import time

import pytest

from ddmiddleware.tracing import Context, Tracer, active
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.conftest import MakeTracer
from tests.tracer.expected import child, root

pytestmark = pytest.mark.usefixtures("twin")


def test_nested_spans(tracer: Tracer, agent: RecordingAgent) -> None:
    with (
        tracer.trace("web.request", service="front", resource="GET /", span_type="web"),
        tracer.trace("cache.get", service="cache"),
    ):
        tracer.trace("sql.query", resource="SELECT 1", span_type="sql").finish()
    tracer.flush()
    assert plain(agent.spans) == [
        root("web.request", service="front", resource="GET /", type="web"),
        child("cache.get", 2, service="cache", metrics={"_dd.top_level": 1}),
        child("sql.query", 3, 2, service="cache", resource="SELECT ?", type="sql"),
    ]


def test_the_root_leads_its_chunk(make_tracer: MakeTracer, agent: RecordingAgent) -> None:
    tracer = make_tracer(agent.url, DD_TRACE_PARTIAL_FLUSH_ENABLED="false")
    late = tracer.trace("a")
    child_span = tracer.start_span("b", child_of=late)
    late.finish()
    child_span.finish()
    tracer.flush()
    assert [span["name"] for span in agent.spans] == ["a", "b"]
    assert plain(agent.spans) == [root("a"), child("b", 2)]


def test_current(tracer: Tracer) -> None:
    assert (tracer.current_span(), tracer.current_root_span(), tracer.current_trace_context()) == (None, None, None)
    with tracer.trace("a") as first:
        with tracer.trace("b") as second:
            assert tracer.current_span() is second is tracer.context_provider.active()
            assert tracer.current_root_span() is first is second.local_root
            assert tracer.current_trace_context() == second.context
        assert tracer.current_span() is first
    assert tracer.current_span() is None


def test_start_span_is_not_active_unless_told(tracer: Tracer, agent: RecordingAgent) -> None:
    with tracer.trace("a") as first:
        tracer.start_span("alone").finish()
        under = tracer.start_span("under", child_of=first)
        assert tracer.current_span() is first
        activated = tracer.start_span("activated", child_of=under, activate=True)
        assert tracer.current_span() is activated
        activated.finish()
        assert tracer.current_span() is first
        under.finish()
    tracer.flush()
    assert plain(agent.spans) == [
        root("a"),
        root("alone", 2, 2),
        child("under", 3),
        child("activated", 4, 3),
    ]


def test_a_context_is_continued(tracer: Tracer, agent: RecordingAgent) -> None:
    remote = Context(7 << 64 | 8, 9, dd_origin="rum", sampling_priority=2, meta={"_dd.p.dm": "-4"})
    tracer.context_provider.activate(remote)
    assert tracer.current_span() is None
    assert tracer.current_trace_context() is remote
    with tracer.trace("a") as span:
        assert (span.trace_id, span.parent_id) == (7 << 64 | 8, 9)
        tracer.trace("b").finish()
    assert active.get() is remote
    active.set(None)
    tracer.start_span("c", child_of=remote).finish()
    tracer.flush()
    tags, metrics = {"_dd.p.dm": "-4", "_dd.origin": "rum"}, {"_sampling_priority_v1": 2}
    assert plain(agent.spans) == [
        root("a", parent_id=9, meta=tags, metrics=metrics),
        child("b", 2, meta={"_dd.origin": "rum"}),
        root("c", 3, parent_id=9, meta=tags, metrics=metrics),
    ]
    assert {span["trace_id"] for span in agent.spans} == {8}
    assert agent.chunks[0][0]["meta"]["_dd.p.tid"] == f"{7:016x}"


def test_a_short_trace_id_has_no_high_half(tracer: Tracer, agent: RecordingAgent) -> None:
    tracer.start_span("a", child_of=Context(8, 9)).finish()
    tracer.flush()
    assert "_dd.p.tid" not in agent.spans[0]["meta"]


def test_a_context_without_ids_gives_what_it_carries(tracer: Tracer) -> None:
    baggage_only = Context(baggage={"customer": "7"})
    with tracer.start_span("a", child_of=baggage_only) as span:
        assert span.trace_id
        assert span.parent_id is None
        assert span.context.get_all_baggage_items() == {"customer": "7"}
        span.context.set_baggage_item("more", "x")
    assert baggage_only.get_all_baggage_items() == {"customer": "7"}


def test_a_context_is_picklable_and_comparable() -> None:
    context = Context(1, 2, "rum", -1, {"_dd.p.dm": "-3"}, {"a": "b"}, "vendor=x")
    assert pickle.loads(pickle.dumps(context)) == context == context.copy()
    assert context != Context(1, 2)
    changed = context.copy()
    changed.set_baggage_item("c", "d")
    changed.remove_baggage_item("a")
    changed.remove_baggage_item("never set")
    assert (context.get_all_baggage_items(), changed.get_all_baggage_items()) == ({"a": "b"}, {"c": "d"})
    changed.remove_all_baggage_items()
    assert changed.get_baggage_item("c") is None


def test_a_context_takes_what_ddtrace_s_does() -> None:
    assert Context(1, 2, metrics={}, lock=None, is_remote=False) == Context(1, 2)


def test_spans_of_a_trace_share_the_decision(tracer: Tracer, agent: RecordingAgent) -> None:
    with tracer.trace("a") as first, tracer.trace("b") as second:
        second.set_tag("manual.drop")
        assert first.context.sampling_priority == -1
    with tracer.trace("c"), tracer.trace("d") as last:
        last.set_tag("manual.keep")
    tracer.flush()
    firsts = [chunk[0] for chunk in agent.chunks]
    decisions = [(first["metrics"]["_sampling_priority_v1"], first["meta"].get("_dd.p.dm")) for first in firsts]
    assert decisions == [(-1, None), (2, "-4")]


def test_tags_of_every_span(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(
        agent.url, DD_ENV="prod", DD_VERSION="1.2", DD_TAGS="team:blue,env:other", DD_SERVICE_MAPPING="pg:database"
    )
    tracer.set_tags({"zone": "eu"})
    with tracer.trace("a"):
        tracer.trace("b", service="pg").finish()
    tracer.flush()
    common = {"env": "prod", "team": "blue", "zone": "eu"}
    assert plain(agent.spans) == [
        root("a", meta={**common, "version": "1.2"}),
        child("b", 2, service="database", meta=common, metrics={"_dd.top_level": 1}),
    ]


def test_times(tracer: Tracer, agent: RecordingAgent) -> None:
    span = tracer.start_span("a")
    assert (span.duration, span.duration_ns, span.finished) == (None, None, False)
    span.start = 1_700_000_000.5
    span.finish(1_700_000_002.75)
    span.finish(1_800_000_000)
    assert (span.start, span.finished) == (1_700_000_000.5, True)
    assert span.duration == pytest.approx(2.25)
    backwards = tracer.start_span("b")
    backwards.finish(0)
    assert backwards.duration_ns == 0
    tracer.flush()
    assert agent.spans[0]["start"] == 1_700_000_000_500_000_000
    assert agent.spans[0]["duration"] == span.duration_ns == pytest.approx(2_250_000_000)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_finishing_again_changes_nothing(tracer: Tracer, agent: RecordingAgent, times: int) -> None:
    with tracer.trace("a") as span:
        for _ in range(times):
            span.finish()
    tracer.flush()
    assert plain(agent.spans) == [root("a")]


def test_ids_are_128_bits_wide_and_unique(tracer: Tracer) -> None:
    before = int(time.time())
    spans = [tracer.start_span("a") for _ in range(2000)]
    after = time.time()
    assert len({span.trace_id for span in spans}) == len({span.span_id for span in spans}) == 2000
    assert all(before <= span.trace_id >> 96 <= after for span in spans)
    assert all((span.trace_id >> 64) & 0xFFFFFFFF == 0 for span in spans)


def test_the_user_of_a_trace(tracer: Tracer) -> None:
    with tracer.trace("a") as span:
        assert span.context.dd_user_id is None
        span.context.dd_user_id = "bob@é"
        with tracer.trace("b") as inner:
            assert inner.context.dd_user_id == "bob@é"
        assert span._trace.tags["_dd.p.usr.id"] == "Ym9iQMOp"
        span.context.dd_user_id = None
        assert "_dd.p.usr.id" not in span._trace.tags
    assert Context(1, 2, meta={"_dd.p.usr.id": "?"}).dd_user_id is None
