"""Locks under the profiler are what the real ones are, to everybody who asks."""

import concurrent.futures
import copy
import logging
import pickle
import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ddmiddleware.profiling.locks import LockCollector
from ddmiddleware.tracing import Settings

pytest.importorskip("ddmiddleware.profiling._locks", reason="without a compiler, locks are not profiled")

REAL_LOCK, REAL_RLOCK = type(threading.Lock()), type(threading.RLock())
OLD = {"Lock": threading.Lock(), "RLock": threading.RLock()}


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
