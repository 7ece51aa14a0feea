"""A forked child is profiled anew with all settings, or not at all; the parent goes on as if nothing had happened."""

from __future__ import annotations

import sys

import pytest

from tests.profiler.fake_collector import PRELUDE
from tests.profiler.receiver import Receiver
from tests.tracer.processes import run

CHILDREN = """
made = Profiler(tags={"mine": "1"}, env="prod", enable_code_provenance=False)
made.start(profile_children=sys.argv[1] == "yes")
seen = threading.Event()

def work():
    assert made.running == (sys.argv[1] == "yes")
    names = [thread.name for thread in threading.enumerate()]
    assert ("ddmiddleware-profiler" in names) == made.running, names
    if not made.running:
        made.start()  # by hand, as the documentation says
        made.stop()

assert fork(work) == 0
assert made.running
made.stop()
print(os.getpid(), FakeCollector.made[0].calls)
"""


@pytest.mark.parametrize("profile_children", ["yes", "no"])
def test_children(receiver: Receiver, profile_children: str) -> None:
    out = run(PRELUDE + CHILDREN, receiver.url, profile_children)
    pid, calls = out.strip().split(" ", 1)
    assert calls == "['start', 'before', 'parent', 'stop', 'collect']"
    child, parent = receiver.uploads
    assert parent.tags["process_id"] == pid != child.tags["process_id"]
    assert parent.tags["runtime-id"] != child.tags["runtime-id"]
    for upload in (child, parent):
        assert (upload.tags["mine"], upload.tags["env"]) == ("1", "prod")
        assert len(upload.profile.samples) == 2  # the child has sent nothing of the parent's


def test_children_of_children_and_of_multiprocessing(receiver: Receiver) -> None:
    script = """
import multiprocessing
Profiler().start()

def work():
    assert fork(lambda: None) == 0

assert fork(work) == 0
process = multiprocessing.get_context("fork").Process(target=fork, args=(lambda: None,))
process.start()
process.join()
assert process.exitcode == 0
"""
    run(PRELUDE + script, receiver.url)
    assert len({upload.tags["process_id"] for upload in receiver.uploads}) == len(receiver.uploads) == 5


def test_many_forks_while_profiles_are_sent(receiver: Receiver) -> None:
    script = """
import signal
Profiler().start()
over = threading.Event()

def churn():
    while not over.is_set():
        sum(range(1000))

threads = [threading.Thread(target=churn) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(4):
    pids = []
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            deadline = time.monotonic() + 10
            while "collect" not in FakeCollector.made[0].calls[-1:] and time.monotonic() < deadline:
                time.sleep(0.001)
            sys.exit()
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 5
over.set()
for thread in threads:
    thread.join()
"""
    settings = {"DD_PROFILING_UPLOAD_INTERVAL": "0.05", "DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS": "10"}
    run(PRELUDE + script, receiver.url, **settings)
    assert len({upload.tags["process_id"] for upload in receiver.uploads}) == 21


def test_forks_with_every_collector(receiver: Receiver) -> None:
    script = "from tests.profiler.forks_program import main\nmain(3, 4)"
    settings = {"DD_PROFILING_UPLOAD_INTERVAL": "0.2", "DD_PROFILING_HEAP_SAMPLE_SIZE": "50000"}
    assert run(script, receiver.url, **settings).split() == ["12", "12"]
    assert len({upload.tags["process_id"] for upload in receiver.uploads}) == 13
    kinds = {kind for upload in receiver.uploads for _, values, _ in upload.profile.samples for kind in values}
    assert kinds >= {"wall-time", "alloc-space"}


def test_locks_that_another_thread_holds(receiver: Receiver) -> None:
    script = """
made = Profiler()
made.start()
lock = made._recording._lock
os.register_at_fork(before=lambda: threading.Thread(target=module._changing.acquire).start())

def work():
    assert made.running
    made.stop()

assert fork(work) == 0
"""
    run(PRELUDE + script, receiver.url)
    assert len(receiver.uploads) >= 1


MASTER = """
import types
Profiler().start()
arbiter = types.ModuleType("arbiter")
source = '''
def spawn_worker(work):
    return fork(work)
'''
arbiter.fork = fork
exec(compile(source, "/site-packages/gunicorn/arbiter.py", "exec"), arbiter.__dict__)

def work():
    assert module._active.running

for _ in range(2):
    assert arbiter.spawn_worker(work) == 0
assert not module._active.running
assert [thread.name for thread in threading.enumerate()] == ["MainThread"]
assert os.listdir(os.environ["DD_PROFILING_ON_DEMAND_DIR"]) == []
print(os.getpid())
"""


def test_a_master_is_not_profiled(receiver: Receiver, tmp_path: object) -> None:
    pid = run(PRELUDE + MASTER, receiver.url, DD_PROFILING_ON_DEMAND_DIR=f"{tmp_path}/sockets").strip()
    assert len(receiver.uploads) == 2
    assert pid not in {upload.tags["process_id"] for upload in receiver.uploads}


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_no_thread_and_no_descriptor_while_it_forks(receiver: Receiver) -> None:
    script = """
before = len(os.listdir("/proc/self/fd"))
made = Profiler()
made.start()
os.register_at_fork(before=lambda: print(threading.active_count()))

def work():
    made.stop()
    assert len(os.listdir("/proc/self/fd")) <= before, os.listdir("/proc/self/fd")

for _ in range(3):
    assert fork(work) == 0
made.stop()
assert len(os.listdir("/proc/self/fd")) == before
"""
    # What is registered last runs first before a fork: our own callbacks would come after this one.
    script = script.replace("os.register_at_fork", "from ddmiddleware.tracing import at_fork\nat_fork")
    assert run(PRELUDE + script, receiver.url).split() == ["1"] * 3
