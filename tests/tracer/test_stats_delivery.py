"""Statistics on their way to an agent: what is sent when, and what an agent's answers change."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from ddmiddleware.tracing import Tracer
from ddmiddleware.tracing.export.http import Connection
from ddmiddleware.tracing.export.info import AgentInfo
from ddmiddleware.tracing.export.stats import StatsSender
from ddmiddleware.tracing.process import process
from ddmiddleware.tracing.settings import Settings
from ddmiddleware.tracing.stats import BUCKET_NS
from tests.tracer.conftest import MakeTracer
from tests.tracer.processes import run
from tests.tracer.stats_agent import STATS, StatsAgent

ON = {"DD_TRACE_STATS_COMPUTATION_ENABLED": "true", "DD_ENV": "test", "DD_VERSION": "7"}
TRACES = "/v0.5/traces"
GROUP = {
    "Service": "shop",
    "Name": "web.request",
    "Resource": "GET /",
    "HTTPStatusCode": 200,
    "Type": "web",
    "DBType": "",
    "Hits": 1,
    "Errors": 0,
    "OkSummary": 1,
    "ErrorSummary": 0,
    "Synthetics": False,
    "TopLevelHits": 1,
    "SpanKind": "server",
    "PeerTags": [],
    "IsTraceRoot": 1,
    "GRPCStatusCode": "",
    "HTTPMethod": "GET",
    "HTTPEndpoint": "/{id}",
}
TAGS = {"span.kind": "server", "http.status_code": "200", "http.method": "GET", "http.route": "/{id}"}


@pytest.fixture
def stats_agent() -> Iterator[StatsAgent]:
    with StatsAgent() as agent:
        yield agent


def request(tracer: Tracer, resource: str = "GET /", **tags: object) -> None:
    with tracer.trace("web.request", resource=resource, span_type="web") as span:
        span.set_tags({**TAGS, **tags})


def without_duration(group: dict[str, object]) -> dict[str, object]:
    duration = group.pop("Duration")
    assert isinstance(duration, int)
    assert duration > 0
    return group


def test_a_flush_sends_what_was_counted(stats_agent: StatsAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(stats_agent.url, **ON)
    request(tracer)
    assert tracer.flush_stats()
    assert [without_duration(group) for group in stats_agent.groups] == [GROUP]
    (payload,) = stats_agent.payloads
    (bucket,) = payload.pop("Stats")
    assert payload == {
        "Hostname": "",
        "Env": "test",
        "Version": "7",
        "Lang": "python",
        "TracerVersion": stats_agent.requests[0].headers["datadog-meta-tracer-version"],
        "RuntimeID": process.runtime_id,
        "Sequence": 0,
        "AgentAggregation": "",
        "Service": "shop",
        "ContainerID": "",
        "Tags": [],
    }
    assert bucket["Start"] % BUCKET_NS == 0
    assert (bucket["Duration"], bucket["AgentTimeShift"]) == (BUCKET_NS, 0)
    (traces,) = stats_agent.at(TRACES)
    assert traces.headers["datadog-client-computed-stats"] == "true"
    assert tracer.flush_stats()
    assert len(stats_agent.payloads) == 1
    request(tracer)
    assert tracer.flush()
    assert [payload["Sequence"] for payload in stats_agent.payloads] == [0, 1]


def test_the_end_of_a_bucket_needs_no_flush(
    stats_agent: StatsAgent, make_tracer: MakeTracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddmiddleware.tracing.stats.BUCKET_NS", 10**8)
    tracer = make_tracer(stats_agent.url, **ON)
    request(tracer)
    stats_agent.wait_for(STATS)
    assert [without_duration(group) for group in stats_agent.groups] == [GROUP]


def test_off(stats_agent: StatsAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(stats_agent.url)
    request(tracer)
    assert tracer.flush_stats()
    assert [request.path for request in stats_agent.requests] == [TRACES]
    assert "datadog-client-computed-stats" not in stats_agent.requests[0].headers


def test_a_short_program_sends_its_own(stats_agent: StatsAgent) -> None:
    run("from ddmiddleware import tracer\ntracer.trace('short').finish()", stats_agent.url, **ON)
    assert [(group["Name"], group["Hits"]) for group in stats_agent.groups] == [("short", 1)]


def test_a_forked_child_starts_empty(stats_agent: StatsAgent) -> None:
    script = """
import os, sys
from ddmiddleware import tracer
tracer.trace("parent").finish()
if os.fork() == 0:
    tracer.trace("child").finish()
    sys.exit()
assert os.wait()[1] == 0
"""
    run(script, stats_agent.url, DD_TRACE_WRITER_INTERVAL_SECONDS="60", **ON)
    runtimes = {payload["RuntimeID"] for payload in stats_agent.payloads}
    assert len(runtimes) == 2
    assert sorted((group["Name"], group["Hits"]) for group in stats_agent.groups) == [("child", 1), ("parent", 1)]


class Sender:
    """A sender with a clock of its own."""

    def __init__(self, agent: StatsAgent, max_groups: str = "7000") -> None:
        self.now_ns = 1_700_000_000 * 10**9
        self.tracer = Tracer(Settings({"DD_SERVICE": "shop"}))
        self.chunks: list[bool] = []
        settings = Settings({"DD_SERVICE": "shop", "DD_TRACE_STATS_CARDINALITY_LIMIT": max_groups})
        self.sender = StatsSender(settings, Connection(agent.url, 2), {}, lambda: self.now_ns)
        self.tracer.export = self._count  # type: ignore[method-assign]  # no pipeline

    def _count(self, chunk: list, trace: object) -> None:
        for span in chunk:
            span.start_ns, span.duration_ns = self.now_ns - 100, 100
        self.chunks.append(self.sender.add(chunk))


@pytest.fixture
def sender(stats_agent: StatsAgent) -> Iterator[Sender]:
    sender = Sender(stats_agent)
    yield sender
    sender.sender._connection.close()


def test_a_bucket_is_sent_at_its_end(stats_agent: StatsAgent, sender: Sender) -> None:
    request(sender.tracer)
    assert not sender.sender.send(None)  # come again
    assert stats_agent.payloads == []
    sender.now_ns += BUCKET_NS
    assert sender.sender.send(None)
    assert [without_duration(group) for group in stats_agent.groups] == [GROUP]
    assert sender.sender.stats() == {"stats_sent": 1, "stats_lost": 0, "stats_collapsed": 0}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_agent_that_is_busy_gets_it_later(stats_agent: StatsAgent, sender: Sender, status: int) -> None:
    stats_agent.answers.append(status)
    request(sender.tracer)
    sender.now_ns += BUCKET_NS
    assert not sender.sender.send(None)
    assert not sender.sender.send(None)  # not at once
    assert len(stats_agent.at(STATS)) == 1
    assert sender.sender.send(1e12)  # somebody waits
    first, second = stats_agent.at(STATS)
    assert first.body == second.body
    assert sender.sender.stats()["stats_sent"] == 1


def test_what_an_agent_refuses_is_lost(stats_agent: StatsAgent, sender: Sender) -> None:
    stats_agent.answers.append(400)
    request(sender.tracer)
    assert sender.sender.send(1e12)
    assert sender.sender.stats() == {"stats_sent": 0, "stats_lost": 1, "stats_collapsed": 0}


def test_an_unreachable_agent_costs_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddmiddleware.tracing.export.stats._KEPT_BYTES", 3000)
    with StatsAgent() as gone:
        sender = Sender(gone)
    for _ in range(20):
        request(sender.tracer)
        sender.now_ns += BUCKET_NS
        assert not sender.sender.send(None)
    assert sender.sender._kept_bytes <= 3000
    assert sender.sender.stats()["stats_lost"] + sum(kept.spans for kept in sender.sender._payloads) == 20


def test_a_large_bucket_is_several_payloads(
    stats_agent: StatsAgent, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddmiddleware.tracing.export.stats._PAYLOAD_BYTES", 10_000)
    for number in range(100):
        request(sender.tracer, f"GET /{number}")
    assert sender.sender.send(1e12)
    assert len(stats_agent.payloads) > 3
    assert [payload["Sequence"] for payload in stats_agent.payloads] == list(range(len(stats_agent.payloads)))
    assert [group["Resource"] for group in stats_agent.groups] == [f"GET /{number}" for number in range(100)]


@pytest.mark.parametrize("knows", ["from /info", "from its answer"])
def test_an_agent_without_statistics_counts_for_itself(
    stats_agent: StatsAgent, sender: Sender, knows: str, caplog: pytest.LogCaptureFixture
) -> None:
    if knows == "from /info":
        info = AgentInfo(endpoints=frozenset([TRACES]), client_drop_p0s=True)
    else:
        info = AgentInfo(client_drop_p0s=True)
        stats_agent.answers.append(404)
    request(sender.tracer)
    sender.now_ns += BUCKET_NS
    with caplog.at_level(logging.WARNING, "ddmiddleware"):
        sender.sender.learn(info)
        assert sender.sender.send(None)
    request(sender.tracer, **{"manual.drop": None})
    assert sender.chunks == [True, True]
    headers: dict[str, str] = {}
    sender.sender.announce(headers)
    assert headers == {}
    assert sender.sender.send(1e12)
    assert len(stats_agent.at(STATS)) == (knows != "from /info")
    assert len(caplog.records) == 1


def test_rejected_traces_are_counted_and_not_sent(make_tracer: MakeTracer) -> None:
    with StatsAgent(client_drop_p0s=True, peer_tags=["out.host"]) as agent:
        tracer = make_tracer(agent.url, **ON)
        request(tracer, "GET /before", **{"manual.drop": None})
        agent.wait_for(TRACES)
        agent.wait_until_asked()
        assert tracer.flush()
        for _ in range(3):
            with tracer.trace("web.request", resource="GET /rejected"):
                tracer.trace("inner").finish()
                tracer.current_root_span().set_tag("manual.drop")  # type: ignore[union-attr]  # there is one
        with tracer.trace("web.request", resource="GET /failed") as span:
            span.set_tag("manual.drop")
            span.error = 1
        with tracer.trace("web.request", resource="GET /kept by its rule") as span:
            span.set_tag("manual.drop")
            span.set_metric("_dd.span_sampling.mechanism", 8)
        request(tracer, "GET /kept")
        with tracer.trace("query", resource="q") as span:
            span.set_tags({"span.kind": "client", "out.host": "db1"})
        assert tracer.flush()
        sent = [span["resource"] for span in agent.spans]
        assert sent == ["GET /before", "GET /failed", "GET /kept by its rule", "GET /kept", "q"]
        traces = agent.at(TRACES)
        dropped = [
            (each.headers.get("datadog-client-dropped-p0-traces"), each.headers.get("datadog-client-dropped-p0-spans"))
            for each in traces
        ]
        assert dropped == [(None, None), ("3", "6")]
        hits = {group["Resource"]: (group["Hits"], group["PeerTags"]) for group in agent.groups}
        assert hits == {
            "GET /before": (1, []),
            "GET /rejected": (3, []),
            "GET /failed": (1, []),
            "GET /kept by its rule": (1, []),
            "GET /kept": (1, []),
            "q": (1, ["out.host:db1"]),
        }
        request(tracer)
        assert tracer.flush()
        assert "datadog-client-dropped-p0-traces" not in agent.at(TRACES)[-1].headers
