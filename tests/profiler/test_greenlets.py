"""Greenlets that wait are seen as tasks are: where, for whom, by which name, and for how long."""

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest

from tests.profiler.sampling import has_extension
from tests.servers_real.servers import RUN
from tests.tracer.processes import environment

# Not imported here, where threads would have greenlets from then on.
pytestmark = pytest.mark.skipif(find_spec("gevent") is None, reason="gevent is not installed")

# In a process of its own, for gevent patches the standard library.
PROGRAM = """
import json, sys
from gevent import monkey
monkey.patch_all()
import gevent, time
from gevent.event import Event
from tests.profiler.sampling import quiet_tracer, sampled
from tests.profiler.workloads import PER_MS, spin

tracer, over = quiet_tracer(), Event()

def inner():
    over.wait()

def waiting(number):
    with tracer.trace("web.request", resource=f"GET /{number}", span_type="web"):
        inner()

class Strange(gevent.Greenlet):
    @property
    def gr_frame(self):
        raise AssertionError("code of the program's")

class Unhashable(gevent.Greenlet):
    __hash__ = None

with sampled(sys.argv[1], tracer) as samples:
    start = time.monotonic_ns()
    spawned = [gevent.spawn(waiting, number) for number in range(100)]
    for number, greenlet in enumerate(spawned):
        greenlet.name = f"waits {number}"
    nameless = gevent.spawn(inner)
    later = gevent.spawn_later(60, over.wait)
    Unhashable.spawn(inner)
    if sys.argv[1] == "native":
        Strange.spawn(inner)
    gevent.sleep(0)
    spin(500 * PER_MS)
    gevent.sleep(0.1)
    elapsed = time.monotonic_ns() - start
    over.set()
    gevent.joinall(spawned)

json.dump({
    "elapsed": elapsed,
    "named": {f"waits {number}": id(greenlet) for number, greenlet in enumerate(spawned)},
    "later": id(later),
    "samples": [(sample.stack, sample.values, sample.labels) for sample in samples],
}, sys.stdout)
"""


@pytest.mark.parametrize("kind", ["native", "python"])
def test_those_that_wait(kind: str) -> None:
    if kind == "native" and not has_extension():
        pytest.skip("the sampler in C is not built: a C compiler, Linux and CPython 3.10 to 3.13 are needed")
    found = subprocess.run([sys.executable, "-c", PROGRAM, kind], capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stderr) == (0, "")
    told = json.loads(found.stdout)
    suspended = [each for each in told["samples"] if each[2].get("task state") == "suspended"]
    named = [each for each in suspended if each[2]["task name"].startswith("waits")]
    for stack, _, labels in named:
        names = [function.rpartition(".")[2] for function, _, _ in stack]
        assert names[names.index("inner") :] == ["inner", "waiting"]
        assert labels["task id"] == told["named"][labels["task name"]]
        assert labels["trace endpoint"] == "GET /" + labels["task name"].split()[1]
        assert "thread id" not in labels
    # 50 of them are looked at a time, and stand for all.
    waited = sum(values["wall-time"] for _, values, _ in named)
    assert 0 < waited / 100 < 1.7 * told["elapsed"]
    others: list[dict[str, Any]] = [labels for _, _, labels in suspended if not labels["task name"].startswith("waits")]
    classes = {labels["task name"].rpartition(".")[2] for labels in others}
    if kind == "native":  # that in Python is a greenlet itself here, and seldom gets its turn
        assert 0.3 * told["elapsed"] < waited / 100
        assert classes == {"Greenlet", "Strange"}
    assert told["later"] not in {labels["task id"] for labels in others}  # it has not begun
    assert all("trace endpoint" not in labels for labels in others)


def test_gevent_may_come_after_the_profiler() -> None:
    code = "import gevent; from ddmiddleware.profiling.greenlets import spawned; print(gevent.spawn(int) in spawned)"
    command = [RUN, "--profiling", sys.executable, "-c", code]
    environ = environment("http://127.0.0.1:1", DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS="0")
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ)
    assert (found.returncode, found.stdout) == (0, "True\n"), found.stderr
