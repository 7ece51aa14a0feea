"""Metrics of the process and of ourselves, as a real socket receives them."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator

import pytest

from ddmiddleware.runtime import RuntimeMetrics
from ddmiddleware.tracing import Tracer, loop_meter
from ddmiddleware.tracing.runtime_metrics import Pauses
from ddmiddleware.tracing.runtime_metrics import RuntimeMetrics as Reporter
from tests.recording_agent import RecordingAgent
from tests.tracer.conftest import MakeTracer
from tests.tracer.metrics_server import Line, MetricsServer
from tests.tracer.processes import run, start

LAST = "runtime.python.cpu.percent"
NAMES = {
    *(f"runtime.python.gc.{what}.gen{number}" for what in ("count", "collections") for number in range(3)),
    *("runtime.python.gc.pause.time", "runtime.python.gc.pause.max"),
    *("runtime.python.thread_count", "runtime.python.mem.rss"),
    *("runtime.python.cpu.time.sys", "runtime.python.cpu.time.user", LAST),
    *("runtime.python.cpu.ctx_switch.voluntary", "runtime.python.cpu.ctx_switch.involuntary"),
}
ON = {"DD_RUNTIME_METRICS_ENABLED": "true", "DD_RUNTIME_METRICS_INTERVAL_SECONDS": "0.05"}


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    with MetricsServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _nothing_measured() -> Iterator[None]:
    yield
    assert not loop_meter.wanted
    assert nothing_reports()


def nothing_reports() -> bool:
    """Return whether the garbage collector is left alone; hypothesis listens to it too."""
    return Reporter.reporting is None and not [each for each in gc.callbacks if isinstance(each, Pauses)]


class Collected:
    """Keeps what the reporter hands to its client."""

    def __init__(self) -> None:
        self.reporter = Reporter(self)  # type: ignore[arg-type]  # all that it calls is here
        self.lines: list[tuple[str, float]] = []

    def distribution(self, name: str, value: float) -> None:
        self.lines.append((name, value))

    def report(self) -> dict[str, float]:
        self.lines.clear()
        self.reporter.report()
        return {name.removeprefix("runtime.python."): value for name, value in self.lines}


@pytest.fixture
def collected() -> Iterator[Collected]:
    collected = Collected()
    assert collected.reporter.start()
    yield collected
    collected.reporter.stop()


def test_names(collected: Collected) -> None:
    collected.report()
    assert {name for name, _ in collected.lines} == NAMES
    assert len(collected.lines) == len(NAMES)


def test_cpu(collected: Collected) -> None:
    before, until = os.times(), time.process_time() + 0.1
    collected.report()
    while time.process_time() < until:
        pass
    after = os.times()
    figures = collected.report()
    spent = after.user + after.system - before.user - before.system
    assert 0.05 <= figures["cpu.time.user"] + figures["cpu.time.sys"] <= spent + 0.1
    assert 0 < figures["cpu.percent"] <= 1000
    assert collected.report()["cpu.time.user"] < 0.05


def test_threads_and_memory(collected: Collected) -> None:
    threads = collected.report()["thread_count"]
    stop = threading.Event()
    more = threading.Thread(target=stop.wait)
    more.start()
    ballast = bytearray(os.urandom(1) * (64 << 20))
    figures = collected.report()
    stop.set()
    more.join()
    assert figures["thread_count"] == threads + 1
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert 0.5 * resident < figures["mem.rss"] < 1.5 * resident
    assert figures["mem.rss"] > len(ballast)


def test_voluntary_switches(collected: Collected) -> None:
    collected.report()
    ping, pong = threading.Lock(), threading.Lock()
    ping.acquire()
    pong.acquire()

    def answer() -> None:
        for _ in range(50):
            ping.acquire()
            pong.release()

    other = threading.Thread(target=answer)
    other.start()
    for _ in range(50):
        ping.release()
        pong.acquire()
    other.join()
    assert collected.report()["cpu.ctx_switch.voluntary"] >= 50


def test_garbage_collection(collected: Collected) -> None:
    class Slow:
        """Takes its time to go."""

        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            until = time.perf_counter() + 0.05
            while time.perf_counter() < until:
                pass

    gc.collect()
    collected.report()
    Slow()
    gc.collect()
    gc.collect(0)
    figures = collected.report()
    assert figures["gc.pause.max"] >= 50_000_000
    assert figures["gc.pause.time"] >= figures["gc.pause.max"]
    assert figures["gc.collections.gen2"] >= 1
    assert figures["gc.collections.gen0"] >= 1
    gc.disable()
    try:
        collected.report()
        figures = collected.report()
        assert (figures["gc.pause.max"], figures["gc.pause.time"], figures["gc.collections.gen2"]) == (0, 0, 0)
    finally:
        gc.enable()


def test_two_reporters_do_not_count_twice(collected: Collected) -> None:
    other = Collected()
    assert not other.reporter.start()
    other.reporter.stop()
    assert Reporter.reporting is collected.reporter


def check(lines: list[Line], service: str = "shop") -> None:
    assert {line.kind for line in lines} == {"d"}
    assert all(f"service:{service}" in line.tags and "lang:python" in line.tags for line in lines)


def test_the_first_span_begins(agent: RecordingAgent, make_tracer: MakeTracer, server: MetricsServer) -> None:
    before = threading.active_count()
    tracer = make_tracer(agent.url, DD_DOGSTATSD_URL=server.url, DD_ENV="test", **ON)
    assert threading.active_count() == before
    assert nothing_reports()
    tracer.trace("first").finish()
    lines = server.until(LAST)
    check(lines)
    assert {line.name for line in lines} >= NAMES
    assert all("env:test" in line.tags for line in lines)
    assert tracer.shutdown()


def test_enable_and_disable(agent: RecordingAgent, make_tracer: MakeTracer, server: MetricsServer) -> None:
    tracer = make_tracer(agent.url)
    RuntimeMetrics.enable(tracer, server.url, 0.02)
    check(server.until(LAST))
    check(server.until(LAST))  # again and again
    RuntimeMetrics.disable(tracer)
    assert nothing_reports()
    RuntimeMetrics.enable(tracer)  # where it sent to before
    check(server.until(LAST))
    tracer.trace("span").finish()
    assert tracer.flush()
    assert len(agent.spans) == 1
    RuntimeMetrics.enable(tracer, server.url)
    assert tracer.shutdown()


def test_nothing_is_enabled_where_tracing_is_off(
    agent: RecordingAgent, make_tracer: MakeTracer, server: MetricsServer
) -> None:
    before = threading.active_count()
    tracer = make_tracer(agent.url, DD_TRACE_ENABLED="false", DD_DOGSTATSD_URL=server.url, **ON)
    RuntimeMetrics.enable(tracer)
    assert threading.active_count() == before


def test_a_forked_child_reports_its_own(agent: RecordingAgent, server: MetricsServer) -> None:
    script = """
import gc, os, sys
from ddmiddleware import tracer
from ddmiddleware.runtime import RuntimeMetrics

RuntimeMetrics.enable()
assert tracer.flush()  # it has begun
assert len(gc.callbacks) == 1
ballast = bytearray(os.urandom(1) * (200 << 20))
read, write = os.pipe()
if os.fork() == 0:
    assert gc.callbacks == []
    del ballast
    tracer.trace("child").finish()
    os.read(read, 1)
    sys.exit()
assert len(gc.callbacks) == 1
sys.stdin.readline()
os.write(write, b"x")
assert os.wait()[1] == 0
"""
    environ = {"DD_DOGSTATSD_URL": server.url, "DD_RUNTIME_METRICS_RUNTIME_ID_ENABLED": "true", **ON}
    environ |= {"DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS": "5"}
    process = start(script, agent.url, **environ)
    memory: dict[str, float] = {}
    while len(memory) < 2 or max(memory.values()) < 200 << 20:
        for line in server.until("runtime.python.mem.rss"):
            if line.name == "runtime.python.mem.rss":
                memory[next(tag for tag in line.tags if tag.startswith("runtime-id:"))] = line.value
    out, err = process.communicate("\n", timeout=30)
    assert (process.returncode, out, err) == (0, "", "")
    assert len(memory) == 2
    assert min(memory.values()) < 200 << 20 < max(memory.values())


def test_a_process_that_only_enables_metrics_exits_at_once(agent: RecordingAgent, server: MetricsServer) -> None:
    script = "from ddmiddleware.runtime import RuntimeMetrics\nRuntimeMetrics.enable()"
    run(script, agent.url, DD_DOGSTATSD_URL=server.url)
    assert agent.requests == []


def test_our_health(make_tracer: MakeTracer, agent: RecordingAgent, server: MetricsServer) -> None:
    environ = {"DD_TRACE_HEALTH_METRICS_ENABLED": "true", "DD_RUNTIME_METRICS_INTERVAL_SECONDS": "0.05"}
    agent.answers += [(200, b"{}"), (400, b"no")]
    tracer: Tracer = make_tracer(agent.url, DD_DOGSTATSD_URL=server.url, DD_TRACE_WRITER_MAX_SPANS="3", **environ)
    with tracer.trace("root"):
        tracer.trace("child").finish()
    assert tracer.flush()
    tracer.trace("refused").finish()
    assert not tracer.flush()
    with tracer.trace("too large"):
        for _ in range(5):
            tracer.trace("child").finish()
    totals: dict[tuple[str, tuple[str, ...]], float] = {}
    while ("datadog.tracer.buffer.dropped.traces", ("reason:full",)) not in totals:
        for line in server.datagram():
            check([line])
            key = line.name, tuple(tag for tag in line.tags if tag.startswith("reason:"))
            totals[key] = totals.get(key, 0) + line.value
    sent, refused = (len(request.body) for request in agent.requests)
    assert totals == {
        ("datadog.tracer.writer.accepted.traces", ()): 2,
        ("datadog.tracer.buffer.accepted.traces", ()): 2,
        ("datadog.tracer.buffer.accepted.spans", ()): 3,
        ("datadog.tracer.buffer.dropped.traces", ("reason:full",)): 1,
        ("datadog.tracer.http.requests", ()): 2,
        ("datadog.tracer.http.errors", ()): 1,
        ("datadog.tracer.http.sent.traces", ()): 1,
        ("datadog.tracer.http.sent.bytes", ()): sent,
        ("datadog.tracer.http.dropped.traces", ()): 1,
        ("datadog.tracer.http.dropped.bytes", ()): refused,
    }
