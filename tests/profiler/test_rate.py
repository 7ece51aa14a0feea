"""How often the sampler looks: within its share of the CPU time, and not in step with the program."""

from __future__ import annotations

import time

import pytest

from ddmiddleware.profiling.python_sampler import FASTEST_S, SLOWEST_S
from ddmiddleware.profiling.stack_collector import StackCollector
from ddmiddleware.tracing import Settings
from tests.profiler.sampling import by, function_of, quiet_tracer, sampled
from tests.profiler.workloads import PER_MS, spin

_EARLIEST = 0.7  # of a period, after the last look


def test_a_small_budget_slows_it_down(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "python":
        monkeypatch.setenv("_DD_PURE_PYTHON", "1")
    collector = StackCollector(Settings({"DD_PROFILING_MAX_TIME_USAGE_PCT": "0.000001"}), quiet_tracer())
    assert collector.tags()["sampler"] == kind
    collector.start()
    try:
        _spin_until(collector, 100)  # by now it has been rated more than once
        slow_at, looks = time.monotonic(), collector._sampler.ticks
        _spin_until(collector, looks + 20)
        taken_s = time.monotonic() - slow_at
    finally:
        collector.stop()
    assert taken_s > 18 * SLOWEST_S * _EARLIEST > 18 * FASTEST_S * (2 - _EARLIEST)


def _spin_until(collector: StackCollector, looks: int) -> None:
    while collector._sampler.ticks < looks:
        spin(PER_MS)


def first(until_s: float) -> None:
    while time.monotonic() < until_s:
        spin(PER_MS // 20)


def second(until_s: float) -> None:
    while time.monotonic() < until_s:
        spin(PER_MS // 20)


def test_a_program_in_step_with_it(kind: str) -> None:
    """Two functions that take turns at its own rate have half of the samples each, not one of them all."""
    with sampled(kind) as samples:
        begun = time.monotonic()
        for number in range(300):
            turn = begun + number * FASTEST_S
            first(turn + FASTEST_S / 2)
            second(turn + FASTEST_S)
    found = by(samples, "cpu-samples", lambda sample: function_of(sample, {"first", "second"}))
    assert 0.3 < found["first"] / found.total() < 0.7, found
