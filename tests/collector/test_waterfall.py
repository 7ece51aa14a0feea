"""The tree of a trace, and the correction of clocks."""

from __future__ import annotations

import pytest

from ddmiddleware.collector.chunk import local_roots
from ddmiddleware.collector.span import Span
from ddmiddleware.collector.waterfall import arrange


def span(span_id: int, parent_id: int = 0, start: int = 0, duration: int = 10, service: str = "a", **more) -> Span:
    return Span(
        service, "n", "r", "", span_id, parent_id, start, duration, 0,
        more.get("tags", {}), more.get("metrics", {}), [], [],
    )  # fmt: skip


def tree(*chunks: list[Span]) -> list[tuple[int, int]]:
    return [(bar.span.span_id, bar.depth) for bar in arrange(list(chunks))]


def test_parents_first_then_by_start() -> None:
    assert tree([span(3, 1, start=5), span(1), span(4, 3, start=6), span(2, 1, start=1)]) == [
        (1, 0), (2, 1), (3, 1), (4, 2)
    ]  # fmt: skip


def test_missing_parents_stand_at_the_top() -> None:
    bars = arrange([[span(2, 99, start=3), span(1), span(3, 2)]])
    assert [(bar.span.span_id, bar.depth, bar.orphan) for bar in bars] == [
        (1, 0, False), (2, 0, True), (3, 1, False)
    ]  # fmt: skip


@pytest.mark.parametrize("ring", [[span(1, 1)], [span(1, 2), span(2, 1)], [span(1, 3), span(2, 1), span(3, 2)]])
def test_rings_end(ring: list[Span]) -> None:
    assert sorted(number for number, _ in tree([*ring, span(9)])) == sorted([*(item.span_id for item in ring), 9])


def test_spans_sent_twice_are_shown_once() -> None:
    assert tree([span(1)], [span(1)]) == [(1, 0)]


def test_a_chain_of_any_depth() -> None:
    assert len(tree([span(number, number - 1) for number in range(1, 5_000)])) == 4_999


def shifts(*chunks: list[Span]) -> dict[int, int]:
    return {bar.span.span_id: bar.shift_ns for bar in arrange(list(chunks)) if bar.shift_ns}


def test_a_clock_that_is_behind_is_corrected_with_all_below() -> None:
    server = [span(2, 1, start=-1000, duration=40, service="b"), span(3, 2, start=-990, duration=5, service="b")]
    assert shifts([span(1, start=100, duration=100)], server) == {2: 1130, 3: 1130}


def test_a_service_below_has_its_own_clock() -> None:
    middle = [span(2, 1, start=-1000, duration=40, service="b")]
    assert shifts([span(1, start=100, duration=100)], middle, [span(3, 2, start=140, service="c")]) == {2: 1130}


def test_a_server_that_begins_after_its_client_has_ended() -> None:
    client = span(1, start=0, duration=100, tags={"span.kind": "client"})
    server = span(2, 1, start=5000, duration=50, service="b", tags={"span.kind": "server"})
    assert shifts([client], [server]) == {2: -4975}
    consumer = server._replace(tags={"span.kind": "consumer"})
    assert shifts([client], [consumer]) == {}


def test_a_child_longer_than_its_parent_begins_with_it() -> None:
    assert shifts([span(1, start=100, duration=10)], [span(2, 1, start=0, duration=50, service="b")]) == {2: 100}


def test_one_process_has_one_clock() -> None:
    assert shifts([span(1, start=100), span(2, 1, start=90, service="redis")]) == {}
    assert shifts([span(1, start=100)], [span(2, 1, start=90)]) == {}


TOP = {"_dd.top_level": 1.0}


@pytest.mark.parametrize(
    ("spans", "roots"),
    [
        ([span(1), span(2, 1, metrics=TOP)], [1]),
        ([span(1), span(2)], [1, 2]),
        ([span(1, 77), span(2, 1)], [1]),
        ([span(1, 77, metrics=TOP), span(2, 78)], [1]),
        ([span(5, 4, metrics={**TOP, "_dd.py.partial_flush": 300}), span(6, 5)], []),
        ([span(1, 77, metrics={"process_id": 9, "_dd.py.partial_flush": 300}), span(2, 1)], [1]),
        ([span(1, 77, metrics={"_dd.py.partial_flush": 300}, tags={"span.kind": "server"})], [1]),
    ],
)
def test_local_roots(spans: list[Span], roots: list[int]) -> None:
    assert [root.span_id for root in local_roots(spans)] == roots
