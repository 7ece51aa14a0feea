"""Thread pools, and the loops that use them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from ddmiddleware import patch
from ddmiddleware.tracing import Context, active, default_tracer
from tests.integrations.recorder import Recorder


@pytest.fixture(autouse=True)
def _patched() -> None:
    patch(futures=True)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def job(name: str = "job") -> str:
    with default_tracer.trace(name):
        return name


def shown(recorder: Recorder) -> list[tuple[Any, ...]]:
    return [(span["name"], span["trace"], span["parent"], span.get("links")) for span in recorder.take()]


def test_submit(pool: ThreadPoolExecutor, recorder: Recorder) -> None:
    with default_tracer.trace("work") as work:
        assert pool.submit(job).result() == "job"
        assert pool.submit(job, name="other").result() == "other"
        assert active.get() is work
    pool.submit(job).result()
    assert shown(recorder) == [("work", 1, 0, None), ("job", 1, 1, None), ("other", 1, 1, None), ("job", 2, 0, None)]


def test_map(pool: ThreadPoolExecutor, recorder: Recorder) -> None:
    with default_tracer.trace("work"):
        assert [*pool.map(job, ["job"] * 3)] == ["job"] * 3
    assert shown(recorder) == [("work", 1, 0, None), *[("job", 1, 1, None)] * 3]


def test_run_in_executor_and_to_thread(recorder: Recorder) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        with default_tracer.trace("work") as work:
            await loop.run_in_executor(None, job)
            await asyncio.to_thread(job)
            with ThreadPoolExecutor(1) as own:
                await loop.run_in_executor(own, job, "other")
            assert active.get() is work
        await loop.run_in_executor(None, job)

    asyncio.run(run())
    assert shown(recorder) == [
        ("work", 1, 0, None),
        ("job", 1, 1, None),
        ("job", 1, 1, None),
        ("other", 1, 1, None),
        ("job", 2, 0, None),
    ]


def test_a_remote_context_is_carried(pool: ThreadPoolExecutor) -> None:
    remote = Context(trace_id=7, span_id=8, sampling_priority=2)
    active.set(remote)
    found = pool.submit(active.get).result()
    active.set(None)
    assert found is remote


def test_a_parent_that_is_over_is_linked(recorder: Recorder) -> None:
    started = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with default_tracer.trace("work"):
            pool.submit(started.wait)
            late = pool.submit(job)
        started.set()
        late.result()
    assert shown(recorder) == [("work", 1, 0, None), ("job", 2, 0, [1])]


def test_nothing_stays_active_in_the_pools_thread(recorder: Recorder) -> None:
    with ThreadPoolExecutor(1) as pool:
        with default_tracer.trace("work"):
            pool.submit(job).result()
        assert pool.submit(active.get).result() is None
    with ThreadPoolExecutor(1, initializer=lambda: active.set(Context(1, 2))) as pool:
        with default_tracer.trace("work"):
            pool.submit(job).result()
        assert pool.submit(active.get).result() == Context(1, 2)
    recorder.take()


def test_errors(pool: ThreadPoolExecutor, recorder: Recorder) -> None:
    error = ValueError("theirs")

    def fail() -> None:
        raise error

    with default_tracer.trace("work"):
        future: Future[None] = pool.submit(fail)
        assert future.exception() is error
    assert error.__context__ is None
    assert shown(recorder) == [("work", 1, 0, None)]


def test_cancelled_and_shut_down(recorder: Recorder) -> None:
    blocked = threading.Event()
    pool = ThreadPoolExecutor(1)
    with default_tracer.trace("work"):
        pool.submit(blocked.wait)
        waiting = pool.submit(job)
        assert waiting.cancel()
        blocked.set()
        pool.shutdown()
        with pytest.raises(RuntimeError) as caught:
            pool.submit(job)
    assert str(caught.value) == "cannot schedule new futures after shutdown"
    assert shown(recorder) == [("work", 1, 0, None)]


def test_subclasses(recorder: Recorder) -> None:
    class Pool(ThreadPoolExecutor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            return super().submit(fn, *args, **kwargs)

    with Pool(1) as pool, default_tracer.trace("work"):
        assert pool.submit(job, "x").result() == "x"
        assert pool.submit(dict, self=1, fn=2, parent=3).result() == {"self": 1, "fn": 2, "parent": 3}
    assert shown(recorder) == [("work", 1, 0, None), ("x", 1, 1, None)]
