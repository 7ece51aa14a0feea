"""Threads, and asyncio, which needs no patch: its tasks and callbacks take the active span along by themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import Context, active, default_tracer, guarded
from tests.integrations.likeness import outcomes, raised
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


class Failing(threading.Thread):
    def run(self) -> None:
        raise LookupError("theirs") from KeyError("first")


class Unmade(threading.Thread):
    def __init__(self) -> None:
        pass


def exits() -> None:
    raise SystemExit(3)


def ran(thread: Any) -> Any:
    """Return how a thread ends."""
    states = [thread.is_alive()]
    thread.start()
    thread.join(10)
    return states, thread.is_alive(), thread.daemon, thread.name.partition("-")[0], type(thread.ident)


def busy(use: Callable[[Any], Any]) -> Any:
    """Return what *use* makes of a thread that waits."""
    released = threading.Event()
    thread = threading.Thread(target=released.wait)
    thread.start()
    try:
        return use(thread)
    finally:
        released.set()
        thread.join()


def told(use: Callable[[list[Any]], Any]) -> Any:
    """Return what *use* has a thread tell."""
    found: list[Any] = []
    ran(use(found))
    return found


current = threading.current_thread
THREADS: dict[str, Callable[[], Any]] = {
    "ends": lambda: ran(threading.Thread(target=job, name="mine")),
    "keywords": lambda: told(lambda found: threading.Thread(target=found.append, args=(1,), daemon=True)),
    "no target": lambda: ran(threading.Thread()),
    "a subclass": lambda: ran(Worker()),
    "a timer": lambda: ran(threading.Timer(0, job)),
    "an error": lambda: ran(Failing()),
    "wrong arguments": lambda: ran(threading.Thread(target=job, args=(1, 2))),
    "not callable": lambda: ran(threading.Thread(target=3)),  # type: ignore[arg-type]  # on purpose
    "exit": lambda: ran(threading.Thread(target=exits)),
    "itself": lambda: told(lambda found: threading.Thread(target=lambda: found.append(current().name), name="mine")),
    "joins itself": lambda: ran(threading.Thread(target=lambda: current().join())),
    "attributes": lambda: told(lambda found: threading.Thread(target=lambda: found.extend(vars(current())))),
    "timeout": lambda: busy(lambda thread: (thread.join(0.01), thread.is_alive())),
    "twice": lambda: busy(lambda thread: thread.start()),
    "made a daemon late": lambda: busy(lambda thread: setattr(thread, "daemon", True)),
    "joined before": lambda: threading.Thread(target=job).join(),
    "not made": lambda: Unmade().start(),
    "run by hand": lambda: threading.Thread(target=job).run(),
    "an argument too many": lambda: threading.Thread(target=job).start(1),  # type: ignore[call-arg]  # on purpose
}


def test_same_results_with_and_without(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "raises", False)  # a call with one argument too many cannot be observed
    uncaught: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda failed: uncaught.append(raised(failed.exc_value)))

    def found() -> tuple[dict[str, Any], list[Any]]:
        uncaught.clear()
        with default_tracer.trace("work") as work:
            result = outcomes(THREADS), [*uncaught]
            assert active.get() is work
        return result

    unpatch("threading")
    without = found()
    assert len(without[1]) == 5
    recorder.take()
    patch(threading=True)
    assert found() == without
    assert {span["parent"] for span in recorder.take() if span["name"] in ("job", "subclass")} == {1}


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
