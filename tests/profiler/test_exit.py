"""The last profile goes out when the process ends, and no agent delays that end for longer than the one deadline."""

from __future__ import annotations

import signal
import time

import pytest

from ddmiddleware.testing import BEHAVIOURS, HostileAgent
from tests.profiler.fake_collector import PRELUDE
from tests.profiler.receiver import Receiver
from tests.tracer.processes import WAIT_S, run, start

# As in the tracer's test: the shutdown's second for both of them, and what the interpreter needs on a busy machine.
LIMIT_S = 1.0 + 0.8
SCRIPT = """
import signal
from ddmiddleware import tracer
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
Profiler().start()
tracer.trace("a").finish()
print("working", flush=True)
sys.stdin.readline()
tracer.trace("b").finish()
print(time.monotonic(), flush=True)
if sys.argv[1] == "terminated":
    signal.pause()
sys.exit(3)
"""


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_a_hostile_agent(behaviour: str) -> None:
    with HostileAgent(behaviour) as agent:
        settings = {"DD_PROFILING_UPLOAD_INTERVAL": "0.05", "DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS": "0.8"}
        process = start(PRELUDE + SCRIPT, agent.url, "exit", **settings)
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "working\n"
        process.stdin.write("\n")
        process.stdin.flush()
        asked_at = float(process.stdout.readline())
        assert process.wait(WAIT_S) == 3
        ended_at = time.monotonic()
        assert process.stderr
        said = process.stderr.read()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()
    assert ended_at - asked_at < LIMIT_S
    assert "Traceback" not in said
    assert said.count("profiles are lost") <= 1
    assert said.count("when it is back") <= 2  # one of profiles, one of spans


@pytest.mark.parametrize("way", ["exit", "terminated"])
def test_the_last_profile(receiver: Receiver, way: str) -> None:
    process = start(PRELUDE + SCRIPT, receiver.url, way)
    assert process.stdout
    assert process.stdout.readline() == "working\n"
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()
    process.stdout.readline()
    if way == "terminated":
        process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=WAIT_S)
    assert (process.returncode, said) == (5 if way == "terminated" else 3, "")
    (upload,) = receiver.uploads
    assert len(upload.profile.samples) == 2


def test_not_on_exit(receiver: Receiver) -> None:
    run(PRELUDE + "Profiler().start(stop_on_exit=False)", receiver.url)
    assert receiver.uploads == []


def test_a_stop_that_hangs_does_not_delay_the_exit() -> None:
    script = """
made = Profiler()
made.start()
threading.Thread(target=made.stop, daemon=True).start()
while made.running:
    time.sleep(0.001)
print(time.monotonic(), flush=True)
"""
    with HostileAgent("hanging") as agent:
        asked_at = float(run(PRELUDE + script, agent.url, DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS="0.8"))
        assert time.monotonic() - asked_at < LIMIT_S
