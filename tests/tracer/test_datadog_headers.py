"""The headers ``x-datadog-*``, and both kinds of headers together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ddmiddleware.tracing import Context, Tracer
from ddmiddleware.tracing.propagation import EXTRACTED, extract, inject, inject_into

_HEADER = st.one_of(
    st.text(max_size=60),
    st.text(st.sampled_from("0123456789abcdef-=,;:~_dpt. \t\r\n\0é"), max_size=80),
    st.sampled_from(["", "0", "1", "-1", str(2**64 - 1), str(2**64), "9" * 5000, "\u0663", "x" * 600]),
    st.sampled_from([None, b"1", ["1"], 1, object()]),
)
_VISIBLE = st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=",=;~")
_PRINTABLE = st.text(_VISIBLE, min_size=1, max_size=20)
_any_pace = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _datadog(**headers: str) -> dict[str, str]:
    given_headers = {f"x-datadog-{name.replace('_', '-')}": text for name, text in headers.items()}
    return {"x-datadog-trace-id": "8", **given_headers}


@_any_pace
@given(
    trace_id=st.integers(1, 2**128 - 1).filter(lambda number: number % 2**64),
    span_id=st.integers(1, 2**64 - 1),
    priority=st.sampled_from([None, -1, 0, 1, 2]),
    origin=st.none() | _PRINTABLE,
    tags=st.dictionaries(_PRINTABLE.map("_dd.p.x".__add__), _PRINTABLE, max_size=4),
)
def test_what_is_written_is_read_back(
    trace_id: int, span_id: int, priority: int | None, origin: str | None, tags: dict[str, str]
) -> None:
    context = Context(trace_id, span_id, origin, priority, tags)
    headers = inject(context)
    assert all(text.isascii() and text.isprintable() for text in headers.values())
    datadog_only = {name: text for name, text in headers.items() if name.startswith("x-")}
    assert extract(datadog_only) == context
    both = extract(headers)
    assert both is not None
    assert (both.trace_id, both.span_id) == (trace_id, span_id)
    assert (both.sampling_priority, both.dd_origin) == (priority, origin)
    w3c = extract({name: text for name, text in headers.items() if name.startswith("trace")})
    assert w3c is not None
    assert (w3c.trace_id, w3c.span_id, w3c.dd_origin) == (trace_id, span_id, origin)
    assert w3c.sampling_priority == (priority or 0)


@_any_pace
@given(st.dictionaries(st.sampled_from(sorted(EXTRACTED)), _HEADER))
def test_no_header_raises_or_comes_through_unclean(headers: Any) -> None:
    context = extract(headers)
    if context is None or context.trace_id is None:
        return
    assert 0 < (context.trace_id or 0) < 2**128
    assert context.span_id is None or 0 < context.span_id < 2**64
    context.span_id = context.span_id or 1
    out = inject(context)
    assert all(type(text) is str and text.isascii() and text.isprintable() for text in out.values())


@_any_pace
@given(origin=st.text(), key=st.text(), value=st.text())
def test_nothing_unclean_leaves(origin: str, key: str, value: str) -> None:
    out = inject(Context(8, 9, origin, 1, {f"_dd.p.{key}": value, key: value}))
    assert all(text.isascii() and text.isprintable() for text in out.values())


def test_the_headers_of_a_span(tracer: Tracer) -> None:
    with tracer.trace("a") as span:
        assert inject(span.context) == {
            "x-datadog-trace-id": str(span.trace_id % 2**64),
            "x-datadog-parent-id": str(span.span_id),
            "x-datadog-sampling-priority": "1",
            "x-datadog-tags": f"_dd.p.dm=-0,_dd.p.tid={span.trace_id >> 64:016x}",
            "traceparent": f"00-{span.trace_id:032x}-{span.span_id:016x}-03",
            "tracestate": f"dd=p:{span.span_id:016x};s:1;t.dm:-0",
        }
    assert inject(Context()) == inject(Context(1)) == {}


@pytest.mark.parametrize("trace_id", ["", "0", "-8", "+8", "8.0", "0x8", "1" * 21, str(2**64), "\u0668", "8 8"])
def test_a_bad_trace_id_voids_all(trace_id: str) -> None:
    assert extract(_datadog(trace_id=trace_id, parent_id="9", sampling_priority="2")) is None


@pytest.mark.parametrize("parent_id", ["", "0", "x", str(2**64)])
def test_a_bad_parent_id_is_absent(parent_id: str) -> None:
    assert extract(_datadog(parent_id=parent_id)) == Context(8)


@pytest.mark.parametrize("priority", ["", "x", "1.5", "1" * 10, "- 1"])
def test_a_bad_priority_is_absent(priority: str) -> None:
    assert extract(_datadog(sampling_priority=priority)) == Context(8)


@pytest.mark.parametrize(
    ("tags", "trace_id", "kept"),
    [
        ("_dd.p.tid=00000000000000ff", 0xFF << 64 | 8, {}),
        ("_dd.p.dm=-4,_dd.p.usr.id=YQ==,other=x", 8, {"_dd.p.dm": "-4", "_dd.p.usr.id": "YQ=="}),
        ("_dd.p.dm=-300", 8, {}),
        ("_dd.p.dm=4", 8, {}),
        ("_dd.p.upstream_services=x", 8, {}),
        ("_dd.p.tid=FF000000000000FF", 8, {"_dd.propagation_error": "malformed_tid FF000000000000FF"}),
        ("_dd.p.tid=0000000000000000", 8, {"_dd.propagation_error": "malformed_tid 0000000000000000"}),
        ("_dd.p.tid=ff", 8, {"_dd.propagation_error": "malformed_tid ff"}),
        ("_dd.p.a=1,oops,_dd.p.tid=00000000000000ff", 8, {"_dd.propagation_error": "decoding_error"}),
        ("_dd.p.a=", 8, {"_dd.propagation_error": "decoding_error"}),
        ("_dd.p.a=1," * 60, 8, {"_dd.propagation_error": "extract_max_size"}),
    ],
)
def test_propagated_tags(tags: str, trace_id: int, kept: dict[str, str]) -> None:
    assert extract(_datadog(tags=tags)) == Context(trace_id, meta=kept)


def test_too_many_tags_are_not_sent() -> None:
    context = Context(8, 9, sampling_priority=1, meta={f"_dd.p.{number}": "x" * 50 for number in range(10)})
    headers = inject(context)
    assert "x-datadog-tags" not in headers
    assert len(headers["tracestate"]) <= 256
    assert context._propagated.tags["_dd.propagation_error"] == "inject_max_size"
    assert "opagation_error" not in inject(context)["tracestate"]


def test_a_value_that_no_header_may_hold_is_not_sent() -> None:
    context = Context(8, 9, "a\r\nb", 1, {"_dd.p.a": "b\r\nset-cookie: c"})
    headers = inject(context)
    assert not {"x-datadog-origin", "x-datadog-tags"} & set(headers)
    assert context._propagated.tags["_dd.propagation_error"] == "encoding_error"


def test_both_kinds_of_one_trace() -> None:
    headers = {**inject(Context(8, 9, sampling_priority=2)), "tracestate": "dd=s:1,vendor=x"}
    assert extract(headers) == Context(8, 9, sampling_priority=2, tracestate="vendor=x")


def test_both_kinds_of_two_traces() -> None:
    headers = {**inject(Context(7, 9, sampling_priority=2)), **_datadog(parent_id="3"), "tracestate": "vendor=x"}
    found = extract(headers)
    assert found is not None
    assert (found.trace_id, found.span_id, found._propagated.tracestate) == (8, 3, "")


@pytest.mark.parametrize("there", [{"traceparent": f"00-{8:032x}-{7:016x}-01"}, {"x-datadog-trace-id": "8"}])
def test_headers_that_are_there_stay(there: dict[str, str]) -> None:
    headers = dict(there)
    inject_into(Context(8, 9), headers)
    assert headers == there


def test_headers_are_added_to_others() -> None:
    headers = {"accept": "*/*"}
    inject_into(Context(8, 9), headers)
    assert headers == {"accept": "*/*", **inject(Context(8, 9))}
