"""Forked processes: every span is sent once, by the process that finished it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from shutil import which

import msgpack
import pytest

from tests.recording_agent import RecordingAgent, plain
from tests.tracer import processes
from tests.tracer.expected import child, root
from tests.tracer.processes import ROOT, environment

# Ends a child as a script ends: with its exit handlers.
CHILD = """
import os, sys, threading
from ddmiddleware import tracer

def fork(work):
    pid = os.fork()
    if pid == 0:
        work()
        sys.exit()
    return pid

def wait(*pids):
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0
"""

# On a busy machine a process of a few milliseconds does not send within the usual 0.8 seconds: it has to import first.
PATIENT = {"DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS": "20"}


def run(script: str, url: str, *arguments: str, **environ: str) -> str:
    """Run Python code that must succeed, with time to send what it has."""
    return processes.run(script, url, *arguments, **{**PATIENT, **environ})


def test_children_under_load(agent: RecordingAgent) -> None:
    script = """
stop = threading.Event()

def load():
    while not stop.wait(0.001):
        with tracer.trace("load"):
            tracer.trace("inner").finish()

def work():
    for _ in range(100):
        tracer.trace("child").finish()

tracer.trace("before").finish()
threads = [threading.Thread(target=load) for _ in range(4)]
for thread in threads:
    thread.start()
pids = [fork(work) for _ in range(8)]
stop.set()
for thread in threads:
    thread.join()
wait(*pids)
tracer.trace("after").finish()
"""
    run(CHILD + script, agent.url)
    names = Counter(span["name"] for span in agent.spans)
    assert (names["before"], names["child"], names["after"]) == (1, 800, 1)
    assert names["load"] == names["inner"]
    assert max(Counter(span["span_id"] for span in agent.spans).values()) == 1
    roots = [span for span in agent.spans if not span["parent_id"]]
    processes = {(span["meta"]["runtime-id"], span["metrics"]["process_id"]) for span in roots}
    assert len(processes) == len({runtime for runtime, _ in processes}) == len({pid for _, pid in processes}) == 9


def test_what_the_parent_had_queued_or_open_is_sent_by_the_parent(agent: RecordingAgent) -> None:
    script = """
tracer.trace("queued").finish()
aside = tracer.start_span("aside")
with tracer.trace("open"):
    tracer.trace("finished inside").finish()

    def work():
        aside.finish()
        tracer.trace("child").finish()
        tracer.start_span("of aside", child_of=aside).finish()

    wait(fork(work))
    tracer.trace("finished later").finish()
aside.finish()
"""
    run(CHILD + script, agent.url, DD_TRACE_WRITER_INTERVAL_SECONDS="60")
    assert plain(agent.spans) == [
        root("queued"),
        root("aside", 2, 2),
        root("open", 3, 3),
        child("finished inside", 4, 3, 3),
        root("child", 5, 3, parent_id=3),
        root("of aside", 6, 2, parent_id=2),
        child("finished later", 7, 3, 3),
    ]


def test_a_child_of_a_child(agent: RecordingAgent) -> None:
    script = """
def inner():
    tracer.trace("grandchild").finish()

def work():
    tracer.trace("child").finish()
    wait(fork(inner))

tracer.trace("parent").finish()
wait(fork(work))
"""
    run(CHILD + script, agent.url)
    assert sorted(span["name"] for span in agent.spans) == ["child", "grandchild", "parent"]


def test_ids_of_children_differ(agent: RecordingAgent) -> None:
    script = """
tracer.trace("before").finish()

def work():
    os.write(1, b"".join(b"%d\\n" % tracer.start_span("one").span_id for _ in range(50)))

wait(*[fork(work) for _ in range(8)])
work()
"""
    ids = run(CHILD + script, agent.url).split()
    assert len(ids) == len(set(ids)) == 450


def test_a_fork_in_the_middle_of_our_import(agent: RecordingAgent) -> None:
    """The child would wait for ever for a module that a thread of the parent was importing."""
    script = """
begun = threading.Event()

class Slow:
    def find_spec(self, name, path, target=None):
        if name == "http.client":
            begun.set()
            threading.Event().wait(0.2)

sys.meta_path.insert(0, Slow())

def work():
    import http.client
    tracer.trace("child").finish()

tracer.trace("parent").finish()
assert begun.wait(5)
wait(fork(work))
"""
    run(CHILD + script, agent.url, DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS="5")
    assert sorted(span["name"] for span in agent.spans) == ["child", "parent"]


def test_our_locks_do_not_block_a_child(agent: RecordingAgent) -> None:
    """Every lock that our objects hold is taken by another thread while the process forks."""
    script = """
import gc
tracer.trace("parent").finish()
assert tracer.flush()
worker = tracer._worker
locks = [worker._starting, worker._bell._silence]

def hold():
    for lock in locks:
        lock.acquire(blocking=False)

os.register_at_fork(before=lambda: (thread := threading.Thread(target=hold), thread.start(), thread.join()))

def work():
    tracer.trace("child").finish()
    assert tracer.flush()

wait(fork(work))
"""
    run(CHILD + script, agent.url)
    assert sorted(span["name"] for span in agent.spans) == ["child", "parent"]


@pytest.mark.parametrize("number", [signal.SIGALRM, signal.SIGPROF])
def test_a_signal_handler_that_traces(agent: RecordingAgent, number: signal.Signals) -> None:
    script = """
import faulthandler, signal
faulthandler.dump_traceback_later(20, exit=True)
number, seen = int(sys.argv[1]), 0

def handler(*_):
    global seen
    seen += 1
    with tracer.trace("handler"):
        pass

signal.signal(number, handler)
signal.setitimer(signal.ITIMER_REAL if number == signal.SIGALRM else signal.ITIMER_PROF, 0.0005, 0.0005)
total = 0
while seen < 200:
    tracer.trace("main").finish()
    total += 1
signal.setitimer(signal.ITIMER_REAL, 0)
signal.setitimer(signal.ITIMER_PROF, 0)
print(total + seen)
"""
    settings = {"DD_TRACE_WRITER_MAX_SPANS": "10000000", "DD_TRACE_WRITER_INTERVAL_SECONDS": "0"}
    count = run(CHILD + script, agent.url, str(int(number)), **settings)
    assert len(agent.spans) == int(count)


def test_no_warning_where_threads_and_forks_do_not_mix(agent: RecordingAgent, tmp_path: Path) -> None:
    """Python 3.12 and later warn of a fork in a process with threads: ours is not there yet, or rests meanwhile."""
    found = [which(name) for name in ("python3.12", "python3.13", "python3.14")]
    runs = [python for python in found if python and not subprocess.run([python, "-V"], capture_output=True).returncode]
    if not runs:
        pytest.skip("no Python 3.12 or later is here")
    for package in (msgpack,):
        source = Path(package.__file__).parent
        (tmp_path / source.name).symlink_to(source)  # its pure Python half runs on any version
    script = """
with tracer.trace("parent"):
    assert len(os.listdir("/proc/self/task")) == 1 if os.path.isdir("/proc/self/task") else True
    wait(fork(lambda: tracer.trace("child").finish()))
for _ in range(5):
    tracer.trace("before").finish()
    assert threading.active_count() == 2
    wait(fork(lambda: tracer.trace("child").finish()))
assert tracer.flush()
wait(fork(lambda: None))  # its thread is idle
"""
    command = [runs[0], "-W", "error::DeprecationWarning", "-c", CHILD + script]
    environ = environment(agent.url, **PATIENT) | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path)))}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(span["name"] for span in agent.spans) == ["before"] * 5 + ["child"] * 6 + ["parent"]
