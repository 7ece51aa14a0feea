"""A process ends as without us, whatever the agent does: same status, a second later at most, what was lost is said."""

from __future__ import annotations

import signal
import time

import pytest

from ddmiddleware.testing import BEHAVIOURS, HostileAgent
from tests.recording_agent import RecordingAgent
from tests.tracer.processes import WAIT_S, run, start

# The shutdown's second, and what the interpreter itself needs to end on a busy machine.
LIMIT_S = 1.0 + 0.8
SCRIPT = """
import signal, sys, time
from ddmiddleware import tracer

def work():
    with tracer.trace("a"):
        for _ in range(20):
            tracer.trace("b").finish()

way = sys.argv[1]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
work()
print("working", flush=True)
sys.stdin.readline()
work()
print(time.monotonic(), flush=True)
if way == "exit":
    sys.exit(3)
if way == "error":
    raise LookupError("uncaught")
if way in ("terminated", "interrupted"):
    signal.pause()
"""
STATUS = {"end": 0, "exit": 3, "error": 1, "terminated": 5, "interrupted": -signal.SIGINT}
SIGNALS = {"terminated": signal.SIGTERM, "interrupted": signal.SIGINT}
SHOWS_A_STACK = ("error", "interrupted")
TAKES_ALL = ("closes_idle",)
REFUSES = ("413",)  # which is said when it happens


@pytest.mark.parametrize("way", STATUS)
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_exit(behaviour: str, way: str) -> None:
    with HostileAgent(behaviour) as agent:
        process = start(SCRIPT, agent.url, way)
        assert process.stdin
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "working\n"
        if agent.listens:
            agent.wait_for_requests(1)
        process.stdin.write("\n")
        process.stdin.flush()
        begin = float(process.stdout.readline())
        if way in SIGNALS:
            process.send_signal(SIGNALS[way])
        status = process.wait(WAIT_S)
        took = time.monotonic() - begin
        said = process.stderr.read()
        process.communicate()
    assert status == STATUS[way], said
    assert took < LIMIT_S
    assert said.count("ddmiddleware: ") <= 2, said
    lost = 0 if behaviour in TAKES_ALL + REFUSES else 42
    assert said.count("are lost") == (1 if lost else 0), said
    assert (f"ddmiddleware: {lost} spans are lost: {lost} could not be sent at the end" in said) is bool(lost), said
    assert said.count("Traceback") == (1 if way in SHOWS_A_STACK else 0), said
    if way not in SHOWS_A_STACK:
        assert len(said.splitlines()) <= 2, said


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        ("refused", "cannot send traces to {url}: Connection refused"),
        ("hanging", "{url} did not answer in time"),
        ("500", "cannot send traces to {url}: it answered 500"),
    ],
)
def test_what_a_short_program_loses_is_one_line(behaviour: str, why: str) -> None:
    with HostileAgent(behaviour) as agent:
        process = start("from ddmiddleware import tracer\ntracer.trace('a').finish()", agent.url)
        _, said = process.communicate(timeout=WAIT_S)
        why = why.format(url=agent.url)
    assert (process.returncode, said) == (
        0,
        f"ddmiddleware: 1 spans are lost: 1 could not be sent at the end ({why})\n",
    )


@pytest.mark.parametrize("way", ["end", "error"])
@pytest.mark.parametrize("kind", ["a name that leads nowhere", "a handshake that is not answered"])
def test_no_connection(kind: str, way: str) -> None:
    with HostileAgent("hanging") as agent:
        url = agent.url.replace("http:", "https:") if "handshake" in kind else "http://agent.invalid:8126"
        process = start(SCRIPT.replace("sys.stdin.readline()", ""), url, way)
        out, said = process.communicate(timeout=WAIT_S)
        took = time.monotonic() - float(out.splitlines()[-1])
    assert process.returncode == STATUS[way], said
    assert took < LIMIT_S
    assert said.count("ddmiddleware: 42 spans are lost: 42 could not be sent at the end (") == 1, said
    assert said.count("ddmiddleware: ") <= 2, said


def test_what_is_finished_last_is_sent() -> None:
    with RecordingAgent() as agent:
        run(SCRIPT.replace("sys.stdin.readline()", ""), agent.url, "end", DD_TRACE_WRITER_INTERVAL_SECONDS="60")
        assert len(agent.spans) == 42


@pytest.mark.parametrize("registered", ["before", "after"])
def test_spans_of_exit_handlers_are_sent(registered: str) -> None:
    register = "atexit.register(lambda: tracer.trace('at exit').finish())\n"
    load = "from ddmiddleware import tracer\n"
    with RecordingAgent() as agent:
        run("import atexit\n" + load + register, agent.url)
        run("import atexit\n" + load + "tracer.trace('a').finish()\n" + register, agent.url)
        assert [span["name"] for span in agent.spans] == ["at exit", "a", "at exit"]


def test_an_explicit_shutdown_costs_nothing_again() -> None:
    script = """
from ddmiddleware import tracer
import time
tracer.trace("a").finish()
assert tracer.shutdown()
tracer.trace("b").finish()
print(time.monotonic(), flush=True)
"""
    with RecordingAgent() as agent:
        begin = float(run(script, agent.url))
        assert time.monotonic() - begin < 0.8
        assert [span["name"] for span in agent.spans] == ["a", "b"]


def test_a_slow_agent_has_the_time_that_was_set() -> None:
    script = (
        "import time\nfrom ddmiddleware import tracer\ntracer.trace('a').finish()\nprint(time.monotonic(), flush=True)"
    )
    with HostileAgent("hanging") as agent:
        process = start(script, agent.url, DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS="0")
        out, _ = process.communicate(timeout=WAIT_S)
        assert time.monotonic() - float(out) < 0.8
        assert process.returncode == 0
