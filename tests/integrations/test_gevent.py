"""gevent, in processes of its own: monkey-patched before us, after us, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PATCH = "from ddmiddleware import patch_all, unpatch; patch_all()"
MONKEY = "from gevent import monkey; monkey.patch_all()"
ORDERS = {
    "ours first": [PATCH, MONKEY],
    "gevent's first": [MONKEY, PATCH],
    "no monkey": [PATCH, "import gevent"],
    "gevent imported before": ["import gevent.pool, gevent.threadpool", PATCH],
}
CARRIED = """
import contextvars, ssl, threading
from concurrent.futures import ThreadPoolExecutor
import gevent, gevent.local
from gevent.pool import Group, Pool
from gevent.threadpool import ThreadPool
from gevent.threadpool import ThreadPoolExecutor as NativeExecutor
from ddmiddleware.tracing import active, default_tracer, guarded
guarded.raises = True
default_tracer.export = lambda chunk, trace: None
current = default_tracer.current_span
theirs = contextvars.ContextVar("theirs", default=0)
theirs.set(1)
kept = gevent.local.local()
kept.value = "main"
pool = ThreadPoolExecutor(1)
native = ThreadPool(1)
found = []

class Own(gevent.Greenlet):
    def _run(self):
        found.append(current())

def thread(of=threading.Thread, **options):
    started = of(**options)
    started.start()
    started.join()

with default_tracer.trace("work") as work:
    found += [
        gevent.spawn(current).get(),
        gevent.spawn_later(0, current).get(),
        gevent.Greenlet.spawn(current).get(),
        gevent.spawn(lambda: gevent.spawn(current).get()).get(),
        *Pool(2).map(lambda _: current(), [1, 2]),
        *Pool(2).imap_unordered(lambda _: current(), [1]),
        Group().apply(current),
        native.spawn(current).get(),
        native.apply(current),
        *native.map(lambda _: current(), [1]),
        NativeExecutor(1).submit(current).result(),
        gevent.get_hub().threadpool.spawn(current).get(),
        pool.submit(current).result(),
    ]
    own = Own()
    own.start()
    own.join()
    thread(target=lambda: found.append(current()))
    assert all(span is work for span in found), found
    assert len(found) == 16
    # Greenlets that take turns do not see each other's spans.
    def turn(name):
        with default_tracer.trace(name) as span:
            assert span.parent_id == work.span_id
            for _ in range(3):
                gevent.sleep(0)
                assert current() is span
    gevent.joinall([gevent.spawn(turn, str(number)) for number in range(5)], raise_error=True)
    assert current() is work
    # What is theirs stays as gevent has it.
    assert gevent.spawn(theirs.get).get() == 0
    assert gevent.spawn(hasattr, kept, "value").get() is False
    late = gevent.Greenlet(lambda: default_tracer.trace("late"))
    late.start_later(0.01)
assert late.get().parent_id is None
assert pool.submit(active.get).result() is None
assert native.spawn(active.get).get() is None
assert gevent.spawn(active.get).get() is None
unpatch()
with default_tracer.trace("work"):
    assert gevent.spawn(current).get() is None
    assert native.spawn(current).get() is None
pool.shutdown()
print("ok")
"""
LIKENESS = """
import gevent
from gevent import monkey
from gevent.pool import Group, Pool
from gevent.threadpool import ThreadPool, ThreadPoolExecutor
from ddmiddleware.tracing import active, default_tracer, guarded
from tests.integrations.likeness import outcomes, raised
guarded.raises = True
default_tracer.export = lambda chunk, trace: None
gevent.get_hub().exception_stream = None  # which tells of greenlets that fail

def caused():
    try:
        {}["missing"]
    except KeyError as error:
        raise OSError(5, "theirs") from error

def stopped(use):
    greenlet = gevent.spawn(gevent.sleep, 10)
    gevent.sleep(0)
    try:
        return use(greenlet), greenlet.dead, greenlet.successful(), raised(greenlet.exception)
    finally:
        greenlet.kill()

def linked():
    found = []
    greenlet = gevent.Greenlet(caused)
    greenlet.link(lambda ended: found.append(ended is greenlet))
    greenlet.link_exception(lambda ended: found.append(raised(ended.exception)))
    greenlet.start()
    gevent.wait([greenlet])
    gevent.sleep(0)
    return found

def busy(use):
    pool, gate = ThreadPool(1), monkey.get_original("_thread", "allocate_lock")()
    gate.acquire()
    job = pool.spawn(lambda: (gate.acquire(), gate.release()))
    try:
        return use(job)
    finally:
        gate.release()
        job.get()
        pool.kill()

def full():
    pool = Pool(1)
    pool.spawn(gevent.sleep, 0.01)
    return pool.full(), pool.wait_available(), pool.join()

def killed():
    group = Group()
    greenlet = group.spawn(gevent.sleep, 10)
    gevent.sleep(0)
    return group.kill(), len(group), greenlet.dead, raised(greenlet.exception)

class Own(gevent.Greenlet):
    def __init__(self, number):
        super().__init__()
        self.number = number
    def _run(self):
        return 1 // self.number

def started(greenlet):
    greenlet.start()
    return greenlet.get()

OPERATIONS = {
    "value": lambda: gevent.spawn(pow, 2, 3).get(),
    "keywords": lambda: gevent.spawn(dict, self=1, func=2, parent=3).get(),
    "later": lambda: gevent.spawn_later(0, pow, 2, 3).get(),
    "subclass": lambda: started(Own(1)),
    "subclass that fails": lambda: started(Own(0)),
    "error": lambda: gevent.spawn(caused).get(),
    "wrong arguments": lambda: gevent.spawn(pow).get(),
    "not callable": lambda: gevent.spawn(3).get(),
    "nothing": lambda: gevent.spawn().get(),
    "linked": linked,
    "killed": lambda: stopped(lambda greenlet: greenlet.kill()),
    "killed by an error": lambda: stopped(lambda greenlet: greenlet.kill(ValueError("x"))),
    "timeout": lambda: stopped(lambda greenlet: greenlet.get(timeout=0.01)),
    "timeout within": lambda: gevent.with_timeout(0.01, gevent.sleep, 10, timeout_value="late"),
    "started twice": lambda: (lambda greenlet: (greenlet.start(), greenlet.start(), greenlet.get()))(Own(1)),
    "pool": lambda: Pool(2).map(abs, [-1, 2]),
    "pool that fails": lambda: Pool(2).map(lambda n: 1 // n, [1, 0]),
    "unordered": lambda: sorted(Pool(2).imap_unordered(abs, [-1, 2])),
    "full": full,
    "group": lambda: Group().apply(caused),
    "group that is killed": killed,
    "all": lambda: [each.value for each in gevent.joinall([gevent.spawn(abs, -1), gevent.spawn(caused)])],
    "all or error": lambda: gevent.joinall([gevent.spawn(caused)], raise_error=True),
    "thread": lambda: ThreadPool(1).apply(pow, (2, 3)),
    "thread with keywords": lambda: ThreadPool(1).spawn(dict, parent=1, job=2).get(),
    "thread that fails": lambda: ThreadPool(1).apply(caused),
    "thread of nothing": lambda: ThreadPool(1).spawn(),
    "thread not callable": lambda: ThreadPool(1).spawn(3).get(),
    "threads": lambda: ThreadPool(2).map(abs, [-1, 2]),
    "thread that is late": lambda: busy(lambda job: job.get(timeout=0.01)),
    "executor": lambda: ThreadPoolExecutor(1).submit(pow, 2, 3).result(),
    "executor that fails": lambda: ThreadPoolExecutor(1).submit(caused).result(),
}

def found():
    with default_tracer.trace("work") as work:
        # gevent's timeouts are no Exception, for nobody shall catch them by accident.
        result = outcomes({name: lambda run=run: timed(run) for name, run in OPERATIONS.items()})
        assert active.get() is work
    return result

def timed(run):
    try:
        return run()
    except (gevent.Timeout, gevent.GreenletExit) as error:
        return raised(error)

unpatch()
without = found()
patch_all()
with_us = found()
for name, result in without.items():
    assert with_us[name] == result, (name, result, with_us[name])
assert sum(isinstance(result, tuple) for result in without.values()) > 12, without
unpatch()
print("ok")
"""


@pytest.mark.parametrize("code", [CARRIED, LIKENESS], ids=["what is started under a span", "with and without us"])
@pytest.mark.parametrize("order", ORDERS)
def test_greenlets(order: str, code: str, root: Path) -> None:
    code = "\n".join(["import sys", *ORDERS[order]]) + code
    environ = {**os.environ, "PYTHONPATH": str(root), "DD_TRACE_AGENT_URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
