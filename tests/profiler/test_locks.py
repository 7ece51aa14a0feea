"""Locks under the profiler do as the real ones, and tell how long they were waited for."""

import asyncio
import concurrent.futures
import copy
import logging
import os
import pickle
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ddmiddleware.profiling.locks import LockCollector
from ddmiddleware.profiling.samples import Sample
from ddmiddleware.tracing import Settings, default_tracer

pytest.importorskip("ddmiddleware.profiling._locks", reason="without a compiler, locks are not profiled")

REAL_LOCK, REAL_RLOCK = type(threading.Lock()), type(threading.RLock())
OLD = {"Lock": threading.Lock(), "RLock": threading.RLock()}
HELD_S = 0.05


@pytest.fixture
def collector() -> Iterator[LockCollector]:
    collector = LockCollector(Settings({}))
    collector.start()
    yield collector
    collector.stop()
    list(collector.collect())


@pytest.fixture(params=["with", "without"])
def either(request: pytest.FixtureRequest) -> bool:
    """The test holds with the profiler and without it."""
    if request.param == "with":
        request.getfixturevalue("collector")
    return bool(request.param == "with")


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


def error(call: Callable[[], object]) -> tuple[type, str] | None:
    try:
        call()
    except Exception as raised:
        return type(raised), str(raised).split(" at 0x")[0].replace("_thread.", "").replace("'lock'", "'Lock'")
    return None


@pytest.mark.parametrize("name", ["Lock", "RLock"])
def test_a_lock_is_what_it_was(either: bool, name: str) -> None:
    make = getattr(threading, name)
    lock, real = make(), {"Lock": REAL_LOCK, "RLock": REAL_RLOCK}[name]
    other = threading.RLock() if name == "Lock" else threading.Lock()
    assert (type(lock) is not real) == either
    assert isinstance(lock, real)
    assert isinstance(lock, type(make()))
    assert isinstance(OLD[name], type(lock))
    assert issubclass(real, type(lock))
    assert not isinstance(other, type(lock))
    assert not isinstance(lock, type(other))
    assert not isinstance(1, type(lock))
    assert repr(lock).startswith(f"<unlocked {real.__module__}.{real.__qualname__} object")
    assert weakref.ref(lock)() is lock
    assert lock == lock
    assert len({lock, other, make()}) == 3
    assert bool(lock)
    assert {name for name in dir(OLD[name]) if not hasattr(lock, name)} == set()
    for name in ("_is_owned", "_release_save", "_acquire_restore", "_recursion_count", "locked", "new"):
        assert hasattr(lock, name) == hasattr(OLD["RLock" if "RLock" in repr(lock) else "Lock"], name)


@pytest.mark.parametrize("name", ["Lock", "RLock"])
@pytest.mark.parametrize(
    "call",
    [
        lambda lock: lock.release(),
        lambda lock: lock.acquire(False, 1),
        lambda lock: lock.acquire(True, -2),
        lambda lock: lock.acquire(True, 1e30),
        lambda lock: lock.acquire(timeout="1"),
        lambda lock: lock.acquire(1, 2, 3),
        lambda lock: lock.acquire(wait=True),
        lambda lock: lock.acquire(True, blocking=True),
        lambda lock: setattr(lock, "colour", "red"),
        lambda lock: lock.colour,
        lambda lock: pickle.dumps(lock),
        copy.copy,
        copy.deepcopy,
        lambda lock: type("Mine", (type(lock),), {})().acquire(),
        lambda lock: lock.acquire(True, 0.001),
        lambda lock: lock.acquire(timeout=1),
        lambda lock: lock.acquire(1),
        lambda lock: lock.acquire(blocking=False),
    ],
)
def test_errors_are_those_of_the_real_one(collector: LockCollector, name: str, call: Any) -> None:
    real = {"Lock": collector._replaced[0][3], "RLock": collector._replaced[1][3]}[name]
    found, expected = error(lambda: call(getattr(threading, name)())), error(lambda: call(real()))
    assert (found and found[0]) == (expected and expected[0])
    assert found == expected


def test_the_names_are_used_as_before(either: bool) -> None:
    assert callable(threading.Lock)
    assert callable(threading.RLock)
    if either:
        assert threading.Lock | None
        assert pickle.loads(pickle.dumps(threading.Lock)) is threading.Lock

    class Holder:
        make_lock = threading.Lock

        def __init__(self) -> None:
            self.lock = self.make_lock()

    with Holder().lock:
        pass


def test_taking_and_giving(either: bool) -> None:
    lock = threading.Lock()
    assert lock.acquire() is True
    assert lock.locked()
    assert lock.acquire(False) is False
    assert lock.acquire(blocking=False) is False
    assert lock.acquire(timeout=0.001) is False
    assert lock.acquire(True, 0.001) is False
    lock.release()
    with lock as entered:
        assert entered is True
        assert lock.locked()
    assert not lock.locked()
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert not lock.locked()
    recursive = threading.RLock()
    with recursive, recursive:
        assert recursive._is_owned()  # type: ignore[attr-defined]  # what Condition asks
        recursive.release()
        recursive.acquire()
    assert not recursive._is_owned()  # type: ignore[attr-defined]


def test_conditions_events_and_queues(either: bool) -> None:
    for condition in (threading.Condition(), threading.Condition(threading.Lock()), threading.Condition(OLD["RLock"])):
        seen: list[int] = []

        def work(condition: threading.Condition = condition, seen: list[int] = seen) -> None:
            with condition:
                condition.wait_for(lambda: bool(seen), 5)
                seen.append(2)
                condition.notify_all()

        thread = threading.Thread(target=work)
        thread.start()
        with condition:
            seen.append(1)
            condition.notify_all()
            assert condition.wait_for(lambda seen=seen: len(seen) == 2, 5)  # type: ignore[misc]  # mypy has no type for it
        thread.join()
    pipe: queue.Queue[int] = queue.Queue()
    pipe.put(1)
    assert pipe.get() == 1
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert list(pool.map(abs, [-1, -2])) == [1, 2]
    with threading.Semaphore(2), threading.BoundedSemaphore():
        pass
    assert threading.Semaphore(0).acquire(timeout=0.001) is False
    assert threading.Semaphore(0).acquire(False) is False
    logging.getLogger(__name__).debug("handlers have locks")


def test_the_wait_for_a_lock_is_known(collector: LockCollector) -> None:
    lock = threading.Lock()
    thread = hold(lock.acquire, lock.release)
    with default_tracer.trace("web.request", resource="GET /locked", span_type="web"):
        begun = time.monotonic_ns()
        with lock:
            waited = time.monotonic_ns() - begun
    thread.join()
    with lock:  # free: nothing to tell
        pass
    (sample,) = waits(list(collector.collect()), "test_the_wait_for_a_lock_is_known")
    assert sample.values["lock-acquire"] == 1
    assert 0.8 * waited <= sample.values["lock-acquire-wait"] <= waited
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
