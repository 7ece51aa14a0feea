"""Three endpoints that share the CPU 70/20/10, in several places: ``python -m tests.profiler.truth PLACE SECONDS``.

Prints how many points the profile is off, and how many per cent of the CPU time were charged to no endpoint.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

if __name__ == "__main__" and sys.argv[1] == "gevent":
    try:
        from gevent import monkey
    except ImportError:
        sys.exit(3)
    monkey.patch_all()

from tests.profiler.sampling import by, endpoint_of, quiet_tracer, sampled
from tests.profiler.workloads import PER_MS, error, shares, spin

COST_MS = {"GET /much": 7, "GET /some": 2, "GET /little": 1}
tracer = quiet_tracer()
truth: Counter[str] = Counter()


def step(endpoint: str) -> None:
    before = time.thread_time()
    spin(PER_MS)
    truth[endpoint] += time.thread_time() - before


def request(endpoint: str, pause: Callable[[], object]) -> None:
    """Serve a request that is given its route last of all."""
    with tracer.trace("web.request", span_type="web") as span:
        for _ in range(COST_MS[endpoint]):
            step(endpoint)
            pause()
        span.resource = endpoint


def chosen() -> str:
    return random.choice(list(COST_MS))


def threads(until: float) -> None:
    def serve() -> None:
        while time.monotonic() < until:
            request(chosen(), lambda: time.sleep(0.0005))

    workers = [threading.Thread(target=serve) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def one_thread(until: float) -> None:
    def serve() -> None:
        while time.monotonic() < until:
            request(chosen(), lambda: time.sleep(0.0005))

    worker = threading.Thread(target=serve)
    worker.start()
    worker.join()


async def interleaved(until: float) -> None:
    async def handle(endpoint: str) -> None:
        with tracer.trace("web.request", span_type="web") as span:
            for _ in range(COST_MS[endpoint]):
                step(endpoint)
                await asyncio.sleep(random.random() * 0.02)
            span.resource = endpoint

    async def client() -> None:
        while time.monotonic() < until:
            await asyncio.create_task(handle(chosen()))

    await asyncio.gather(*(client() for _ in range(100)))


def loop(until: float) -> None:
    asyncio.run(interleaved(until))


def uvloop(until: float) -> None:
    try:
        import uvloop
    except ImportError:
        sys.exit(3)
    running = uvloop.new_event_loop()
    running.run_until_complete(interleaved(until))
    running.close()


def gevent(until: float) -> None:
    import gevent

    def serve() -> None:
        while time.monotonic() < until:
            gevent.spawn(request, chosen(), lambda: gevent.sleep(random.random() * 0.02)).join()

    gevent.joinall([gevent.spawn(serve) for _ in range(100)])


def executor(until: float) -> None:
    def job(endpoint: str) -> None:
        for _ in range(COST_MS[endpoint]):
            step(endpoint)

    with ThreadPoolExecutor(4) as pool:
        while time.monotonic() < until:
            endpoint = chosen()
            with tracer.trace("web.request", span_type="web") as span:
                pool.submit(contextvars.copy_context().run, job, endpoint).result()
                span.resource = endpoint


def asgiref(until: float) -> None:
    """Run sync views in threads of an event loop, as Django does under ASGI."""
    try:
        from asgiref.sync import sync_to_async
    except ImportError:
        sys.exit(3)

    async def handle(endpoint: str) -> None:
        with tracer.trace("web.request", span_type="web") as span:
            for _ in range(COST_MS[endpoint]):
                await sync_to_async(step)(endpoint)
            span.resource = endpoint

    async def client() -> None:
        while time.monotonic() < until:
            await handle(chosen())

    async def main() -> None:
        await asyncio.gather(*(client() for _ in range(20)))

    asyncio.run(main())


PLACES: dict[str, Callable[[float], None]] = {
    "threads": threads,
    "one thread": one_thread,
    "asyncio": loop,
    "uvloop": uvloop,
    "gevent": gevent,
    "executor": executor,
    "asgiref": asgiref,
}


def measure(place: str, seconds: float) -> tuple[float, float]:
    """Return how many points the profile of *place* is off, and what share of it, in per cent, is nobody's."""
    truth.clear()
    with sampled("", tracer) as samples:
        PLACES[place](time.monotonic() + seconds)
    seen = by(samples, "cpu-time", endpoint_of)
    nobodys = shares(seen).get("no endpoint", 0.0)
    return error(truth, seen), nobodys


if __name__ == "__main__":
    print(*measure(sys.argv[1], float(sys.argv[2])))
