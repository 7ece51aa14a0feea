"""The stack collector over forks, over the end of the process, and under everything at once."""

import subprocess
import sys

import pytest

FORKS = """
import os, signal, threading, warnings
from ddmiddleware.profiling.stack_collector import StackCollector
from ddmiddleware.tracing import Settings, at_fork

warnings.simplefilter("error")
collector = StackCollector(Settings({}))
at_fork(before=collector.before_fork, in_parent=collector.after_fork_in_parent, in_child=collector.after_fork_in_child)
collector.start()

def work(ticks):
    while collector._sampler.ticks < ticks:
        sum(range(1000))

def child(forks):
    signal.alarm(60)  # a deadlock ends it with a status of its own
    assert not list(collector.collect())  # what the parent saw is the parent's
    collector.start()
    work(2)
    if forks:
        begin(0)
    collector.stop()
    assert list(collector.collect())

def begin(forks):
    pid = os.fork()
    if not pid:
        status = 1
        try:
            child(forks)
            status = 0
        finally:
            os._exit(status)
    return pid

running = set()
for number in range(16):
    running.add(begin(number % 5 == 0))
    if number % 4 == 0:
        list(collector.collect())
    if len(running) >= 8:
        pid, status = os.wait()
        running.remove(pid)
        assert status == 0, status
for _ in running:
    assert os.wait()[1] == 0
collector.stop()
assert list(collector.collect())
print(threading.active_count())
"""

EXIT = """
import atexit, sys, threading
from ddmiddleware.profiling.stack_collector import StackCollector
from ddmiddleware.tracing import Settings

collector = StackCollector(Settings({}))
collector.start()
if sys.argv[1] == "stopped":
    atexit.register(collector.stop)

def work():
    while True:
        sum(range(100))

for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
while collector._sampler.ticks < 3:
    pass
"""


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=90, env={**os.environ, **environ}
    )


def test_children_sample_for_themselves() -> None:
    found = run("-c", FORKS)
    assert (found.returncode, found.stdout) == (0, "1\n"), found.stderr


@pytest.mark.parametrize("how", ["stopped", "left running"])
@pytest.mark.parametrize("_again", range(3))
def test_the_process_ends_as_if_it_were_not_there(how: str, _again: int) -> None:
    found = run("-c", EXIT, how)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("pure", ["", "1"])
def test_everything_at_once(pure: str) -> None:
    found = run("-m", "tests.profiler.stress_program", "3", _DD_PURE_PYTHON=pure)
    assert found.returncode == 0, found.stderr
    assert "samples" in found.stdout


def test_memory_is_not_touched_where_it_should_not_be() -> None:
    found = run("-X", "dev", "-m", "tests.profiler.stress_program", "3", PYTHONMALLOC="debug")
    assert found.returncode == 0, found.stderr
