"""Thread pools, and the loops that use them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from typing import Any

import pytest

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import Context, active, default_tracer
from tests.integrations.likeness import awaited_outcomes, cancelled, outcomes
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


def caused() -> None:
    try:
        {}["missing"]
    except KeyError as error:
        raise OSError(5, "theirs") from error


def exits() -> None:
    raise SystemExit(3)


def busy(pool: ThreadPoolExecutor, use: Callable[[Future[Any]], Any]) -> Any:
    """Return what *use* makes of a job that waits."""
    released = threading.Event()
    jobs = [pool.submit(released.wait) for _ in range(2)]
    try:
        return use(jobs[0])
    finally:
        released.set()
        wait(jobs)


def called_back(future: Future[Any]) -> list[Any]:
    called: list[Any] = []
    wait([future])
    future.add_done_callback(lambda done: called.append((done is future, future.done(), future.cancelled())))
    return called


def shut_down(**options: Any) -> Any:
    pool = ThreadPoolExecutor(1)
    pool.submit(job).result()
    pool.shutdown(**options)
    return pool.submit(job)


def broken() -> Any:
    with ThreadPoolExecutor(1, initializer=caused) as pool:
        return pool.submit(job).result()


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "result": lambda p: p.submit(job, name="x").result(),
    "kinds": lambda p: (type(p.submit), type(p.submit(job)), repr(p.submit)[:40]),
    "map": lambda p: [*p.map(pow, [1, 2], [3, 4])],
    "map that fails": lambda p: [*p.map(lambda n: 1 // n, [1, 0])],
    "map that is late": lambda p: busy(p, lambda _: [*p.map(job, ["x"], timeout=0.01)]),
    "as completed": lambda p: [done.result() for done in as_completed([p.submit(job)])],
    "error": lambda p: p.submit(caused).result(),
    "exit": lambda p: repr(p.submit(exits).exception()),
    "wrong arguments": lambda p: p.submit(job, 1, 2).result(),
    "wrong keyword": lambda p: p.submit(job, nonsense=1).result(),
    "keywords like ours": lambda p: p.submit(dict, fn=1, parent=2, self=3).result(),
    "no function": lambda p: p.submit(),
    "a function by keyword": lambda p: p.submit(fn=job),
    "not callable": lambda p: p.submit(3).result(),
    "timeout": lambda p: busy(p, lambda future: future.result(timeout=0.01)),
    "timeout of an error": lambda p: busy(p, lambda future: future.exception(timeout=0.01)),
    "cancelled": lambda p: busy(p, lambda _: (lambda future: (future.cancel(), future.result()))(p.submit(job))),
    "too late": lambda p: busy(p, lambda future: (future.cancel(), future.cancelled())),
    "called back": lambda p: called_back(p.submit(job)),
    "shut down": lambda _: shut_down(),
    "shut down at once": lambda _: shut_down(wait=False, cancel_futures=True),
    "broken": lambda _: broken(),
}
AWAITED: dict[str, Callable[[Any, Any], Awaitable[Any]]] = {
    "result": lambda loop, p: loop.run_in_executor(p, job, "x"),
    "error": lambda loop, p: loop.run_in_executor(p, caused),
    "wrong arguments": lambda loop, p: loop.run_in_executor(p, job, 1, 2),
    "to thread": lambda _loop, _pool: asyncio.to_thread(caused),
    "timeout": lambda loop, p: waited(loop, p, lambda future: asyncio.wait_for(future, 0.01)),
    "cancelled": lambda loop, p: waited(loop, p, lambda future: cancelled(future)),
    "shut down": lambda loop, _: loop.run_in_executor(shut_down(), job),
}


async def waited(loop: Any, pool: ThreadPoolExecutor, use: Callable[[Any], Any]) -> Any:
    released = threading.Event()
    try:
        return await use(loop.run_in_executor(pool, released.wait))
    finally:
        released.set()


def test_same_results_with_and_without(pool: ThreadPoolExecutor, recorder: Recorder) -> None:
    async def awaited() -> dict[str, Any]:
        return await awaited_outcomes(AWAITED, asyncio.get_running_loop(), pool)

    def found() -> tuple[dict[str, Any], dict[str, Any]]:
        with default_tracer.trace("work") as work:
            result = outcomes(OPERATIONS, pool), asyncio.run(awaited())
            assert active.get() is work
        return result

    unpatch("futures")
    without = found()
    assert {span["parent"] for span in recorder.take() if span["name"] == "job"} == {0}
    patch(futures=True)
    assert found() == without
    assert {span["parent"] for span in recorder.take() if span["name"] == "job"} == {1}
