"""Exceptions are counted once per raise, by type and by where they were raised."""

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from ddmiddleware.profiling.exceptions import ExceptionCollector
from ddmiddleware.tracing import Settings
from tests.profiler.sampling import quiet_tracer

needs_monitoring = pytest.mark.skipif(sys.version_info < (3, 12), reason="there is no sys.monitoring before 3.12")
ALL = {"DD_PROFILING_EXCEPTION_SAMPLING_INTERVAL": "1"}


def made(**settings: str) -> ExceptionCollector:
    return ExceptionCollector(Settings({**ALL, **settings}))


@pytest.fixture
def collector() -> Iterator[ExceptionCollector]:
    collector = made()
    collector.start()
    yield collector
    collector.stop()


def seen(collector: ExceptionCollector) -> Counter[tuple[str, str]]:
    """How many of each type were raised in which function."""
    collector.stop()
    found: Counter[tuple[str, str]] = Counter()
    for sample in (s for s in collector.collect() if s.stack[0][1] == __file__):  # pytest raises some too
        found[str(sample.labels["exception type"]), sample.stack[0][0]] += sample.values["exception-samples"]
    return found


def bake(kind: type[BaseException]) -> None:
    raise kind("burnt")


def deeper(level: int, kind: type[BaseException]) -> None:
    try:
        if level:
            deeper(level - 1, kind)
        else:
            bake(kind)
    finally:
        level += 1


@needs_monitoring
def test_once_per_raise_however_far_it_goes(collector: ExceptionCollector) -> None:
    for _ in range(10):
        with pytest.raises(ValueError, match="burnt"):
            deeper(20, ValueError)
    with contextlib.suppress(KeyError):
        bake(KeyError)
    assert seen(collector) == {("builtins.ValueError", "bake"): 10, ("builtins.KeyError", "bake"): 1}


@needs_monitoring
def test_what_is_raised_again_is_not_new(collector: ExceptionCollector) -> None:
    def again() -> None:
        try:
            bake(OSError)
        except OSError as error:
            try:
                raise
            except OSError:
                raise error from None

    with pytest.raises(OSError, match="burnt"):
        again()
    assert seen(collector) == {("builtins.OSError", "bake"): 1}


@needs_monitoring
def test_errors_of_functions_in_c(collector: ExceptionCollector) -> None:
    def look_up() -> None:
        try:
            {}["cake"]
        except KeyError as error:
            raise LookupError from error

    with pytest.raises(LookupError):
        look_up()
    name = "test_errors_of_functions_in_c.<locals>.look_up"
    assert seen(collector) == {("builtins.KeyError", name): 1, ("builtins.LookupError", name): 1}


@needs_monitoring
def test_the_end_of_an_iteration_is_no_error(collector: ExceptionCollector) -> None:
    class Cakes:
        def __iter__(self) -> "Cakes":
            return self

        def __next__(self) -> int:
            raise StopIteration

    assert list(Cakes()) == []
    for _ in Cakes():
        pass
    generator = (number for number in (1, 2))
    next(generator)
    generator.close()
    assert seen(collector) == {}


@needs_monitoring
def test_sampling_is_right_on_average() -> None:
    collector = made(DD_PROFILING_EXCEPTION_SAMPLING_INTERVAL="10")
    collector.start()
    for _ in range(20_000):
        with contextlib.suppress(ValueError):
            bake(ValueError)
    assert 15_000 < seen(collector)["builtins.ValueError", "bake"] < 25_000


@needs_monitoring
def test_it_knows_the_request_and_on_wish_the_message() -> None:
    collector = made(DD_PROFILING_EXCEPTION_COLLECT_MESSAGE="true")
    collector.start()
    with (
        quiet_tracer().trace("web.request", resource="GET /burnt", span_type="web"),
        pytest.raises(ValueError, match="burnt"),
    ):
        bake(ValueError)
    collector.stop()
    (sample,) = [s for s in collector.collect() if s.stack[0][1] == __file__]
    assert sample.labels["trace endpoint"] == "GET /burnt"
    assert sample.labels["exception message"] == "burnt"
    assert "exception message" not in [label for s in collector.collect() for label in s.labels]


@needs_monitoring
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_is_without(collector: ExceptionCollector) -> None:
    child = os.fork()
    if not child:
        try:
            collector.after_fork_in_child()
            os._exit(int(list(collector.collect()) != [] or sys.monitoring.get_tool(4) is not None))  # type: ignore[attr-defined, unused-ignore]  # from 3.12 on
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def test_it_starts_and_stops_any_number_of_times() -> None:
    collector = made()
    for _ in range(5):
        collector.start()
        collector.start()
        collector.stop()
        collector.stop()
    assert list(collector.collect()) == []


@needs_monitoring
def test_other_tools_are_left_alone() -> None:
    monitoring = sys.monitoring  # type: ignore[attr-defined, unused-ignore]  # from 3.12 on
    monitoring.use_tool_id(4, "another")
    monitoring.use_tool_id(3, "one more")
    try:
        with pytest.raises(RuntimeError, match="taken"):
            made().start()
        assert monitoring.get_tool(4) == "another"
    finally:
        monitoring.free_tool_id(4)
        monitoring.free_tool_id(3)
