"""How many traces a second the rules may keep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddmiddleware.tracing.limiter import Limiter
from tests.recording_agent import RecordingAgent
from tests.tracer.conftest import MakeTracer


class Clock:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns

    def move(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)


def _allowed(limiter: Limiter, asked: int) -> int:
    return sum(limiter.allows() for _ in range(asked))


def test_so_many_a_second() -> None:
    clock = Clock()
    limiter = Limiter(10, clock)
    assert _allowed(limiter, 25) == 10
    clock.move(0.3)
    assert _allowed(limiter, 25) == 3
    clock.move(60)
    assert _allowed(limiter, 25) == 10  # never more at once than in a second
    clock.move(-60)
    assert _allowed(limiter, 5) == 0


def test_less_than_one_a_second() -> None:
    clock = Clock()
    limiter = Limiter(0.5, clock)
    found = []
    for _ in range(6):
        found.append(limiter.allows())
        clock.move(1)
    assert found == [True, False, True, False, True, False]


@pytest.mark.parametrize(("limit", "allowed"), [(0, 0), (-1, 1000)])
def test_none_and_all(limit: float, allowed: int) -> None:
    assert _allowed(Limiter(limit, Clock()), 1000) == allowed


def test_the_effective_rate() -> None:
    clock = Clock()
    limiter = Limiter(10, clock)
    assert limiter.effective_rate == 1
    _allowed(limiter, 40)
    assert limiter.effective_rate == 0.25
    clock.move(1)
    _allowed(limiter, 10)
    assert limiter.effective_rate == (1 + 0.25) / 2
    clock.move(1)
    _allowed(limiter, 20)
    assert limiter.effective_rate == (0.5 + 1) / 2


@given(st.floats(0.1, 1000), st.lists(st.floats(0, 3), max_size=50))
def test_never_more_than_the_limit(per_second: float, pauses: list[float]) -> None:
    clock = Clock()
    limiter = Limiter(per_second, clock)
    allowed = 0
    for pause in pauses:
        clock.move(pause)
        allowed += _allowed(limiter, 20)
    assert allowed <= max(per_second, 1) + per_second * sum(pauses) + 1e-6
    assert 0 <= limiter.effective_rate <= 1


def test_rules_keep_no_more(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(
        agent.url,
        DD_TRACE_SAMPLING_RULES='[{"sample_rate": 1, "name": "limited"}]',
        DD_TRACE_RATE_LIMIT="3",
    )
    tracer._sampler._limiter = Limiter(3, Clock())
    for _ in range(6):
        tracer.trace("limited").finish()
        tracer.trace("by default").finish()
    tracer.flush()
    limited = [span for span in agent.spans if span["name"] == "limited"]
    assert [span["metrics"]["_sampling_priority_v1"] for span in limited] == [2, 2, 2, -1, -1, -1]
    assert [span["metrics"]["_dd.limit_psr"] for span in limited] == [1, 1, 1, 3 / 4, 3 / 5, 3 / 6]
    assert [span["meta"].get("_dd.p.dm") for span in limited] == ["-3"] * 3 + [None] * 3
    others = [span for span in agent.spans if span["name"] == "by default"]
    assert {span["metrics"]["_sampling_priority_v1"] for span in others} == {1}
