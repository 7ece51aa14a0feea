"""``Tracer.wrap`` around functions, coroutines and generators."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from ddmiddleware.tracing import Tracer
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.conftest import MakeTracer
from tests.tracer.expected import active_name, child, root


def _counter(first: int) -> Generator[int, int, str]:
    """Count on from *first* by what is sent."""
    number = first
    while number < 10:
        try:
            number += (yield number) or 1
        except KeyError:
            number = 8
    return "over"


def test_a_function(tracer: Tracer, agent: RecordingAgent) -> None:
    @tracer.wrap()
    def plain_call(first: int, *, second: int = 2) -> int:
        """Add."""
        assert active_name(tracer) == f"{__name__}.plain_call"
        return first + second

    @tracer.wrap("named", service="cache", resource="GET", span_type="redis")
    def named() -> int:
        return plain_call(1, second=3)

    assert named() == 4
    assert (plain_call.__name__, plain_call.__doc__) == ("plain_call", "Add.")
    assert list(inspect.signature(plain_call).parameters) == ["first", "second"]
    tracer.flush()
    assert plain(agent.spans) == [
        root("named", service="cache", resource="GET", type="redis"),
        child(f"{__name__}.plain_call", 2, service="cache"),
    ]


def test_methods(tracer: Tracer, agent: RecordingAgent) -> None:
    class Shop:
        @tracer.wrap("method")
        def method(self) -> type:
            return type(self)

        @tracer.wrap("class method")
        @classmethod
        def of_class(cls) -> type:
            return cls

        @tracer.wrap("static method")
        @staticmethod
        def static() -> type:
            return Shop

    assert {Shop().method(), Shop.of_class(), Shop().of_class(), Shop.static(), Shop().static()} == {Shop}
    tracer.flush()
    assert [span["name"] for span in agent.spans] == ["method"] + ["class method"] * 2 + ["static method"] * 2


def test_a_function_that_fails(tracer: Tracer, agent: RecordingAgent) -> None:
    error = ValueError("no")

    @tracer.wrap("a")
    def fails() -> None:
        raise error

    with pytest.raises(ValueError, match="no") as caught:
        fails()
    assert (caught.value, error.__context__) == (error, None)
    tracer.flush()
    assert (agent.spans[0]["error"], agent.spans[0]["meta"]["error.message"]) == (1, "no")


def test_a_coroutine(tracer: Tracer, agent: RecordingAgent) -> None:
    @tracer.wrap("inner")
    async def inner() -> str:
        await asyncio.sleep(0)
        return active_name(tracer)

    @tracer.wrap("outer")
    async def outer() -> list[str]:
        return list(await asyncio.gather(inner(), inner()))

    assert inspect.iscoroutinefunction(outer)
    assert asyncio.run(outer()) == ["inner", "inner"]
    tracer.flush()
    assert plain(agent.spans) == [root("outer"), child("inner", 2), child("inner", 3)]


def test_a_cancelled_coroutine(tracer: Tracer, agent: RecordingAgent) -> None:
    @tracer.wrap("a")
    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(main())
    tracer.flush()
    assert agent.spans[0]["meta"]["error.type"] == "asyncio.exceptions.CancelledError"


def _drive(function: Callable[..., Generator[int, int, str]]) -> list[Any]:
    """Return everything a consumer sees of a generator, through every way to go on."""
    seen: list[Any] = []

    def note(call: Callable[[], object]) -> None:
        try:
            seen.append(call())
        except BaseException as error:
            seen.append((type(error), error.args, type(error.__context__)))

    one = function(1)
    for call in (lambda: next(one), lambda: one.send(3), lambda: one.throw(KeyError("x")), lambda: one.send(1)):
        note(call)
    note(lambda: one.send(5))
    note(lambda: next(one))
    two = function(1)
    note(two.close)
    note(lambda: next(two))
    three = function(1)
    note(lambda: next(three))
    note(lambda: three.throw(ValueError("y")))
    note(three.close)
    four = function(1)
    note(lambda: next(four))
    note(lambda: four.throw(GeneratorExit()))
    five = function(1)
    note(lambda: next(five))
    note(five.close)
    note(lambda: list(function(7)))
    return seen


def _ignores_close(first: int) -> Generator[int, int, str]:
    try:
        yield first
    except GeneratorExit:
        yield first + 1
    return "over"


def _fails_in_close(first: int) -> Generator[int, int, str]:
    try:
        yield first
    finally:
        raise OSError("in close")


def _returns_in_close(first: int) -> Generator[int, int, str]:
    try:
        yield first
    except GeneratorExit:
        return "closed"
    return "over"


@pytest.mark.parametrize("function", [_counter, _ignores_close, _fails_in_close, _returns_in_close])
def test_a_generator_looks_the_same(tracer: Tracer, function: Callable[..., Generator[int, int, str]]) -> None:
    wrapped = tracer.wrap("a")(function)
    assert inspect.isgeneratorfunction(wrapped)
    assert _drive(wrapped) == _drive(function)


def test_the_span_of_a_generator(tracer: Tracer, agent: RecordingAgent) -> None:
    @tracer.wrap("rows")
    def rows() -> Iterator[str]:
        for _ in range(2):
            with tracer.trace("row"):
                yield active_name(tracer)
        yield active_name(tracer)

    with tracer.trace("consumer") as consumer:
        seen = []
        for name in rows():
            assert tracer.current_span() is consumer
            tracer.trace("between").finish()
            seen.append(name)
    assert seen == ["row", "row", "rows"]
    tracer.flush()
    assert plain(agent.spans) == [
        root("consumer"),
        child("rows", 2),
        child("row", 3, 2),
        child("between", 4),
        child("row", 5, 2),
        child("between", 6),
        child("between", 7),
    ]


def test_a_generator_ends_its_span_once(tracer: Tracer, agent: RecordingAgent) -> None:
    wrapped = tracer.wrap("a")(_counter)
    left = wrapped(1)
    assert next(left) == 1
    left.close()
    left.close()
    failing = wrapped(1)
    assert next(failing) == 1
    with pytest.raises(ValueError, match="thrown"):
        failing.throw(ValueError("thrown"))
    assert list(wrapped(8)) == [8, 9]
    wrapped(1)
    tracer.flush()
    assert [(span["name"], span["error"]) for span in agent.spans] == [("a", 0), ("a", 1), ("a", 0)]


def test_a_name_with_the_class(make_tracer: MakeTracer) -> None:
    tracer = make_tracer("http://127.0.0.1:9", DD_TRACE_WRAP_SPAN_NAME_INCLUDE_CLASS="true")

    class Invoice:
        @tracer.wrap()
        def send(self) -> str:
            return active_name(tracer)

    assert Invoice().send() == f"{__name__}.test_a_name_with_the_class.<locals>.Invoice.send"
