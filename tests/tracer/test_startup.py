"""What an import and the first spans do to a process: next to nothing."""

from __future__ import annotations

from tests.recording_agent import RecordingAgent
from tests.tracer.processes import run


def test_no_thread_and_no_socket_before_the_first_finished_span(agent: RecordingAgent) -> None:
    script = """
import sys, threading
events = []
sys.addaudithook(lambda name, arguments: events.append(name) if name.startswith(("socket.", "_thread.start")) else None)
from ddmiddleware import tracer
with tracer.trace("a"):
    assert threading.active_count() == 1
    assert tracer.flush()
    assert events == [], events
assert threading.active_count() == 2
tracer.flush()
assert threading.active_count() == 2
"""
    run(script, agent.url)
    assert len(agent.spans) == 1


def test_the_import_is_small(agent: RecordingAgent) -> None:
    script = """
import sys
import ddmiddleware
heavy = {"asyncio", "http", "http.client", "inspect", "logging", "multiprocessing", "socket", "ssl", "urllib.request"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    run(script, agent.url)


def test_switched_off_it_is_silent(agent: RecordingAgent) -> None:
    script = """
import sys, threading
events = []
sys.addaudithook(lambda name, arguments: events.append(name) if name.startswith(("socket.", "_thread.start")) else None)
from ddmiddleware import tracer
with tracer.trace("a"):
    tracer.trace("b").finish()
tracer.flush()
assert (events, threading.active_count()) == ([], 1)
"""
    run(script, agent.url, DD_TRACE_ENABLED="false")
    assert agent.connections == 0


def test_no_signal_handler_is_touched(agent: RecordingAgent) -> None:
    script = """
import signal
before = [signal.getsignal(number) for number in signal.valid_signals()]
from ddmiddleware import tracer
tracer.trace("a").finish()
tracer.flush()
assert before == [signal.getsignal(number) for number in signal.valid_signals()]
"""
    run(script, agent.url)
