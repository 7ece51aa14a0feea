"""Threads, and asyncio, which needs no patch: its tasks and callbacks take the active span along by themselves."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import Context, active, default_tracer
from tests.integrations.recorder import Recorder


@pytest.fixture(autouse=True)
def _patched() -> None:
    patch(threading=True, futures=True)


def job(name: str = "job") -> None:
    default_tracer.trace(name).finish()


def shown(recorder: Recorder) -> list[tuple[Any, ...]]:
    return [(span["name"], span["trace"], span["parent"], span.get("links")) for span in recorder.take()]


class Worker(threading.Thread):
    def run(self) -> None:
        job("subclass")


def test_threads(recorder: Recorder) -> None:
    with default_tracer.trace("work") as work:
        for thread in (threading.Thread(target=job), Worker(), threading.Timer(0, job, ("timer",))):
            thread.start()
            thread.join()
            assert not [name for name in vars(thread) if "ddmiddleware" in name]
        assert active.get() is work
    after = threading.Thread(target=job, args=("after",))
    after.start()
    after.join()
    assert shown(recorder) == [
        ("work", 1, 0, None),
        ("job", 1, 1, None),
        ("subclass", 1, 1, None),
        ("timer", 1, 1, None),
        ("after", 2, 0, None),
    ]


def test_a_thread_made_before_the_span(recorder: Recorder) -> None:
    """What counts is where it is started."""
    thread = threading.Thread(target=job)
    with default_tracer.trace("work"):
        thread.start()
        thread.join()
    assert shown(recorder) == [("work", 1, 0, None), ("job", 1, 1, None)]


def test_a_thread_that_outlives_its_request(recorder: Recorder) -> None:
    over = threading.Event()
    thread = threading.Thread(target=lambda: (over.wait(), job()))
    with default_tracer.trace("work"):
        thread.start()
    over.set()
    thread.join()
    assert shown(recorder) == [("work", 1, 0, None), ("job", 2, 0, [1])]


def test_a_remote_context(recorder: Recorder) -> None:
    active.set(Context(trace_id=7, span_id=8, sampling_priority=2))
    thread = threading.Thread(target=job)
    thread.start()
    thread.join()
    active.set(None)
    span = recorder.one(name="job")
    assert (span.trace_id, span.parent_id) == (7, 8)
    recorder.take()


def test_the_threads_of_a_pool_carry_nothing(recorder: Recorder) -> None:
    with ThreadPoolExecutor(1) as pool:
        with default_tracer.trace("work"):
            pool.submit(job).result()
        assert pool.submit(active.get).result() is None
    assert shown(recorder) == [("work", 1, 0, None), ("job", 1, 1, None)]


def test_the_threads_of_anyio_carry_nothing(recorder: Recorder) -> None:
    """Each job of theirs comes with the context of who asked for it."""
    import anyio.to_thread

    async def run() -> None:
        with default_tracer.trace("work"):
            await anyio.to_thread.run_sync(job)
            [thread] = [one for one in threading.enumerate() if "AnyIO" in one.name]
            assert not vars(thread).keys() & {"_ddmiddleware_active"}
        await anyio.to_thread.run_sync(job)

    anyio.run(run)
    assert shown(recorder) == [("work", 1, 0, None), ("job", 1, 1, None), ("job", 2, 0, None)]


def test_errors_and_wrong_calls(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    error = ValueError("theirs")
    caught: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda found: caught.append(found.exc_value))

    def fail() -> None:
        raise error

    def outcomes() -> list[str]:
        found = []
        thread = threading.Thread(target=fail)
        for _ in range(2):
            try:
                thread.start()
                thread.join()
            except RuntimeError as refused:
                found.append(str(refused))
        return found

    with default_tracer.trace("work"):
        patched = outcomes()
        unpatch("threading")
        assert outcomes() == patched == ["threads can only be started once"]
    assert caught == [error, error]
    assert error.__context__ is None
    recorder.take()


def test_asyncio(recorder: Recorder) -> None:
    async def child(name: str) -> None:
        job(name)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        called = asyncio.Event()
        with default_tracer.trace("work") as work:
            await asyncio.create_task(child("task"))
            await asyncio.gather(child("gathered"), child("gathered"))
            await asyncio.wait_for(child("waited"), 5)
            loop.call_soon(lambda: (job("callback"), called.set()))
            await called.wait()
            await asyncio.to_thread(job, "to_thread")
            await loop.run_in_executor(None, job, "in executor")
            threadsafe = await asyncio.to_thread(asyncio.run_coroutine_threadsafe, child("threadsafe"), loop)
            await asyncio.wrap_future(threadsafe)
            assert active.get() is work

    asyncio.run(run())
    names = ["task", "gathered", "gathered", "waited", "callback", "to_thread", "in executor", "threadsafe"]
    assert shown(recorder) == [("work", 1, 0, None), *[(name, 1, 1, None) for name in names]]


def test_a_task_that_outlives_its_request(recorder: Recorder) -> None:
    async def late(over: asyncio.Event) -> None:
        await over.wait()
        job("first")
        job("second")

    async def run() -> None:
        over = asyncio.Event()
        with default_tracer.trace("work"):
            task = asyncio.create_task(late(over))
        over.set()
        await task

    asyncio.run(run())
    assert shown(recorder) == [("work", 1, 0, None), ("first", 2, 0, [1]), ("second", 3, 0, [1])]


def test_a_cancelled_task(recorder: Recorder) -> None:
    async def waits() -> None:
        with default_tracer.trace("waits"):
            await asyncio.Event().wait()

    async def run() -> None:
        with default_tracer.trace("work") as work:
            task = asyncio.create_task(waits())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert active.get() is work

    asyncio.run(run())
    assert shown(recorder) == [("work", 1, 0, None), ("waits", 1, 1, None)]


def test_asyncio_has_a_switch_that_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Whose configuration comes from ddtrace names it."""
    patch(asyncio=True)
    assert not caplog.records
