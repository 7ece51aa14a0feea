"""Several formats in one request: which leads, what is linked, and the settings that change it."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddmiddleware.tracing import Context, Tracer
from ddmiddleware.tracing.propagation import Propagator
from ddmiddleware.tracing.settings import Settings
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.conftest import MakeTracer
from tests.tracer.expected import root

ALL = "datadog,tracecontext,b3multi,b3,baggage"
W3C = f"00-{8:032x}-{9:016x}-01"


def _with(**environ: str) -> Propagator:
    return Propagator(Settings({f"DD_TRACE_PROPAGATION_{name}": text for name, text in environ.items()}))


def _datadog(trace_id: int = 8, parent_id: int = 9, **more: str) -> dict[str, str]:
    ids = {"x-datadog-trace-id": str(trace_id), "x-datadog-parent-id": str(parent_id)}
    return {**ids, **{f"x-datadog-{name.replace('_', '-')}": text for name, text in more.items()}}


def _link(trace_id: int, span_id: int, reason: str, style: str, **more: Any) -> dict[str, Any]:
    ids = {"trace_id": f"{trace_id:032x}", "span_id": f"{span_id:016x}"}
    return {**ids, **more, "attributes": {"reason": reason, "context_headers": style}}


def test_the_first_style_leads_and_other_traces_are_linked() -> None:
    headers = {
        **_datadog(8, 9, sampling_priority="2"),
        "traceparent": f"00-{7:032x}-{6:016x}-00",
        "tracestate": "vendor=x,dd=s:-1",
        "b3": "5-4",
        "x-b3-traceid": "8",
        "x-b3-spanid": "9",
    }
    w3c = _link(7, 6, "terminated_context", "tracecontext", flags=0, tracestate="vendor=x,dd=s:-1")
    b3 = _link(5, 4, "terminated_context", "b3")
    assert _with(STYLE=ALL).extract(headers) == Context(8, 9, sampling_priority=2, links=[w3c, b3])
    datadog = _link(8, 9, "terminated_context", "datadog", flags=1)
    also = _link(8, 9, "terminated_context", "b3multi")
    found = _with(STYLE="tracecontext,datadog,b3multi").extract(headers)
    assert found == Context(7, 6, sampling_priority=-1, tracestate="vendor=x", links=[datadog, also])


@pytest.mark.parametrize(
    ("state", "last", "others"),
    [
        ("", f"{3:016x}", ""),
        ("vendor=x", f"{3:016x}", "vendor=x"),
        ("vendor=x,dd=s:1;p:00000000000000aa", "00000000000000aa", "vendor=x"),
        ("dd=s:1;p:none", f"{3:016x}", ""),
    ],
)
def test_a_vendor_in_between_is_the_parent(state: str, last: str, others: str) -> None:
    """It wrote a traceparent of its own, and passed Datadog's headers on as they were."""
    headers = {**_datadog(8, 3, sampling_priority="1"), "traceparent": W3C, "tracestate": state}
    expected = Context(8, 9, sampling_priority=1, meta={"_dd.parent_id": last}, tracestate=others)
    assert _with().extract(headers) == expected
    expected.span_id, expected._propagated.tags = 3, {}
    expected._propagated.tracestate = ""
    assert _with(EXTRACT_FIRST="true").extract(headers) == expected


@pytest.mark.parametrize(("datadog", "last"), [(8, {"_dd.parent_id": f"{3:016x}"}), (7, {})])
def test_datadogs_parent_counts_in_its_own_trace_only(datadog: int, last: dict[str, str]) -> None:
    headers = {"b3": "8-2-1", **_datadog(datadog, 3), "traceparent": W3C}
    found = _with(STYLE="b3,datadog,tracecontext").extract(headers)
    assert found is not None
    found._links = None
    assert found == Context(8, 9, sampling_priority=1, meta=last)


def test_the_w3cs_headers_of_one_span_add_other_vendors_only() -> None:
    headers = {
        **_datadog(8, 9),
        "traceparent": W3C[:-1] + "3",
        "tracestate": "vendor=x,dd=s:2;o:rum;p:00000000000000aa",
    }
    assert _with().extract(headers) == Context(8, 9, tracestate="vendor=x", random=True)


@pytest.mark.parametrize(("datadog", "w3c"), [(8, 5 << 64 | 8), (5 << 64 | 8, 8)])
def test_half_a_trace_id_is_no_other_trace(datadog: int, w3c: int) -> None:
    tags = {"tags": f"_dd.p.tid={datadog >> 64:016x}"} if datadog >> 64 else {}
    headers = {**_datadog(8, 9, **tags), "traceparent": f"00-{w3c:032x}-{9:016x}-01"}
    assert _with().extract(headers) == Context(5 << 64 | 8, 9)


def test_two_high_halves_are_two_traces() -> None:
    headers = {**_datadog(8, 9, tags=f"_dd.p.tid={1:016x}"), "traceparent": f"00-{2 << 64 | 8:032x}-{9:016x}-01"}
    found = _with().extract(headers)
    assert found is not None
    assert (found.trace_id, len(found._links or ())) == (1 << 64 | 8, 1)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"traceparent": W3C}, Context(8, 9, sampling_priority=1)),
        ({**_datadog(0), "traceparent": W3C}, Context(8, 9, sampling_priority=1)),
        ({**_datadog(5), "traceparent": W3C}, Context(5, 9)),
        ({"baggage": "a=1", "traceparent": W3C}, Context(8, 9, sampling_priority=1, baggage={"a": "1"})),
        ({"baggage": "a=1"}, Context(baggage={"a": "1"})),
        ({}, None),
    ],
)
def test_extract_first_stops_at_the_first_that_is_valid(headers: dict[str, str], expected: Context | None) -> None:
    assert _with(EXTRACT_FIRST="true").extract(headers) == expected


def test_restart() -> None:
    restart = _with(BEHAVIOR_EXTRACT="restart")
    headers = {**_datadog(5, 6, sampling_priority="2", origin="rum"), "traceparent": W3C, "baggage": "a=1"}
    assert restart.extract(headers) == Context(
        baggage={"a": "1"},
        links=[
            _link(5, 6, "propagation_behavior_extract", "datadog", flags=1),
            _link(8, 9, "terminated_context", "tracecontext", flags=1),
        ],
    )
    assert restart.extract({"baggage": "a=1"}) == Context(baggage={"a": "1"})
    assert restart.extract({}) is None
    assert _with(BEHAVIOR_EXTRACT="restart", STYLE="b3").extract({"b3": "0"}) is None


def test_ignore() -> None:
    ignore = _with(BEHAVIOR_EXTRACT="ignore", HTTP_BAGGAGE_ENABLED="true")
    assert ignore.extract({**_datadog(), "traceparent": W3C, "baggage": "a=1", "ot-baggage-a": "1"}) is None
    assert (ignore.extracted, ignore.leading, ignore.prefix) == (frozenset(), frozenset(), "")
    assert ignore.inject(Context(8, 9))["traceparent"] == f"00-{8:032x}-{9:016x}-00"


@pytest.mark.parametrize(
    ("environ", "written", "read", "mark"),
    [
        ({}, "datadog tracecontext", {"datadog", "tracecontext", "baggage"}, "traceparent"),
        ({"STYLE": "none"}, "", set(), ""),
        ({"STYLE": "none,datadog"}, "datadog", {"datadog"}, "x-datadog-parent-id"),
        ({"STYLE": "b3multi , B3,b3"}, "b3 b3multi", {"b3", "b3multi"}, "x-b3-spanid"),
        ({"STYLE": "b3 single header"}, "b3", {"b3"}, "b3"),
        ({"STYLE_INJECT": "none"}, "", {"datadog", "tracecontext", "baggage"}, ""),
        ({"STYLE_INJECT": "baggage"}, "", {"datadog", "tracecontext", "baggage"}, "baggage"),
        ({"STYLE": "b3", "STYLE_EXTRACT": "datadog"}, "b3", {"datadog"}, "b3"),
    ],
)
def test_styles(environ: dict[str, str], written: str, read: set[str], mark: str) -> None:
    propagator = _with(**environ)
    first = {"datadog": "x-datadog-trace-id", "tracecontext": "traceparent", "b3": "b3", "b3multi": "x-b3-traceid"}
    out = propagator.inject(Context(8, 9))
    assert sorted(style for style, name in first.items() if name in out) == written.split()
    assert {style for style, name in {**first, "baggage": "baggage"}.items() if name in propagator.extracted} == read
    assert propagator.mark == mark
    assert not mark or mark == "baggage" or mark in out
    assert propagator.leading >= {name for style, name in first.items() if style in read}


def test_unknown_styles_are_left_out_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    propagator = Propagator(Settings({"OTEL_PROPAGATORS": "jaeger,b3"}))
    assert propagator.extracted == {"b3"}
    (record,) = caplog.records
    assert record.getMessage() == (
        "ddmiddleware: DD_TRACE_PROPAGATION_STYLE names a propagation style that does not exist, 'jaeger'; "
        "it is left out"
    )
    assert _with(STYLE_INJECT="jaeger").mark == "traceparent"


@pytest.mark.parametrize(("length", "error"), [("0", "disabled"), ("20", "inject_max_size")])
def test_how_long_datadogs_tags_may_be(length: str, error: str) -> None:
    propagator = Propagator(Settings({"DD_TRACE_X_DATADOG_TAGS_MAX_LENGTH": length}))
    context = Context(5 << 64 | 8, 9, meta={"_dd.p.dm": "-4"})
    assert "x-datadog-tags" not in propagator.inject(context)
    assert context._propagated.tags["_dd.propagation_error"] == error
    assert propagator.extract(_datadog(8, 9, tags="_dd.p.dm=-4")) == Context(8, 9, meta={"_dd.p.dm": "-4"})


def test_ids_that_fit_in_no_header() -> None:
    for ids in ((1 << 128, 9), (8, 1 << 64), (-1, 9), (8, -1), (0, 9), (8, 0)):
        assert _with(STYLE=ALL).inject(Context(*ids)) == {}


_HOSTILE = st.one_of(
    st.text(max_size=60),
    st.text(st.sampled_from("0123456789abcdef-=,;:~%_dpst. \t\r\n\0é"), max_size=80),
    st.sampled_from([W3C, "8-9-1", "1", "0", "d", "a=1", "dd=s:1;o:x", None, b"1", ["1"], 1, object()]),
)


@given(st.dictionaries(st.sampled_from(sorted(_with(STYLE=ALL).extracted)), _HOSTILE))
def test_no_header_raises_or_is_half_applied(headers: Any) -> None:
    propagator = _with(STYLE=ALL)
    context = propagator.extract(headers)
    if context is None:
        return
    assert (context.trace_id is None) == (context.span_id is None) or "x-datadog-trace-id" in headers
    out = propagator.inject(context)
    for text in out.values():
        assert type(text) is str
        assert text
        assert text.isascii()
        assert text.isprintable()
        assert text.strip() == text
    if context.span_id:
        again = propagator.extract(out)
        assert again is not None
        assert (again.trace_id, again.span_id) == (context.trace_id, context.span_id)
        assert again.get_all_baggage_items() == context.get_all_baggage_items()
        assert again._links is None


def test_links_reach_the_next_local_root(tracer: Tracer, agent: RecordingAgent) -> None:
    link = _link(5, 6, "terminated_context", "b3", flags=1)
    context = pickle.loads(pickle.dumps(Context(8, 9, meta={"_dd.parent_id": "00000000000000aa"}, links=[link])))
    tracer.context_provider.activate(context)
    for name in ("a", "b"):
        with tracer.trace(name) as span:
            tracer.trace("inside").finish()
            assert "_dd.parent_id" not in span.context._propagated.tags
    tracer.context_provider.activate(None)
    tracer.flush()
    found = plain(agent.spans)
    meta = {"_dd.span_links": json.dumps([link]), "_dd.parent_id": "00000000000000aa"}
    assert [span for span in found if span["name"] != "inside"] == [
        root("a", 1, parent_id=9, meta=meta),
        root("b", 3, parent_id=9, meta=meta),
    ]
    assert [span["meta"] for span in found if span["name"] == "inside"] == [{}, {}]


def test_a_restarted_trace(tracer: Tracer, agent: RecordingAgent) -> None:
    context = _with(BEHAVIOR_EXTRACT="restart").extract({"traceparent": W3C})
    tracer.context_provider.activate(context)
    with tracer.trace("a") as span:
        assert span.trace_id != 8
    tracer.context_provider.activate(None)
    tracer.flush()
    link = _link(8, 9, "propagation_behavior_extract", "tracecontext", flags=1)
    assert plain(agent.spans) == [root("a", meta={"_dd.span_links": json.dumps([link])})]


@pytest.mark.parametrize(("wide", "bits"), [("true", range(65, 129)), ("false", range(1, 65))])
def test_the_width_of_new_ids(wide: str, bits: range, make_tracer: MakeTracer, agent: RecordingAgent) -> None:
    tracer = make_tracer(agent.url, DD_TRACE_128_BIT_TRACEID_GENERATION_ENABLED=wide)
    with tracer.trace("a") as span:
        assert span.trace_id.bit_length() in bits
        headers = _with(STYLE=ALL).inject(span.context)
        assert ("_dd.p.tid" in headers["x-datadog-tags"]) == (wide == "true")
        assert headers["traceparent"].endswith("-03")  # the low 56 bits are random
        assert len(headers["x-b3-traceid"]) == (32 if wide == "true" else 16)
    tracer.context_provider.activate(Context(8, 9, sampling_priority=1))
    with tracer.trace("b") as span:
        assert _with().inject(span.context)["traceparent"].endswith("-01")
    tracer.context_provider.activate(None)
