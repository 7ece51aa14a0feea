"""Which traces are kept: by rules, by one rate for all, by OpenTelemetry's names, by hand."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddmiddleware.tracing import Context, Tracer
from ddmiddleware.tracing.sampling import Sampler, keeps, threshold
from ddmiddleware.tracing.settings import Settings
from ddmiddleware.tracing.span_sampling import SpanSampler
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.conftest import MakeTracer
from tests.tracer.expected import CHUNK, child, root

NONE, KEEP, DROP = (1, "-0"), (2, "-3"), (-1, None)


def decided(tracer: Tracer, resource: str = "GET /users", tags: dict[str, Any] | None = None) -> tuple[int | None, Any]:
    """Return priority and decision maker of a trace whose root has *resource* and *tags*."""
    with tracer.trace("web.request", resource=resource) as span:
        span.set_tags(tags or {})
        tracer.sample(span)
        return span.context.sampling_priority, span._trace.tags.get("_dd.p.dm")


def test_the_root_says_what_decided(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    rules = json.dumps([{"sample_rate": 0.0, "resource": "GET /health"}, {"sample_rate": 1, "name": "web.*"}])
    tracer = make_tracer(agent.url, DD_TRACE_SAMPLING_RULES=rules)
    for name, resource in (("web.request", "GET /"), ("web.request", "get /HEALTH"), ("job", "x")):
        with tracer.trace(name, resource=resource):
            tracer.trace("inner").finish()
    tracer.flush()
    kept = {"_sampling_priority_v1": 2, "_dd.rule_psr": 1, "_dd.limit_psr": 1}
    rejected = root(
        "web.request",
        3,
        2,
        resource="get /HEALTH",
        meta={"_dd.p.ksr": "0"},
        metrics={"_sampling_priority_v1": -1, "_dd.rule_psr": 0},
    )
    del rejected["meta"]["_dd.p.dm"]
    assert plain(agent.spans) == [
        root("web.request", resource="GET /", meta={"_dd.p.dm": "-3", "_dd.p.ksr": "1"}, metrics=kept),
        child("inner", 2),
        rejected,
        child("inner", 4, 3, 2),
        root("job", 5, 3, resource="x"),
        child("inner", 6, 5, 3),
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, KEEP),
        ({"service": "shop"}, KEEP),
        ({"service": "SH?P"}, KEEP),
        ({"service": "sho"}, NONE),
        ({"name": "web.request", "resource": "* /users"}, KEEP),
        ({"name": "web.request", "resource": "* /orders"}, NONE),
        ({"tags": {"http.method": "get"}}, KEEP),
        ({"tags": {"http.method": "g*", "count": "2?0"}}, KEEP),
        ({"tags": {"http.method": "*", "missing": "*"}}, NONE),
        ({"tags": {"count": "200"}}, KEEP),
        ({"tags": {"whole": "3"}}, KEEP),
        ({"tags": {"part": "0.5"}}, NONE),
        ({"tags": {"part": "0*"}}, NONE),
        ({"tags": {"part": "*"}}, KEEP),
        ({"tags": {"part": "??*"}}, KEEP),
        ({"tags": {"env": "prod", "version": "1.?", "team": "blue"}}, KEEP),
        ({"tags": {"env": "dev"}}, NONE),
        ({"provenance": "customer"}, (2, "-11")),
        ({"provenance": "dynamic"}, (2, "-12")),
        ({"sample_rate": 0}, DROP),
        ({"sample_rate": "1.0"}, KEEP),
    ],
)
def test_a_rule(make_tracer: MakeTracer, rule: dict[str, Any], expected: tuple[int, str]) -> None:
    tracer = make_tracer(
        "http://127.0.0.1:9",
        DD_TRACE_SAMPLING_RULES=json.dumps([{"sample_rate": 1, **rule}]),
        DD_ENV="prod",
        DD_VERSION="1.2",
        DD_TAGS="team:blue",
    )
    assert decided(tracer, tags={"http.method": "GET", "count": 200, "whole": 3.0, "part": 0.5}) == expected


def test_the_first_rule_that_matches_decides(make_tracer: MakeTracer) -> None:
    rules = [
        {"sample_rate": 0, "resource": "none"},
        {"sample_rate": 0, "resource": "* /default"},
        {"sample_rate": 1, "provenance": "dynamic", "resource": "GET *"},
        {"sample_rate": 0, "provenance": "customer", "resource": "GET /customer"},
        {"sample_rate": 1, "resource": "POST /default"},
    ]
    tracer = make_tracer("http://127.0.0.1:9", DD_TRACE_SAMPLING_RULES=json.dumps(rules), DD_TRACE_SAMPLE_RATE="0")
    assert decided(tracer, "GET /default") == (2, "-12")
    assert decided(tracer, "GET /customer") == DROP
    assert decided(tracer, "POST /default") == DROP
    assert decided(tracer, "PUT /else") == DROP


def test_rules_see_a_service_by_its_new_name(make_tracer: MakeTracer) -> None:
    rules = json.dumps([{"sample_rate": 0, "service": "shop-eu"}])
    tracer = make_tracer("http://127.0.0.1:9", DD_TRACE_SAMPLING_RULES=rules, DD_SERVICE_MAPPING="shop:shop-eu")
    assert decided(tracer) == DROP


def test_a_rule_that_discards_sends_nothing(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    rules = json.dumps([{"sample_rate": 0, "resource": "GET /health", "discard": True}])
    tracer = make_tracer(agent.url, DD_TRACE_SAMPLING_RULES=rules, DD_TRACE_PARTIAL_FLUSH_MIN_SPANS="2")
    with tracer.trace("web.request", resource="GET /health"):
        for _ in range(5):
            tracer.trace("inner").finish()
    with tracer.trace("kept by hand", resource="GET /health") as span:
        span.set_tag("manual.keep")
    tracer.flush()
    assert [span["name"] for span in agent.spans] == ["kept by hand"]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, NONE),
        ({"DD_TRACE_SAMPLE_RATE": "1"}, KEEP),
        ({"DD_TRACE_SAMPLE_RATE": "0"}, DROP),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, KEEP),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, DROP),
        ({"OTEL_TRACES_SAMPLER": "traceidratio"}, KEEP),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, DROP),
        ({"OTEL_TRACES_SAMPLER_ARG": "0"}, NONE),
        ({"DD_TRACE_SAMPLE_RATE": "1", "OTEL_TRACES_SAMPLER": "always_off"}, KEEP),
        ({"DD_TRACE_SAMPLE_RATE": "1", "DD_TRACE_RATE_LIMIT": "0"}, DROP),
        ({"DD_TRACE_SAMPLE_RATE": "1", "DD_TRACE_RATE_LIMIT": "-1"}, KEEP),
        ({"DD_TRACE_RATE_LIMIT": "0"}, NONE),
    ],
)
def test_a_rate_for_all(make_tracer: MakeTracer, environ: dict[str, str], expected: tuple[int, str]) -> None:
    assert decided(make_tracer("http://127.0.0.1:9", **environ)) == expected


@pytest.mark.parametrize("settings", [{}, {"DD_TRACE_SAMPLE_RATE": "0"}, {"DD_TRACE_SAMPLE_RATE": "1"}])
@pytest.mark.parametrize("priority", [-1, 0, 1, 2])
def test_a_callers_decision_is_obeyed(
    agent: RecordingAgent, make_tracer: MakeTracer, settings: dict[str, str], priority: int
) -> None:
    tracer = make_tracer(agent.url, **settings)
    remote = Context(8, 9, sampling_priority=priority, meta={"_dd.p.dm": "-4"})
    tracer.start_span("a", child_of=remote).finish()
    tracer.flush()
    kept = priority > 0
    expected = root("a", parent_id=9, meta={"_dd.p.dm": "-4"}, metrics={"_sampling_priority_v1": priority})
    if not kept:
        del expected["meta"]["_dd.p.dm"]
    assert plain(agent.spans) == [expected]


def test_a_caller_that_did_not_decide_leaves_it_to_us(make_tracer: MakeTracer) -> None:
    tracer = make_tracer("http://127.0.0.1:9", DD_TRACE_SAMPLE_RATE="0")
    with tracer.start_span("a", child_of=Context(8, 9)) as span:
        tracer.sample(span)
        assert span.context.sampling_priority == -1


@pytest.mark.parametrize("rate", ["0", "1"])
@pytest.mark.parametrize(("key", "priority", "maker"), [("manual.keep", 2, "-4"), ("manual.drop", -1, None)])
@pytest.mark.parametrize("by_context", [False, True])
@pytest.mark.parametrize("late", [False, True])
def test_by_hand(
    agent: RecordingAgent,
    make_tracer: MakeTracer,
    rate: str,
    key: str,
    priority: int,
    maker: str | None,
    by_context: bool,
    late: bool,
) -> None:
    """A user's own decision wins over every rule; over one that headers carried already too, in this process."""
    tracer = make_tracer(agent.url, DD_TRACE_SAMPLE_RATE=rate)
    with tracer.trace("a") as span, tracer.trace("b") as inner:
        if late:
            tracer.sample(span)
        if by_context:
            inner.context.sampling_priority = priority
        else:
            inner.set_tag(key)
        tracer.sample(span)
    tracer.flush()
    (first, _) = agent.chunks[0]
    assert (first["metrics"]["_sampling_priority_v1"], first["meta"].get("_dd.p.dm")) == (priority, maker)
    assert ("_dd.rule_psr" in first["metrics"]) == late


def test_sampled(tracer: Tracer) -> None:
    with tracer.trace("a") as span:
        assert span.sampled
        assert span.context.sampling_priority is None
        span.set_tag("manual.drop")
        assert not span.sampled


def test_what_is_no_priority_is_ignored(tracer: Tracer, agent: RecordingAgent) -> None:
    hostile: Any
    for hostile in ("2", 10**9, 1.5, [], float("nan")):
        assert Context(8, 9, sampling_priority=hostile).sampling_priority is None
        with tracer.trace("a") as span:
            span.context.sampling_priority = hostile
    with tracer.trace("a") as span:
        span.context.sampling_priority = True
        span.context.sampling_priority = None
    tracer.flush()
    assert [chunk[0]["metrics"] for chunk in agent.chunks] == [{**CHUNK, **_process(chunk)} for chunk in agent.chunks]


def _process(chunk: list[dict[str, Any]]) -> dict[str, Any]:
    return {"_dd.top_level": 1, "process_id": chunk[0]["metrics"]["process_id"]}


@pytest.mark.parametrize(
    ("rate", "kept"),
    [(0, 0), (1e-9, 0), (0.001, 9), (0.1, 999), (0.25, 2499), (0.5, 5001), (0.75, 7501), (0.9, 8997), (1, 10000)],
)
def test_the_share_of_known_ids(rate: float, kept: int) -> None:
    limit = threshold(rate)
    assert sum(keeps(number, limit) for number in range(1, 10_001)) == kept
    assert sum(keeps(7 << 64 | number, limit) for number in range(1, 10_001)) == kept  # the low half counts


@given(st.integers(1, (1 << 64) - 1), st.floats(0, 1))
def test_the_test_is_the_one_of_all_datadog_tracers(number: int, rate: float) -> None:
    hashed = number * 1111111111111111111 % (1 << 64)
    expected = rate > 0 and hashed <= Fraction(rate * ((1 << 64) - 1))
    assert keeps(number, threshold(rate)) == expected


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage().removeprefix("ddmiddleware: ") for record in caplog.records]


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ('{"service": "shop"}', "sample_rate is missing"),
        ('{"sample_rate": 1.1}', "sample_rate: expected a number from 0 to 1"),
        ('{"sample_rate": -0.1}', "sample_rate: expected a number from 0 to 1"),
        ('{"sample_rate": NaN}', "sample_rate: expected a number from 0 to 1"),
        ('{"sample_rate": "much"}', "sample_rate: expected a number"),
        ('{"sample_rate": true}', "sample_rate: expected a number"),
        ('{"sample_rate": 1, "services": "shop"}', "unknown key 'services'"),
        ('{"sample_rate": 1, "service": 3}', "service: expected text"),
        ('{"sample_rate": 1, "tags": ["env"]}', "tags: expected an object"),
        ('{"sample_rate": 1, "tags": {"env": null}}', "env: expected text"),
        ('{"sample_rate": 1, "provenance": "x"}', "provenance: expected one of customer, dynamic, default"),
        ('{"sample_rate": 1, "provenance": []}', "provenance: expected one of customer, dynamic, default"),
        ('{"sample_rate": 1, "discard": "yes"}', "discard: expected true or false"),
        ("3", "expected an object"),
    ],
)
def test_a_bad_rule_is_left_out(
    make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture, rule: str, problem: str
) -> None:
    rules = f'[{{"sample_rate": 0, "resource": "x"}}, {rule}, {{"sample_rate": 1}}]'
    tracer = make_tracer("http://127.0.0.1:9", DD_TRACE_SAMPLING_RULES=rules)
    assert _warnings(caplog) == [f"DD_TRACE_SAMPLING_RULES: rule 2 is left out ({problem})"]
    assert decided(tracer) == KEEP


def test_many_bad_rules_make_one_warning(make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture) -> None:
    make_tracer("http://127.0.0.1:9", DD_TRACE_SAMPLING_RULES=json.dumps([1] * 100))
    (warning,) = _warnings(caplog)
    assert warning.endswith("rule 5 is left out (expected an object); and 95 more")


@pytest.mark.parametrize("rules", ["{", '{"sample_rate": 1}', "1", "[" * 100_000, "[1,]"])
def test_what_is_no_list_counts_as_unset(make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture, rules: str) -> None:
    tracer = make_tracer("http://127.0.0.1:9", DD_TRACE_SAMPLING_RULES=rules)
    (warning,) = _warnings(caplog)
    assert warning.startswith("DD_TRACE_SAMPLING_RULES=")
    assert "expected a JSON list of rules" in warning
    assert decided(tracer) == NONE


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
_rule = st.dictionaries(
    st.sampled_from(
        ["sample_rate", "service", "name", "resource", "tags", "provenance", "discard", "max_per_second", ""]
    ),
    _json | st.floats(0, 1),
)


def test_no_rules_break_a_tracer(tracer: Tracer) -> None:
    @given(st.lists(_rule | _json, max_size=4))
    def check(rules: list[Any]) -> None:
        text = json.dumps(rules)
        settings = Settings({"DD_TRACE_SAMPLING_RULES": text, "DD_SPAN_SAMPLING_RULES": text})
        tracer._sampler = Sampler(settings)
        with tracer.start_span("a") as span:
            tracer.sample(span)
            assert span.context.sampling_priority in (-1, 1, 2)
            assert set(SpanSampler(settings).mark([span])) <= {span}

    check()
