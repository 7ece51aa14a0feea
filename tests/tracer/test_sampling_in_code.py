"""Sampling that a program sets, not its environment."""

from __future__ import annotations

from typing import Any

import pytest

from ddmiddleware.sampler import (
    AllSampler,
    BaseSampler,
    DatadogSampler,
    RateByServiceSampler,
    RateSampler,
    SamplingRule,
)
from ddmiddleware.tracing import Tracer
from tests.recording_agent import RecordingAgent
from tests.tracer.conftest import MakeTracer

BY_RULE = {"_dd.rule_psr", "_dd.limit_psr"}


def _decision(tracer: Tracer, name: str = "a", service: str | None = None) -> tuple[int | None, set[str]]:
    with tracer.trace(name, service=service) as span:
        tracer.sample(span)
    return span.context.sampling_priority, BY_RULE & set(span.get_metrics())


@pytest.mark.parametrize(
    ("sampler", "priority", "marks"),
    [
        (RateSampler(0), -1, {"_dd.rule_psr"}),
        (AllSampler(), 2, BY_RULE),
        (DatadogSampler(default_sample_rate=0), -1, {"_dd.rule_psr"}),
        (DatadogSampler([SamplingRule(0, service="other")], default_sample_rate=1.0), 2, BY_RULE),
        (DatadogSampler([SamplingRule(0, name="a*", resource="?", tags={})]), -1, {"_dd.rule_psr"}),
        (DatadogSampler([SamplingRule(1, service="sh*")], rate_limit=0), -1, BY_RULE),
        (DatadogSampler([SamplingRule(0, name="b")]), 1, set()),
        (DatadogSampler(), 1, set()),
        (RateByServiceSampler(), 1, set()),
        (BaseSampler(), 1, set()),
    ],
)
def test_a_sampler(sampler: BaseSampler, priority: int, marks: set[str], tracer: Tracer) -> None:
    tracer.configure(sampler=sampler)
    assert _decision(tracer) == (priority, marks)


def test_it_takes_the_place_of_what_the_environment_says(make_tracer: MakeTracer, agent: RecordingAgent) -> None:
    tracer = make_tracer(agent.url, DD_TRACE_SAMPLE_RATE="0", DD_TRACE_RATE_LIMIT="5")
    assert _decision(tracer)[0] == -1
    tracer.configure(sampler=DatadogSampler())
    assert _decision(tracer) == (1, set())


@pytest.mark.parametrize("rule", [SamplingRule(2), SamplingRule(1, service=5)])  # type: ignore[arg-type]  # a user's
def test_a_bad_rule_is_left_out(rule: Any, tracer: Tracer, caplog: pytest.LogCaptureFixture) -> None:
    tracer.configure(sampler=DatadogSampler([rule]))
    tracer.configure(partial_flush_min_spans=5)
    tracer.settings["DD_ENV"] = "prod"
    assert caplog.text.count("rule 1 is left out") == 1
    assert _decision(tracer) == (1, set())


def test_rates_go_by_the_environment_that_code_names(tracer: Tracer) -> None:
    tracer._sampler.take_rates({"service:shop,env:prod": 0.0, "service:,env:": 1.0})
    assert _decision(tracer)[0] == 1
    tracer.settings["DD_ENV"] = "prod"
    assert _decision(tracer)[0] == 0
    tracer.settings["DD_SERVICE_MAPPING"] = {"store": "shop"}
    assert _decision(tracer, service="store")[0] == 0
