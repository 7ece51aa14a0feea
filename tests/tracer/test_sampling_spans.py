"""Single spans that are kept out of traces that are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ddmiddleware.tracing import Tracer
from ddmiddleware.tracing.sampling import keeps, threshold
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.conftest import MakeTracer
from tests.tracer.expected import child, root

MARK = "_dd.span_sampling."


def _make(make_tracer: MakeTracer, agent: RecordingAgent, rules: list[Any], **environ: str) -> Tracer:
    return make_tracer(
        agent.url, **{"DD_SPAN_SAMPLING_RULES": json.dumps(rules), "DD_TRACE_SAMPLE_RATE": "0", **environ}
    )


def _marked(agent: RecordingAgent) -> list[str]:
    return [span["name"] for span in agent.spans if f"{MARK}mechanism" in span["metrics"]]


def test_the_spans_that_rules_keep(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    rules = [{"service": "db", "name": "SQL.*", "max_per_second": 50}, {"name": "cache.get", "sample_rate": 0}, {}]
    tracer = _make(make_tracer, agent, rules[:2], DD_SERVICE_MAPPING="postgres:db")
    with tracer.trace("a"):
        tracer.trace("sql.query", service="postgres").finish()
        tracer.trace("sql.query").finish()
        tracer.trace("cache.get").finish()
    with tracer.trace("kept") as span:
        span.set_tag("manual.keep")
        tracer.trace("sql.query", service="postgres").finish()
    tracer.flush()
    first = root("a", meta={"_dd.p.ksr": "0"}, metrics={"_sampling_priority_v1": -1, "_dd.rule_psr": 0})
    del first["meta"]["_dd.p.dm"]
    marks = {f"{MARK}mechanism": 8, f"{MARK}rule_rate": 1, f"{MARK}max_per_second": 50, "_dd.top_level": 1}
    assert plain(agent.spans) == [
        first,
        child("sql.query", 2, service="db", metrics=marks),
        child("sql.query", 3),
        child("cache.get", 4),
        root("kept", 5, 2, meta={"_dd.p.dm": "-4"}, metrics={"_sampling_priority_v1": 2}),
        child("sql.query", 6, 5, 2, service="db", metrics={"_dd.top_level": 1}),
    ]


def test_a_rate_goes_by_the_span_id(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = _make(make_tracer, agent, [{"sample_rate": 0.5}])
    for _ in range(20):
        with tracer.trace("a"):
            tracer.trace("b").finish()
    tracer.flush()
    for span in agent.spans:
        assert (span["metrics"].get(f"{MARK}rule_rate") == 0.5) == keeps(span["span_id"], threshold(0.5))


def test_so_many_a_second(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = _make(make_tracer, agent, [{"name": "b", "max_per_second": 0}, {"name": "c", "max_per_second": 1e-9}])
    with tracer.trace("a"):
        for name in "bbccc":
            tracer.trace(name).finish()
    tracer.flush()
    assert _marked(agent) == ["c"]


def test_the_first_rule_that_matches_decides(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = _make(make_tracer, agent, [{"name": "a", "sample_rate": 0}, {"name": "*"}])
    with tracer.trace("a"):
        tracer.trace("b").finish()
    tracer.flush()
    assert _marked(agent) == ["b"]


def test_rules_in_a_file(agent: RecordingAgent, make_tracer: MakeTracer, tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text('[{"name": "in the file"}]')
    for rules in ("", '[{"name": "in the variable"}]'):
        tracer = make_tracer(
            agent.url,
            DD_SPAN_SAMPLING_RULES=rules,
            DD_SPAN_SAMPLING_RULES_FILE=str(path),
            DD_TRACE_SAMPLE_RATE="0",
        )
        with tracer.trace("in the file"):
            tracer.trace("in the variable").finish()
        tracer.flush()
    assert _marked(agent) == ["in the file", "in the variable"]


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ('{"resource": "x"}', "unknown key 'resource'"),
        ('{"sample_rate": 2}', "sample_rate: expected a number from 0 to 1"),
        ('{"max_per_second": -1}', "max_per_second: expected a number of at least 0"),
        ('{"max_per_second": Infinity}', "max_per_second: expected a number of at least 0"),
        ('{"max_per_second": "many"}', "max_per_second: expected a number"),
        ('{"name": []}', "name: expected text"),
    ],
)
def test_a_bad_rule_is_left_out(
    agent: RecordingAgent, make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture, rule: str, problem: str
) -> None:
    make_tracer(agent.url, DD_SPAN_SAMPLING_RULES=f'[{{"name": "a", "max_per_second": null}}, {rule}]')
    assert [record.getMessage() for record in caplog.records] == [
        f"ddmiddleware: DD_SPAN_SAMPLING_RULES: rule 2 is left out ({problem})"
    ]


@pytest.mark.parametrize("content", [None, "{", '{"name": "a"}', "\udcff", "[" * 100_000])
def test_a_bad_file_is_ignored(
    agent: RecordingAgent,
    make_tracer: MakeTracer,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    content: str | None,
) -> None:
    path = tmp_path / "rules.json"
    if content is not None:
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    tracer = make_tracer(agent.url, DD_SPAN_SAMPLING_RULES_FILE=str(path), DD_TRACE_SAMPLE_RATE="0")
    (record,) = caplog.records
    assert record.getMessage().startswith(f"ddmiddleware: DD_SPAN_SAMPLING_RULES_FILE={str(path)!r} is ignored: ")
    tracer.trace("a").finish()
    tracer.flush()
    assert _marked(agent) == []
