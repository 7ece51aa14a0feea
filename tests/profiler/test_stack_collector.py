"""The stack collector sees what runs, for whom, and how long, whichever sampler it has."""

import asyncio
import sys
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from ddmiddleware.profiling import native_sampler, tasks
from ddmiddleware.profiling.native_sampler import NativeSampler
from ddmiddleware.profiling.stack_collector import StackCollector
from ddmiddleware.tracing import Settings
from tests.profiler.sampling import by, endpoint_of, function_of, has_extension, quiet_tracer, sampled, total
from tests.profiler.workloads import PER_MS, spin


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() <= before


def test_a_sample_has_all_labels(kind: str) -> None:
    tracer = quiet_tracer()
    with sampled(kind, tracer) as samples, tracer.trace("web.request", span_type="web") as span:
        spin(300 * PER_MS)
        span.resource = "GET /late"
    (labels,) = {tuple(sorted(each.labels.items())) for each in samples if function_of(each, {"spin"})}
    thread = threading.current_thread()
    assert dict(labels) == {
        "thread id": thread.ident,
        "thread native id": thread.native_id,
        "thread name": thread.name,
        "span id": span.span_id,
        "local root span id": span.span_id,
        "trace type": "web",
        "trace endpoint": "GET /late",
    }


def test_time_is_conserved(kind: str) -> None:
    ready, over = threading.Event(), threading.Event()

    def idle() -> None:
        ready.set()
        over.wait()

    def busy() -> None:
        spin(600 * PER_MS)

    sleeper = threading.Thread(target=idle)
    sleeper.start()
    ready.wait()
    with sampled(kind) as samples:
        start, cpu = time.monotonic_ns(), time.process_time_ns()
        threads = [threading.Thread(target=busy) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        elapsed, used = time.monotonic_ns() - start, time.process_time_ns() - cpu
    over.set()
    sleeper.join()
    assert total(samples, "wall-time") <= 1.1 * elapsed * (threading.active_count() + 3)
    # Two threads begin and end meanwhile: each may be charged up to a period more or less than it used. Before 3.12 a
    # tick may lose the race for the GIL to the other thread, a few times in a row.
    period_ns = 75_000_000 if sys.version_info >= (3, 12) else 150_000_000
    assert abs(total(samples, "cpu-time") - used) < 0.05 * used + 2 * period_ns
    assert all(value > 0 for sample in samples for value in sample.values.values())
    assert by(samples, "cpu-time", lambda sample: function_of(sample, {"idle"}))["idle"] <= 0.05 * used
    assert by(samples, "wall-time", lambda sample: function_of(sample, {"idle"}))["idle"] > 0.8 * elapsed


def test_a_task_has_its_name_and_the_suspended_ones_too(kind: str) -> None:
    tracer = quiet_tracer()

    async def inner() -> None:
        await asyncio.sleep(30)

    async def waiting(number: int) -> None:
        with tracer.trace("web.request", resource=f"GET /{number}", span_type="web"):
            await inner()

    async def main() -> None:
        tasks = [asyncio.create_task(waiting(number), name=f"waits {number}") for number in range(100)]
        await asyncio.sleep(0)
        spin(300 * PER_MS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def named() -> None:
        await asyncio.create_task(main(), name="the main one")

    with sampled(kind, tracer) as samples:
        start = time.monotonic_ns()
        asyncio.run(named())
        elapsed = time.monotonic_ns() - start
    assert {each.labels.get("task name") for each in samples if function_of(each, {"spin"})} == {"the main one"}
    suspended = [each for each in samples if each.labels.get("task state") == "suspended"]
    waits = [each for each in suspended if str(each.labels["task name"]).startswith("waits")]
    assert {tuple(name.rpartition(".")[2] for name, _, _ in each.stack) for each in waits} == {
        ("sleep", "inner", "waiting")
    }
    for each in waits:
        assert each.labels["trace endpoint"] == "GET /" + str(each.labels["task name"]).split()[1]
    # 50 of them are looked at a time, and stand for all.
    assert 0.3 * elapsed < total(waits, "wall-time") / 100 < 1.7 * elapsed


def test_what_waited_while_nobody_looked_is_not_charged(kind: str) -> None:
    async def waits() -> None:
        await asyncio.sleep(30)

    async def main() -> None:
        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        with sampled(kind):
            spin(30 * PER_MS)
        spin(600 * PER_MS)
        begun = time.monotonic_ns()
        with sampled(kind) as samples:
            spin(200 * PER_MS)
        elapsed = time.monotonic_ns() - begun
        task.cancel()
        waited = [each for each in samples if "task state" in each.labels]
        assert total(waited, "wall-time") <= 1.1 * elapsed

    asyncio.run(main())


def test_tasks_that_asyncio_shows_by_functions_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of Python 3.14, which that in C is not built for."""
    tracer = quiet_tracer()

    async def waiting() -> None:
        with tracer.trace("web.request", resource="GET /waits", span_type="web"):
            await asyncio.sleep(30)

    async def main() -> None:
        task = asyncio.create_task(waiting(), name="waits")
        with tracer.trace("web.request", resource="GET /spins", span_type="web"):
            await asyncio.sleep(0)
            everything, current = asyncio.all_tasks(), asyncio.current_task()
            monkeypatch.setattr(tasks, "_IN_SETS", False)
            monkeypatch.setattr(asyncio.tasks, "all_tasks", lambda loop: everything)
            monkeypatch.setattr(asyncio.tasks, "current_task", lambda loop: current)
            monkeypatch.setattr(asyncio.tasks, "_current_tasks", {})
            for name in ("_all_tasks", "_scheduled_tasks"):
                monkeypatch.setattr(asyncio.tasks, name, weakref.WeakSet(), raising=False)
            spin(300 * PER_MS)
            monkeypatch.undo()
        task.cancel()

    async def named() -> None:
        await asyncio.create_task(main(), name="spins")

    with sampled("python", tracer) as samples:
        asyncio.run(named())
    found = {
        (each.labels["task name"], each.labels["trace endpoint"], each.labels.get("task state", "runs"))
        for each in samples
        if function_of(each, {"spin", "waiting"})
    }
    assert found == {("spins", "GET /spins", "runs"), ("waits", "GET /waits", "suspended")}


def test_many_threads_are_looked_at_in_turn() -> None:
    over, number = threading.Event(), 150
    begun = threading.Semaphore(0)

    def idle() -> None:
        begun.release()
        over.wait()

    threads = [threading.Thread(target=idle, name=f"idle {index}") for index in range(number)]
    for thread in threads:
        thread.start()
        begun.acquire()
    with sampled() as samples:
        start = time.monotonic_ns()
        spin(400 * PER_MS)
        elapsed = time.monotonic_ns() - start
    over.set()
    for thread in threads:
        thread.join()
    seen = by(samples, "wall-time", lambda sample: function_of(sample, {"idle"}))["idle"]
    assert 0.5 * number * elapsed < seen < 1.1 * number * elapsed


def test_the_stack_has_a_cap(kind: str) -> None:
    def deep(depth: int) -> int:
        return spin(100 * PER_MS) if depth == 0 else deep(depth - 1)

    with sampled(kind, DD_PROFILING_MAX_FRAMES="7") as samples:
        deep(50)
    assert {len(each.stack) for each in samples if function_of(each, {"spin"})} == {7}


def test_endpoints_may_be_left_out() -> None:
    tracer = quiet_tracer()
    off = {"DD_PROFILING_ENDPOINT_COLLECTION_ENABLED": "false"}
    with sampled("", tracer, **off) as samples, tracer.trace("web.request", resource="GET /", span_type="web"):
        spin(100 * PER_MS)
    assert {endpoint_of(each) for each in samples} - {None} == {"no endpoint"}


def test_it_starts_again_and_keeps_what_it_saw(kind: str) -> None:
    with sampled(kind):
        pass
    collector = StackCollector(Settings({}), quiet_tracer())
    for _ in range(3):
        collector.start()
        collector.start()
        spin(60 * PER_MS)
        collector.stop()
        collector.stop()
        assert any(function_of(each, {"spin"}) for each in collector.collect())
        assert not any(function_of(each, {"spin"}) for each in collector.collect())


@pytest.mark.skipif(not has_extension(), reason="the sampler in C was not built")
def test_the_profile_says_where_the_sampler_is_biased() -> None:
    bias = {"sampler_bias": "other_threads"} if sys.version_info < (3, 12) else {}
    assert StackCollector(Settings({})).tags() == {"sampler": "native", **bias}


def test_the_python_sampler_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def counts(self) -> dict[str, int]:
            return {"ticks": 0}

        def __getattr__(self, name: str) -> object:
            return lambda *args: None

    monkeypatch.setattr(native_sampler, "_TEST_S", 0)
    monkeypatch.setattr(NativeSampler, "_tested", False)
    collector = StackCollector(Settings({}), quiet_tracer())
    collector._sampler = NativeSampler(Settings({}), Broken())  # type: ignore[arg-type]  # that is the point
    collector.start()
    assert collector.tags() == {"sampler": "python"}
    collector.stop()
    monkeypatch.setenv("_DD_PURE_PYTHON", "1")
    assert StackCollector(Settings({})).tags() == {"sampler": "python"}


@pytest.mark.skipif(sys.platform != "linux", reason="the sampler in C is for Linux")
def test_a_thread_keeps_its_name_after_its_end() -> None:
    with sampled() as samples:
        for _ in range(5):
            thread = threading.Thread(target=spin, args=(40 * PER_MS,), name="short-lived")
            thread.start()
            thread.join()
    assert {each.labels.get("thread name") for each in samples if function_of(each, {"spin"})} == {"short-lived"}
