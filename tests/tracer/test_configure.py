"""Tracer.configure, filters, callbacks and a context provider of the user's own."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ddmiddleware.tracing import Context, FilterRequestsOnUrl, RateSampler, Span, TraceFilter, Tracer
from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.provider import BaseContextProvider
from ddmiddleware.tracing.settings import Settings
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.conftest import MakeTracer
from tests.tracer.expected import CHUNK, child, root


class _Keep(TraceFilter):
    def __init__(self, *names: str) -> None:
        self._names = names

    def process_trace(self, trace: list[Span]) -> list[Span] | None:
        return [span for span in trace if span.name in self._names] or None


class _Break(TraceFilter):
    def process_trace(self, trace: list[Span]) -> list[Span] | None:
        raise ValueError("not today")


class _Stack(BaseContextProvider):
    def __init__(self) -> None:
        self.value: Span | Context | None = None

    def _has_active_context(self) -> bool:
        return self.value is not None

    def activate(self, ctx: Span | Context | None) -> None:
        self.value = ctx

    def active(self) -> Span | Context | None:
        return self.value


def _two(tracer: Tracer) -> None:
    with tracer.trace("a"), tracer.trace("b"):
        pass


@pytest.mark.parametrize(
    "options", [{"trace_processors": [_Keep("b", "c")]}, {"settings": {"FILTERS": [_Keep("b", "c")]}}]
)
def test_filters(tracer: Tracer, agent: RecordingAgent, options: dict[str, Any]) -> None:
    tracer.configure(**options)
    _two(tracer)
    with tracer.trace("dropped"):
        pass
    tracer.flush()
    (span,) = plain(agent.spans)
    assert (span["name"], span["metrics"]) == ("b", CHUNK)


@pytest.mark.parametrize("kind", [tuple, iter, lambda spans: (span for span in spans)])
def test_what_a_filter_returns_need_be_no_list(kind: Any, tracer: Tracer, agent: RecordingAgent) -> None:
    class Other(TraceFilter):
        def process_trace(self, trace: list[Span]) -> Any:
            return kind(trace)

    tracer.configure(trace_processors=[Other()])
    _two(tracer)
    tracer.flush()
    assert plain(agent.spans) == [root("a"), child("b", 2)]


def test_a_filter_that_returns_nonsense_leaves_the_spans(
    tracer: Tracer, agent: RecordingAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "raises", False)

    class Five(TraceFilter):
        def process_trace(self, trace: list[Span]) -> Any:
            return 5

    tracer.configure(trace_processors=[Five()])
    _two(tracer)
    tracer.flush()
    assert len(agent.spans) == 2


def test_a_filter_that_fails_leaves_the_spans(
    tracer: Tracer, agent: RecordingAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "raises", False)
    errors = guard.errors
    tracer.configure(trace_processors=[_Break(), _Keep("a", "b")])
    _two(tracer)
    tracer.flush()
    assert plain(agent.spans) == [root("a"), child("b", 2)]
    assert guard.errors == errors + 1


@pytest.mark.parametrize("patterns", [r"http://.*/health", [r"ftp:", r"http://\w+/health$"]])
def test_requests_dropped_by_url(tracer: Tracer, agent: RecordingAgent, patterns: Any) -> None:
    tracer.configure(trace_processors=[FilterRequestsOnUrl(patterns)])
    for url in ("http://shop/health", "http://shop/users"):
        with tracer.trace("a") as span, tracer.trace("b") as inner:
            span.set_tag("http.url", url)
            inner.set_tag("http.url", "http://shop/health")
    tracer.flush()
    assert [span["meta"]["http.url"] for span in agent.spans] == ["http://shop/users", "http://shop/health"]
    with pytest.raises(re.error):
        FilterRequestsOnUrl("(")


def test_callbacks_of_a_start(tracer: Tracer, agent: RecordingAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "raises", False)

    @tracer.on_start_span
    def tag(span: Span) -> None:
        span.set_tag("started", span.name)

    @tracer.on_start_span
    def fail(_span: Span) -> None:
        raise ValueError("not today")

    _two(tracer)
    assert tracer.deregister_on_start_span(fail) is fail
    tracer.deregister_on_start_span(tag)
    with tracer.trace("c"):
        pass
    tracer.flush()
    started = [root("a", meta={"started": "a"}), child("b", 2, meta={"started": "b"}), root("c", 3, 2)]
    assert plain(agent.spans) == started


def test_a_new_address_takes_what_comes_and_nothing_is_lost(make_tracer: MakeTracer) -> None:
    with RecordingAgent() as first, RecordingAgent() as second:
        tracer = make_tracer(first.url, DD_TRACE_WRITER_INTERVAL_SECONDS="3600")
        _two(tracer)
        tracer.flush()
        tracer.configure(hostname="127.0.0.1", port=second.port)
        assert tracer.agent_trace_url == second.url
        _two(tracer)
        assert tracer.flush()
        assert [len(agent.spans) for agent in (first, second)] == [2, 2]
        assert tracer.stats()["sent"] == 4


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({"hostname": "agent"}, "http://agent:8126"),
        ({"port": 9}, "http://localhost:9"),
        ({"https": True}, "https://localhost:8126"),
        ({"hostname": "::1", "port": 9}, "http://[::1]:9"),
        ({"uds_path": "/run/a.sock"}, "unix:///run/a.sock"),
    ],
)
def test_an_address(options: dict[str, Any], url: str) -> None:
    tracer = Tracer(Settings({}))
    tracer.configure(**options)
    assert tracer.agent_trace_url == url


def test_arguments_in_the_order_of_1x(caplog: pytest.LogCaptureFixture) -> None:
    tracer = Tracer(Settings({}))
    tracer.configure(False, "agent", 9, None, True)
    assert (tracer.enabled, tracer.agent_trace_url) == (False, "https://agent:9")
    tracer.configure(True, port=8)
    assert (tracer.enabled, tracer.agent_trace_url) == (True, "https://agent:8")
    assert caplog.records == []
    tracer.configure(_Stack())
    assert "Tracer.configure(enabled=...) cannot be" in caplog.text


def test_a_sampler_that_decides_by_itself(tracer: Tracer, caplog: pytest.LogCaptureFixture) -> None:
    class Mine(RateSampler):
        def sample(self, span: Span) -> bool:
            return False

    tracer.configure(sampler=Mine(1.0))
    assert caplog.messages == [
        "ddmiddleware: Tracer.configure(sampler=...) calls no method sample: see ddmiddleware.sampler"
    ]


def test_the_rest(tracer: Tracer, agent: RecordingAgent, caplog: pytest.LogCaptureFixture) -> None:
    tracer.configure(enabled=False, appsec_enabled=True, hostname=None)
    with tracer.trace("off"):
        pass
    assert caplog.records == []
    tracer.configure(enabled=True, sampler=object(), nonsense=1, settings={"MODE": 1}, partial_flush_min_spans=1)
    assert [record.getMessage() for record in caplog.records] == [
        "ddmiddleware: Tracer.configure(settings={'MODE': ...}) has no effect",
        "ddmiddleware: Tracer.configure(sampler=...) has no effect: see ddmiddleware.sampler",
        "ddmiddleware: Tracer.configure has no argument 'nonsense'; it is ignored",
    ]
    with tracer.trace("a"):
        with tracer.trace("b"):
            pass
        tracer.flush()
        assert [span["name"] for span in agent.spans] == ["b"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"partial_flush_min_spans": "many"}, "partial_flush_min_spans=...) cannot be 'many'"),
        ({"partial_flush_min_spans": -1}, "partial_flush_min_spans=...) cannot be '-1'"),
        ({"api_version": "v9"}, "api_version=...) cannot be 'v9'"),
        ({"hostname": "h", "port": "abc"}, "hostname/port=...) cannot be 'http://h:abc'"),
        ({"dogstatsd_url": "nowhere"}, "dogstatsd_url=...) cannot be 'nowhere'"),
        ({"enabled": "flase"}, "enabled=...) cannot be 'flase'"),
        ({"settings": 5}, "settings=...) has no effect"),
        ({"settings": {"FILTERS": [1]}}, "settings=...): what has no method process_trace is left out"),
        ({"trace_processors": 5}, "trace_processors=...): what has no method process_trace is left out"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(
    options: dict[str, Any], problem: str, tracer: Tracer, agent: RecordingAgent, caplog: pytest.LogCaptureFixture
) -> None:
    tracer.configure(**options)
    (record,) = caplog.records
    assert record.getMessage().startswith(f"ddmiddleware: Tracer.configure({problem}"), record.getMessage()
    _two(tracer)
    assert tracer.flush()
    assert plain(agent.spans) == [root("a"), child("b", 2)]


def test_no_filters(tracer: Tracer, agent: RecordingAgent, caplog: pytest.LogCaptureFixture) -> None:
    tracer.configure(trace_processors=[_Keep("b")])
    tracer.configure(settings={"FILTERS": None}, enabled="true")
    _two(tracer)
    assert tracer.flush()
    assert len(agent.spans) == 2
    assert caplog.records == []


def test_a_tracer_made_with_an_url(agent: RecordingAgent) -> None:
    assert Tracer("http://agent:9").agent_trace_url == "http://agent:9"
    tracer = Tracer(Settings({"DD_SERVICE": "shop", "DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS": "3"}), url=agent.url)
    assert tracer.SHUTDOWN_TIMEOUT == 3
    _two(tracer)
    assert tracer.shutdown()
    assert len(agent.spans) == 2


@pytest.mark.parametrize("address", ["localhost:8126", "http://agent:abc"])
def test_a_tracer_made_with_an_url_that_is_none(address: str, caplog: pytest.LogCaptureFixture) -> None:
    assert Tracer(address).agent_trace_url == Settings().agent_address
    assert caplog.text.count(f"DD_TRACE_AGENT_URL cannot be {address!r} (") == 1


def test_an_executor_in_place_of_wrapped_functions(tracer: Tracer, agent: RecordingAgent) -> None:
    @tracer.wrap("job", service="s", resource="r", span_type="t")
    def double(number: int, times: int = 2) -> int:
        return number * times

    def execute(tracer: Tracer, function: Any, args: Any, kwargs: Any, name: str, **described: Any) -> Any:
        with tracer.trace(f"executed {name}", **described):
            return function(*args, **kwargs)

    assert double(2) == 4
    tracer.configure(wrap_executor=execute)
    assert double(2, times=3) == 6
    tracer.flush()
    assert [(span["name"], span["service"], span["type"]) for span in agent.spans] == [
        ("job", "s", "t"),
        ("executed job", "s", "t"),
    ]


def test_a_context_provider(tracer: Tracer, agent: RecordingAgent) -> None:
    provider = _Stack()
    tracer.configure(context_provider=provider)
    assert tracer.context_provider is provider
    assert isinstance(Tracer(Settings({})).context_provider, BaseContextProvider)
    with tracer.trace("a") as outer:
        assert provider.active() is outer is tracer.current_span()
        with tracer.trace("b"):
            assert tracer.current_root_span() is outer
        assert provider() is outer
    assert provider.active() is None
    tracer.flush()
    assert plain(agent.spans) == [root("a"), child("b", 2)]
