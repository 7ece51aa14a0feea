"""Pauses of the garbage collector: all of their time, by who set them off."""

import gc
import os
from collections.abc import Iterator

import pytest

from ddmiddleware.profiling.gc_pauses import GcCollector
from ddmiddleware.tracing import Settings
from tests.profiler.sampling import quiet_tracer


@pytest.fixture
def collector() -> Iterator[GcCollector]:
    collector = GcCollector(Settings({}))
    collector.start()
    yield collector
    collector.stop()


def sweep() -> None:
    gc.collect()


def test_a_pause_is_measured(collector: GcCollector) -> None:
    kept = [[number] for number in range(100_000)]
    with quiet_tracer().trace("web.request", resource="GET /sweep", span_type="web"):
        sweep()
        sweep()
    full = [s for s in collector.collect() if s.stack[0][0] == "sweep"]
    assert sum(s.values["gc-samples"] for s in full) == 2
    assert {s.labels["gc generation"] for s in full} == {"2"}
    assert {s.labels["trace endpoint"] for s in full} == {"GET /sweep"}
    assert all(s.values["gc-time"] > 0 for s in full)
    del kept


def test_many_short_ones_are_summed_up(collector: GcCollector) -> None:
    list(collector.collect())
    gc.disable()
    try:
        for _ in range(1_000):
            gc.collect(0)
        samples = list(collector.collect())
    finally:
        gc.enable()
    assert 500 < sum(s.values["gc-samples"] for s in samples) < 2_000


def test_it_starts_and_stops_any_number_of_times() -> None:
    before = list(gc.callbacks)
    collector = GcCollector(Settings({}))
    for _ in range(5):
        collector.start()
        collector.start()
        assert len(gc.callbacks) == len(before) + 1
        collector.stop()
        collector.stop()
    assert gc.callbacks == before
    list(collector.collect())
    sweep()
    assert list(collector.collect()) == []


def test_a_start_amid_a_collection(collector: GcCollector) -> None:
    list(collector.collect())
    collector._told("stop", {"generation": 1})
    assert list(collector.collect()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_is_without(collector: GcCollector) -> None:
    child = os.fork()
    if not child:
        try:
            collector.after_fork_in_child()
            sweep()
            os._exit(int(list(collector.collect()) != []))
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
