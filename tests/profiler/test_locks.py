"""Locks under the profiler tell how long they were waited for and held."""

import asyncio
import functools
import logging
import os
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ddmiddleware.profiling.locks import LockCollector
from ddmiddleware.profiling.samples import Sample
from ddmiddleware.tracing import Settings
from tests.profiler.sampling import quiet_tracer

pytest.importorskip("ddmiddleware.profiling._locks", reason="without a compiler, locks are not profiled")

REAL_LOCK, REAL_RLOCK = type(threading.Lock()), type(threading.RLock())
HELD_S = 0.25


@pytest.fixture
def collector() -> Iterator[LockCollector]:
    collector = LockCollector(Settings({}))
    collector.start()
    yield collector
    collector.stop()
    list(collector.collect())


def hold(take: Any, give: Any, seconds: float = HELD_S) -> threading.Thread:
    """Hold a lock in another thread for some time, from now on."""
    held = threading.Event()

    def run() -> None:
        take()
        held.set()
        time.sleep(seconds)  # what is measured
        give()

    thread = threading.Thread(target=run)
    thread.start()
    held.wait()
    return thread


def waits(samples: list[Sample], function: str) -> list[Sample]:
    return [s for s in samples if "lock-acquire" in s.values and any(name.endswith(function) for name, _, _ in s.stack)]


def test_the_wait_for_a_lock_is_known(collector: LockCollector) -> None:
    lock = threading.Lock()
    thread = hold(lock.acquire, lock.release)
    with quiet_tracer().trace("web.request", resource="GET /locked", span_type="web"):
        begun = time.monotonic_ns()
        with lock:
            waited = time.monotonic_ns() - begun
    thread.join()
    with lock:  # free: nothing to tell
        pass
    (sample,) = waits(list(collector.collect()), "test_the_wait_for_a_lock_is_known")
    assert sample.values["lock-acquire"] == 1
    assert 0.5 * waited <= sample.values["lock-acquire-wait"] <= waited
    assert sample.labels["trace endpoint"] == "GET /locked"
    assert sample.labels["thread name"] == "MainThread"
    line = test_the_wait_for_a_lock_is_known.__code__.co_firstlineno + 1
    assert sample.labels["lock name"] == f"test_locks.py:{line}"


def test_every_kind_of_lock_is_measured(collector: LockCollector) -> None:
    for lock in (threading.Lock(), threading.RLock(), threading.Semaphore(), threading.BoundedSemaphore()):
        thread = hold(lock.acquire, lock.release)
        assert lock.acquire(timeout=5)
        lock.release()
        thread.join()
    condition = threading.Condition()
    thread = hold(condition.acquire, condition.release)
    with condition:
        pass
    thread.join()
    found = waits(list(collector.collect()), "test_every_kind_of_lock_is_measured")
    assert sum(s.values["lock-acquire"] for s in found) == 5
    assert all(s.values["lock-acquire-wait"] > HELD_S * 0.5e9 * s.values["lock-acquire"] for s in found)
    names = {str(s.labels["lock name"]).partition(":")[0] for s in found}
    assert names == {"test_locks.py", "Semaphore", "BoundedSemaphore"}


def test_a_wait_in_vain_is_measured(collector: LockCollector) -> None:
    lock = threading.Lock()
    with lock:
        assert not lock.acquire(timeout=0.02)
    (sample,) = waits(list(collector.collect()), "test_a_wait_in_vain_is_measured")
    assert sample.values["lock-acquire-wait"] >= 0.019e9


@pytest.mark.parametrize("name", ["Lock", "RLock"])
def test_what_was_waited_for_tells_how_long_it_is_held(collector: LockCollector, name: str) -> None:
    lock = getattr(threading, name)()
    thread = hold(lock.acquire, lock.release)
    with lock:
        if name == "RLock":
            with lock:  # an inner release is none
                pass
        time.sleep(0.02)  # what is measured
    thread.join()
    held = [s for s in collector.collect() if "lock-release" in s.values]
    assert [s.values["lock-release"] for s in held] == [1]
    assert held[0].values["lock-release-hold"] >= 0.019e9


def test_many_short_waits_are_summed_up(collector: LockCollector) -> None:
    lock = threading.Lock()

    def fight() -> None:
        for _ in range(3000):
            with lock:
                sum(range(50))

    threads = [threading.Thread(target=fight) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    samples = list(collector.collect())
    assert all(s.values["lock-acquire-wait"] > 0 for s in waits(samples, "fight"))
    assert sum(s.values["lock-acquire"] for s in waits(samples, "fight")) <= 4 * 3000


def test_asyncio(collector: LockCollector) -> None:
    async def user(lock: Any) -> None:
        async with lock:
            await asyncio.sleep(HELD_S)

    async def main() -> None:
        condition = asyncio.Condition()
        for lock in (asyncio.Lock(), asyncio.Semaphore(), asyncio.BoundedSemaphore(), condition):
            assert asyncio.iscoroutinefunction(lock.acquire)
            await asyncio.gather(*(asyncio.create_task(user(lock), name="eater") for _ in range(3)))
            assert not lock.locked()

    collector.collect()  # asyncio may be loaded after the start
    asyncio.run(main())
    found = [s for s in collector.collect() if any(name.endswith("user") for name, _, _ in s.stack)]
    assert sum(s.values["lock-acquire"] for s in found) == 8
    total = sum(s.values["lock-acquire-wait"] for s in found)
    assert 0.9 * 4 * 3 * HELD_S * 1e9 <= total <= 3 * 4 * 3 * HELD_S * 1e9
    assert {s.labels["task name"] for s in found} == {"eater"}
    assert {s.labels["lock name"] for s in found} == {"Lock", "Semaphore", "BoundedSemaphore"}


def test_the_standard_librarys_locks_stay(collector: LockCollector) -> None:
    assert type(queue.Queue().mutex) is REAL_LOCK
    assert type(logging.Handler().lock) is REAL_RLOCK
    assert type(threading.Event()._cond._lock) is REAL_LOCK  # type: ignore[attr-defined]
    assert type(threading.Lock()) is not REAL_LOCK


def test_all_is_put_back() -> None:
    def state() -> list[Any]:
        kinds = (threading.Semaphore, threading.Condition, asyncio.Lock, asyncio.Semaphore)
        return [threading.Lock, threading.RLock, *({**vars(kind)} for kind in kinds)]

    before, collector = state(), LockCollector(Settings({}))
    for _ in range(3):
        collector.start()
        collector.start()
        assert state() != before
        lock, condition = threading.Lock(), threading.Condition()
        collector.stop()
        assert state() == before
    thread = hold(lock.acquire, lock.release, 0.01)
    with lock, condition:  # they do as the real ones
        pass
    thread.join()
    assert list(collector.collect()) == []


def test_who_comes_after_us_stays() -> None:
    collector, real = LockCollector(Settings({})), threading.Lock
    collector.start()
    ours = threading.Lock
    try:
        threading.Lock = lambda: ours()  # type: ignore[assignment, misc]
        theirs = threading.Lock
        collector.stop()
        assert threading.Lock is theirs
        assert type(threading.Lock()) is REAL_LOCK
    finally:
        threading.Lock = real  # type: ignore[misc]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_is_without(collector: LockCollector) -> None:
    lock = threading.Lock()
    lock.acquire()
    child = os.fork()
    if not child:
        try:
            collector.after_fork_in_child()
            lock._at_fork_reinit()  # type: ignore[attr-defined]
            lock.acquire()
            lock.release()
            os._exit(0 if type(threading.Lock()) is REAL_LOCK and list(collector.collect()) == [] else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert type(threading.Lock()) is not REAL_LOCK


def test_another_ones_acquire_of_asyncio_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = asyncio.Lock.acquire, 0

    @functools.wraps(real)
    async def counting(self: asyncio.Lock) -> Any:
        nonlocal calls
        calls += 1
        return await real(self)

    async def main() -> None:
        lock = asyncio.Lock()
        for _ in range(3):
            async with lock:
                assert lock.locked()

    monkeypatch.setattr(asyncio.Lock, "acquire", counting)
    collector = LockCollector(Settings({}))
    collector.start()
    asyncio.run(main())
    collector.stop()
    assert calls == 3
