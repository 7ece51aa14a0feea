"""Which exporters there are, and that what happens to one is no matter of the others."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ddmiddleware.testing import HostileAgent
from ddmiddleware.tracing import Span, Tracer
from ddmiddleware.tracing.export import choice
from ddmiddleware.tracing.export.choice import Several, chosen, open_exporters
from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.settings import Settings
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.conftest import MakeTracer
from tests.tracer.expected import child, root
from tests.tracer.otlp_receiver import OtlpReceiver
from tests.tracer.processes import run


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({}, ["agent"]),
        ({"OTEL_TRACES_EXPORTER": "datadog"}, ["agent"]),
        ({"OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, ["otlp", "console"]),
        ({"DD_TRACE_EXPORTERS": "console,agent,Console", "OTEL_TRACES_EXPORTER": "none"}, ["agent", "console"]),
        ({"DD_TRACE_AGENT_URL": "file:///var/spool/app"}, ["spool"]),
        ({"DD_TRACE_AGENT_URL": "file:///var/spool/app", "DD_TRACE_EXPORTERS": "agent,spool,otlp"}, ["spool", "otlp"]),
        ({"DD_TRACE_AGENT_URL": "file:///var/spool/app", "DD_TRACE_EXPORTERS": "console"}, ["console"]),
        ({"DD_TRACE_SPOOL_DIR": "/var/spool/app"}, ["agent"]),
    ],
)
def test_what_is_chosen(environ: dict[str, str], names: list[str], caplog: pytest.LogCaptureFixture) -> None:
    assert chosen(Settings(environ)) == names
    assert caplog.records == []


@pytest.mark.parametrize("text", ["none,agent", "zipkin", "agent,", "agent console"])
def test_no_such_choice(text: str, caplog: pytest.LogCaptureFixture) -> None:
    assert chosen(Settings({"DD_TRACE_EXPORTERS": text})) == ["agent"]
    (record,) = caplog.records
    assert record.getMessage().startswith(f"ddmiddleware: DD_TRACE_EXPORTERS={text!r} is no valid value (expected ")


def test_one_alone_is_not_wrapped(agent: RecordingAgent) -> None:
    """The usual case costs nothing more."""
    assert not isinstance(open_exporters(Settings({"DD_TRACE_AGENT_URL": agent.url})), Several)


def test_none_makes_spans_and_keeps_nothing() -> None:
    script = """
import sys, threading
from ddmiddleware import tracer
with tracer.trace("a") as span:
    span.set_tag("key", "value")
    assert tracer.current_span() is span and span.trace_id and span.get_tag("key") == "value"
assert tracer.flush() and tracer.shutdown()
assert not {"waiting", "dropped"} & {name for name, count in tracer.stats().items() if count}
print(threading.active_count(), [name for name in sys.modules if name.startswith(("http", "ddmiddleware.tracing.enc"))])
"""
    out = run(script, "http://localhost:1", DD_TRACE_EXPORTERS="none")
    assert out == "1 []\n"


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """A collector of OTLP."""
    with OtlpReceiver() as receiver:
        yield receiver


def test_otlp_alone(receiver: OtlpReceiver, make_tracer: MakeTracer) -> None:
    tracer = make_tracer("", OTEL_TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    tracer.trace("a").finish()
    assert tracer.flush()
    assert [request.path for request in receiver.requests] == ["/v1/traces"]
    assert [span["name"] for span in receiver.spans] == ["a"]


def test_all_at_once(
    agent: RecordingAgent,
    receiver: OtlpReceiver,
    make_tracer: MakeTracer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """None sees what another one has made of a span."""
    others = "agent,console,spool"
    tracers = [
        make_tracer(
            agent.url,
            DD_TRACE_EXPORTERS=exporters,
            DD_TRACE_SPOOL_DIR=str(tmp_path),
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        )
        for exporters in (f"{others},otlp", "otlp")
    ]
    for tracer in tracers:
        with tracer.trace("a") as span:
            tracer.trace("b").finish()
            span.set_link(1, 2)
            span.add_event("moment", {"key": "value"}, 10**18)
        assert tracer.flush()
    assert plain(agent.spans)[1] == child("b", 2)
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == agent.requests[0].body
    together, alone = ([_lasting(span) for span in receiver.spans[begin : begin + 2]] for begin in (0, 2))
    assert together == alone
    assert [re.sub(r"\d+\.?\d* [mu]?s", "TIME", line) for line in capsys.readouterr().err.splitlines()[1:]] == [
        "  a [shop] TIME",
        "  └─ b [shop] TIME",
    ]
    assert [tracer.stats()["sent"] for tracer in tracers] == [2 * 4, 2]


def _lasting(span: dict[str, Any]) -> dict[str, Any]:
    """Return what is the same whenever a span is made."""
    return {key: value for key, value in span.items() if not key.endswith("_id") and key != "duration"}


class _Broken:
    """An exporter that fails in every method from *since* on."""

    since = 0

    def __init__(self, _settings: Settings) -> None:
        self._calls = 0
        self._fail()

    def _fail(self) -> None:
        self._calls += 1
        if self._calls > self.since:
            raise LookupError("broken")

    def add(self, _chunk: list[Span]) -> None:
        self._fail()

    def send(self, _deadline: float | None) -> bool:
        self._fail()
        return True

    def close(self) -> None:
        self._fail()

    disown = close

    def stats(self) -> dict[str, int]:
        return {}


class _BrokenLater(_Broken):
    since = 1


@pytest.mark.parametrize("broken", ["_Broken", "_BrokenLater", "_NotThere"])
def test_a_broken_one(
    broken: str,
    agent: RecordingAgent,
    make_tracer: MakeTracer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(guard, "raises", False)
    monkeypatch.setattr(guard, "_reported", {})
    monkeypatch.setitem(choice.EXPORTERS, "spool", (__name__, broken))
    tracer = make_tracer(agent.url, DD_TRACE_EXPORTERS="spool,agent")
    for _ in range(3):
        tracer.trace("a").finish()
        assert not tracer.flush(), "all was delivered, though not everywhere"
    assert plain(agent.spans) == [root("a", number, number) for number in (1, 2, 3)]
    assert caplog.records
    assert all("internal error at " in record.getMessage() for record in caplog.records)
    assert len(caplog.records) == 1


def test_one_that_hangs_leaves_time_to_the_others(agent: RecordingAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileAgent("hanging") as hanging:
        both = Several(
            [open_exporters(Settings({"DD_TRACE_AGENT_URL": url})) for url in (hanging.url, agent.url)],
        )
        tracer = Tracer(Settings({"DD_SERVICE": "shop"}))
        monkeypatch.setattr(tracer, "export", lambda chunk, _trace: both.add(chunk))
        with tracer.trace("a") as span:
            span.set_metric("_sampling_priority_v1", 1)
        assert not both.send(time.monotonic() + 1)
        both.close()
    assert [span["name"] for span in agent.spans] == ["a"]


def test_after_a_fork(agent: RecordingAgent, tmp_path: Path) -> None:
    script = """
import os
from ddmiddleware import tracer
tracer.trace("parent").finish()
tracer.flush()
child = os.fork()
tracer.trace("child" if not child else "parent").finish()
tracer.flush()
if child:
    assert os.waitpid(child, 0)[1] == 0
else:
    os._exit(0)
"""
    run(script, agent.url, DD_TRACE_EXPORTERS="agent,spool", DD_TRACE_SPOOL_DIR=str(tmp_path))
    assert sorted(span["name"] for span in agent.spans) == ["child", "parent", "parent"]
    assert len({file.name.split("-")[1] for file in tmp_path.iterdir()}) == 2
    assert len(list(tmp_path.iterdir())) == 3
    assert threading.active_count() < 20
