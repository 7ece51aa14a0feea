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


@pytest.mark.parametrize("order", ORDERS)
def test_what_is_started_under_a_span(order: str, root: Path) -> None:
    code = "\n".join(["import sys", *ORDERS[order]]) + CARRIED
    environ = {**os.environ, "PYTHONPATH": str(root), "DD_TRACE_AGENT_URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
