"""The rates that an agent sends back, and what we tell it in return."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ddmiddleware.tracing import Tracer
from ddmiddleware.tracing.export.kept import Kept
from ddmiddleware.tracing.export.rates import read_rates
from ddmiddleware.tracing.sampling import keeps, threshold
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.conftest import MakeTracer
from tests.tracer.expected import root
from tests.tracer.processes import run


def _answer(rates: dict[str, float]) -> bytes:
    return json.dumps({"rate_by_service": rates}).encode()


def _told(tracer: Tracer, agent: RecordingAgent, **rates: float) -> None:
    """Let *tracer* learn *rates*."""
    agent.answer = _answer({key.replace("__", ":").replace("_and_", ","): rate for key, rate in rates.items()})
    tracer.trace("told").finish()
    assert tracer.flush()


def _decision(tracer: Tracer, service: str, env: str | None = None) -> tuple[int | None, Any]:
    with tracer.start_span("a", service=service) as span:
        if env:
            span.set_tag("env", env)
        tracer.sample(span)
        return span.context.sampling_priority, span.get_metric("_dd.agent_psr")


def test_the_agents_rates(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(agent.url, DD_ENV="prod")
    agent.answer = _answer({"service:shop,env:prod": 0.0, "service:,env:": 0.5, "service:cart,env:prod": 1.0})
    tracer.trace("before any answer").finish()
    assert tracer.flush()
    tracer.trace("rejected").finish()
    tracer.start_span("kept", service="cart").finish()
    tracer.flush()
    rejected = root(
        "rejected",
        2,
        2,
        meta={"env": "prod", "_dd.p.ksr": "0"},
        metrics={"_sampling_priority_v1": 0, "_dd.agent_psr": 0},
    )
    del rejected["meta"]["_dd.p.dm"]
    by_agent = {"_dd.p.dm": "-1", "_dd.p.ksr": "1", "env": "prod"}
    assert plain(agent.spans) == [
        root("before any answer", meta={"env": "prod"}),
        rejected,
        root("kept", 3, 3, service="cart", meta=by_agent, metrics={"_dd.agent_psr": 1}),
    ]


def test_which_rate(tracer: Tracer, agent: RecordingAgent) -> None:
    _told(tracer, agent, service__a_and_env__=0, service__a_and_env__dev=1, service__b_and_env__=0)
    assert _decision(tracer, "a") == (0, 0)
    assert _decision(tracer, "a", "dev") == (1, 1)
    assert _decision(tracer, "unknown") == (1, None)
    _told(tracer, agent, service___and_env__=0)
    assert _decision(tracer, "unknown") == (0, 0)
    assert _decision(tracer, "a", "dev") == (0, 0)
    _told(tracer, agent)
    assert _decision(tracer, "a") == (1, None)


def test_rules_come_before_the_agents_rates(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(agent.url, DD_TRACE_SAMPLING_RULES='[{"sample_rate": 1, "service": "a"}]')
    _told(tracer, agent, service___and_env__=0)
    assert _decision(tracer, "a") == (2, None)
    assert _decision(tracer, "b") == (0, 0)


def test_the_share_by_a_rate(tracer: Tracer, agent: RecordingAgent) -> None:
    _told(tracer, agent, service___and_env__=0.25)
    for _ in range(200):
        tracer.trace("a").finish()
    assert tracer.flush()
    spans = [span for span in agent.spans if span["name"] == "a"]
    limit = threshold(0.25)
    assert [span["metrics"]["_sampling_priority_v1"] for span in spans] == [
        int(keeps(span["trace_id"], limit)) for span in spans
    ]


@pytest.mark.parametrize(
    ("answer", "rates"),
    [
        (b'{"rate_by_service": {"service:a,env:": 1, "x": "1", "y": 2, "z": -1, "n": NaN}}', {"service:a,env:": 1.0}),
        (b'{"rate_by_service": {}}', {}),
        (b'{"rate_by_service": []}', None),
        (b"{}", None),
        (b"[]", None),
        (b"OK\n", None),
        (b"\xff", None),
        (b"[" * 50_000, None),
        (json.dumps({"rate_by_service": {str(number): 1 for number in range(9000)}}).encode(), None),
    ],
)
def test_an_answer(answer: bytes, rates: dict[str, float] | None) -> None:
    assert read_rates(answer) == rates


def test_an_answer_without_rates_changes_nothing(tracer: Tracer, agent: RecordingAgent) -> None:
    _told(tracer, agent, service___and_env__=0)
    agent.answers.append((200, b"OK"))
    tracer.trace("a").finish()
    assert tracer.flush()
    assert _decision(tracer, "a") == (0, 0)


def test_a_forked_child_knows_them(agent: RecordingAgent) -> None:
    agent.answer = _answer({"service:,env:": 0.0})
    script = """
import os, sys
from ddmiddleware import tracer
tracer.trace("parent").finish()
assert tracer.flush()
pid = os.fork()
if not pid:
    tracer.trace("child").finish()
    sys.exit()
assert os.waitpid(pid, 0)[1] == 0
"""
    run(script, agent.url)
    assert {span["name"]: span["metrics"]["_sampling_priority_v1"] for span in agent.spans} == {"parent": 1, "child": 0}


def test_the_share_that_was_delivered(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    """Chunks that find the queue full are missing in the next ones' ``_dd.tracer_kr``."""
    tracer = make_tracer(agent.url, DD_TRACE_WRITER_MAX_SPANS="3", DD_TRACE_WRITER_INTERVAL_SECONDS="60")
    for _ in range(4):
        tracer.trace("a").finish()
    assert not tracer.flush()
    tracer.trace("b").finish()
    assert tracer.flush()
    tracer.trace("c").finish()
    assert tracer.flush()
    rates = {span["name"]: span["metrics"]["_dd.tracer_kr"] for span in agent.spans}
    assert rates == {"a": 1, "b": 3 / 4, "c": 4 / 5}


def test_ten_sends_count() -> None:
    kept = Kept()
    assert kept.rate(0, 0) == 1
    assert kept.rate(4, 1) == 0.75
    assert kept.rate(4, 1) == 0.75
    assert [kept.rate(4 + number, 1) for number in range(1, 10)][-1] == 1 - 1 / 13
    assert kept.rate(14, 1) == 1
    assert kept.rate(15, 10) == 1 - 9 / 10
    assert kept.rate(16, 10) == 1 - 9 / 10
    assert kept.rate(17, 50) == 0
