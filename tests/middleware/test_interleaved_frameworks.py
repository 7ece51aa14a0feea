"""As test_interleaved.py, on frameworks that serve or cancel in a way of their own."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ddmiddleware
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.recorder import Recorder
from tests.middleware.loops import Clients, Use, Views, with_aiohttp, with_django, with_quart, with_tornado

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:quart")
FRAMEWORKS: dict[str, Callable[[Views, Use], Any]] = {
    "django": with_django,
    "quart": with_quart,
    "aiohttp": with_aiohttp,
    "tornado": with_tornado,
}


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    """The name of a framework, patched."""
    name: str = request.param
    ddmiddleware.patch(**{name: True})
    return name


@pytest.fixture(autouse=True)
def _no_log_record(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.INFO)
    yield
    assert caplog.records == []


def requests_of(spans: list[dict[str, Any]], framework: str) -> list[dict[str, Any]]:
    return [each for each in spans if each["name"] == f"{framework}.request"]


async def finished(recorder: Recorder, framework: str, count: int) -> list[dict[str, Any]]:
    """Wait until *count* requests have ended: a server may do that after the last byte is out."""
    found: list[dict[str, Any]] = []
    while len(requests_of(found, framework)) < count:
        await asyncio.sleep(0)
        found = recorder.snapshot()
    recorder.clear()
    return found


def test_interleaved_requests(recorder: Recorder, framework: str) -> None:
    """Each waits on the others in a random order, in its view, in a task of its own and on a thread."""
    count = 60
    gates: dict[int, asyncio.Event] = {}
    all_here = asyncio.Event()

    async def view(number: int) -> None:
        with default_tracer.trace(f"view {number}"):
            gates[number] = asyncio.Event()
            if len(gates) == count:
                all_here.set()
            await gates[number].wait()
            inner = asyncio.create_task(step(number))
            await asyncio.to_thread(lambda: default_tracer.trace(f"thread {number}").finish())
            await inner

    async def step(number: int) -> None:
        with default_tracer.trace(f"task {number}"):
            await asyncio.sleep(0)

    async def use(clients: Clients) -> list[dict[str, Any]]:
        asked = [asyncio.ensure_future(clients.ask(f"/requests/{number}")) for number in range(count)]
        await all_here.wait()
        order = list(gates.values())
        random.Random(3).shuffle(order)
        for gate in order:
            gate.set()
            await asyncio.sleep(0)
        await asyncio.gather(*asked)
        assert active.get() is None
        return await finished(recorder, framework, count)

    found = FRAMEWORKS[framework]({"requests": view}, use)
    spans = dict(enumerate(found, 1))
    for each in found:
        kind, _, number = each["name"].partition(" ")
        above = spans.get(each["parent"])
        assert "links" not in each
        if kind == "view":
            assert above
            assert above["tags"]["http.url"].endswith(f"/requests/{number}")
        elif kind in ("task", "thread"):
            assert above
            assert above["name"] == f"view {number}"
        else:
            assert (each["name"], each["parent"]) == (f"{framework}.request", 0)
    assert set(Counter(each["trace"] for each in found).values()) == {4}
    assert len(found) == 4 * count


def test_a_worker_that_a_request_started(recorder: Recorder, framework: str) -> None:
    """What it does for later requests does not join the first one's trace, and nothing grows."""
    queue: asyncio.Queue[asyncio.Event] = asyncio.Queue()
    workers: list[asyncio.Task[None]] = []

    async def work() -> None:
        while True:
            done = await queue.get()
            with default_tracer.trace("job"):
                default_tracer.trace("query").finish()
            done.set()

    async def view(_number: int) -> None:
        if not workers:
            workers.append(asyncio.create_task(work()))
        done = asyncio.Event()
        queue.put_nowait(done)
        await done.wait()

    async def use(clients: Clients) -> tuple[list[dict[str, Any]], list[int]]:
        found: list[dict[str, Any]] = []
        sizes = []
        for number in range(300):
            await clients.ask(f"/ask/{number}")
            if number in (49, 99, 299):
                found = found or await finished(recorder, framework, 50)
                recorder.clear()
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
        workers[0].cancel()
        return found, sizes

    tracemalloc.start()
    try:
        found, (_, early, late) = FRAMEWORKS[framework]({"ask": view}, use)
    finally:
        tracemalloc.stop()
    jobs = [each for each in found if each["name"] == "job"]
    assert [each["trace"] for each in jobs].count(jobs[0]["trace"]) == 1
    assert all(each["parent"] == 0 and len(each["links"]) == 1 for each in jobs[1:])
    assert len(jobs) == 50
    assert max(Counter(each["trace"] for each in found).values()) == 3
    assert late - early < 60_000, (early, late)


def test_a_task_that_outlives_its_request(recorder: Recorder, framework: str) -> None:
    over = asyncio.Event()
    kept: list[asyncio.Task[None]] = []

    async def later() -> None:
        with default_tracer.trace("early"):
            pass
        await over.wait()
        with default_tracer.trace("late"):
            default_tracer.trace("below").finish()

    async def view(_number: int) -> None:
        kept.append(asyncio.create_task(later()))
        await asyncio.sleep(0)

    async def use(clients: Clients) -> list[dict[str, Any]]:
        await clients.ask("/start/1")
        found = await finished(recorder, framework, 1)
        over.set()
        await kept[0]
        return [*found, *recorder.take()]

    found = FRAMEWORKS[framework]({"start": view}, use)
    request, early, late, below = [(each["name"], each["trace"], each["parent"], each.get("links")) for each in found]
    assert (request, early) == ((f"{framework}.request", 1, 0, None), ("early", 1, 1, None))
    assert late[0] == "late"
    assert late[2] == 0
    assert late[3] is not None
    assert below[:2] == ("below", late[1])


def test_clients_that_leave(recorder: Recorder, framework: str) -> None:
    """What serves them is cancelled; each is a request of its own, no error, and nothing of it is kept."""
    begun: list[asyncio.Event] = []

    async def wait(_number: int) -> None:
        with default_tracer.trace("waiting"):
            begun[-1].set()
            await asyncio.Event().wait()

    async def use(clients: Clients) -> tuple[list[dict[str, Any]], list[int]]:
        found: list[dict[str, Any]] = []
        sizes = []
        for number in range(120):
            begun[:] = [asyncio.Event()]
            await clients.leave(f"/wait/{number}", begun[0])
            spans = await finished(recorder, framework, 1)
            assert [each["trace"] for each in spans] == [1, 1]
            if number < 60:
                found += spans
            if number in (60, 119):
                del spans
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
        return found, sizes

    tracemalloc.start()
    try:
        found, (early, late) = FRAMEWORKS[framework]({"wait": wait}, use)
    finally:
        tracemalloc.stop()
    assert late - early < 60_000, (early, late)
    requests = requests_of(found, framework)
    assert len(requests) == 60
    assert {(each["error"], each["parent"], each["tags"].get("http.disconnected")) for each in requests} == {
        (0, 0, "true")
    }
    assert all("wait/" in each["tags"]["http.route"] for each in requests)
