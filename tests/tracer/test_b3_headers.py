"""B3's headers, one for each part or all in one (https://github.com/openzipkin/b3-propagation)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddmiddleware.tracing import Context
from ddmiddleware.tracing.propagation import Propagator
from ddmiddleware.tracing.settings import Settings

TRACE, SPAN = 0x80F198EE56343BA864FE8B2A57D3EFF7, 0xE457B5A2E4D86BD1
IDS = f"{TRACE:032x}-{SPAN:016x}"
single = Propagator(Settings({"DD_TRACE_PROPAGATION_STYLE": "b3"}))
multi = Propagator(Settings({"DD_TRACE_PROPAGATION_STYLE": "b3multi"}))


@pytest.mark.parametrize("propagator", [single, multi])
@given(
    trace_id=st.integers(1, 2**128 - 1),
    span_id=st.integers(1, 2**64 - 1),
    priority=st.sampled_from([None, -1, 0, 1, 2]),
)
def test_what_is_written_is_read_back(
    propagator: Propagator, trace_id: int, span_id: int, priority: int | None
) -> None:
    headers = propagator.inject(Context(trace_id, span_id, sampling_priority=priority))
    read = None if priority is None else max(priority, 0)
    assert propagator.extract(headers) == Context(trace_id, span_id, sampling_priority=read)


@pytest.mark.parametrize(
    ("priority", "one", "many"),
    [
        (None, "", {}),
        (-1, "-0", {"x-b3-sampled": "0"}),
        (0, "-0", {"x-b3-sampled": "0"}),
        (1, "-1", {"x-b3-sampled": "1"}),
        (2, "-d", {"x-b3-flags": "1"}),
    ],
)
def test_what_is_written(priority: int | None, one: str, many: dict[str, str]) -> None:
    context = Context(TRACE, SPAN, sampling_priority=priority)
    ids = {"x-b3-traceid": f"{TRACE:032x}", "x-b3-spanid": f"{SPAN:016x}"}
    assert single.inject(context) == {"b3": IDS + one}
    assert multi.inject(context) == {**ids, **many}
    context.trace_id = 0xABC
    assert single.inject(context) == {"b3": f"0000000000000abc-{SPAN:016x}{one}"}
    assert multi.inject(context)["x-b3-traceid"] == "0000000000000abc"


@pytest.mark.parametrize(
    ("header", "priority"),
    [
        (IDS, None),
        (f"{IDS}-0", 0),
        (f"{IDS}-1", 1),
        (f"{IDS}-d", 2),
        (f"{IDS}-1-05e3ac9a4f6e3b90", 1),
        (f" {IDS.upper()}-1\t", 1),
    ],
)
def test_single_valid(header: str, priority: int | None) -> None:
    assert single.extract({"b3": header}) == Context(TRACE, SPAN, sampling_priority=priority)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "-",
        "x",
        f"{TRACE:032x}",
        f"{TRACE:032x}-",
        f"-{SPAN:016x}-1",
        f"{0:032x}-{SPAN:016x}-1",
        f"{TRACE:032x}-{0:016x}-1",
        f"{TRACE:033x}-{SPAN:016x}",
        f"{TRACE:032x}-{SPAN:017x}",
        f"{IDS}-2",
        f"{IDS}-",
        f"{IDS}-1-",
        f"{IDS}-1-xyz",
        f"{IDS}-1-05e3ac9a4f6e3b90-",
        f"{IDS},{IDS}",
        IDS + " " * 500,
        "\u0661-\u0661",
    ],
)
def test_single_invalid(header: str) -> None:
    assert single.extract({"b3": header}) is None


@pytest.mark.parametrize(
    ("trace_hex", "trace_id"),
    [("a", 10), ("0" * 15 + "a", 10), ("1" + "0" * 16, 1 << 64), (f"{TRACE:X}", TRACE)],
)
def test_ids_with_or_without_padding(trace_hex: str, trace_id: int) -> None:
    assert multi.extract({"x-b3-traceid": trace_hex, "x-b3-spanid": "1"}) == Context(trace_id, 1)


@pytest.mark.parametrize(
    ("headers", "priority"),
    [
        ({}, None),
        ({"x-b3-sampled": "1"}, 1),
        ({"x-b3-sampled": "true"}, 1),
        ({"x-b3-sampled": "0"}, 0),
        ({"x-b3-sampled": "False"}, 0),
        ({"x-b3-sampled": "d"}, None),
        ({"x-b3-flags": "1"}, 2),
        ({"x-b3-flags": "1", "x-b3-sampled": "0"}, 2),
        ({"x-b3-flags": "0", "x-b3-sampled": "0"}, 0),
    ],
)
def test_multi_valid(headers: dict[str, str], priority: int | None) -> None:
    ids = {"x-b3-traceid": f"{TRACE:032x}", "x-b3-spanid": f"{SPAN:016x}"}
    assert multi.extract({**ids, **headers}) == Context(TRACE, SPAN, sampling_priority=priority)
    alone = multi.extract(headers)
    assert alone == (None if priority is None else Context(sampling_priority=priority))


@pytest.mark.parametrize(
    "headers",
    [
        {"x-b3-traceid": "1"},
        {"x-b3-spanid": "1"},
        {"x-b3-traceid": "0", "x-b3-spanid": "1"},
        {"x-b3-traceid": "1", "x-b3-spanid": "0"},
        {"x-b3-traceid": "1" * 33, "x-b3-spanid": "1"},
        {"x-b3-traceid": "1", "x-b3-spanid": "1" * 17},
        {"x-b3-traceid": "1,1", "x-b3-spanid": "1"},
    ],
)
def test_multi_invalid(headers: dict[str, str]) -> None:
    assert multi.extract({**headers, "x-b3-sampled": "1"}) is None


@pytest.mark.parametrize(("state", "priority"), [("0", 0), ("1", 1), ("d", 2)])
def test_a_decision_alone(state: str, priority: int) -> None:
    assert single.extract({"b3": state}) == Context(sampling_priority=priority)
