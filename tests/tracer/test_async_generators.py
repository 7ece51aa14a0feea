"""``Tracer.wrap`` around async generators."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest

from ddmiddleware.tracing import Tracer, active
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.expected import active_name, child, root

pytestmark = pytest.mark.usefixtures("twin")

Source = Callable[[int], AsyncGenerator[int, int]]


async def _counter(first: int) -> AsyncGenerator[int, int]:
    number = first
    while number < 10:
        await asyncio.sleep(0)
        try:
            number += (yield number) or 1
        except KeyError:
            number = 8


async def _ignores_close(first: int) -> AsyncGenerator[int, int]:
    try:
        yield first
    except GeneratorExit:
        yield first + 1


async def _cleans_up(first: int) -> AsyncGenerator[int, int]:
    try:
        yield first
    finally:
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def _drive(function: Source) -> list[Any]:
    """Return everything a consumer sees of an async generator, through every way to go on."""
    seen: list[Any] = []

    async def note(call: Awaitable[object]) -> None:
        try:
            seen.append(await call)
        except BaseException as error:
            seen.append((type(error), error.args, type(error.__context__)))

    one = function(1)
    for step in (one.__anext__, lambda: one.asend(3), lambda: one.athrow(KeyError("x")), lambda: one.asend(5)):
        await note(step())
    await note(one.__anext__())
    two = function(1)
    await note(two.aclose())
    await note(two.__anext__())
    three = function(1)
    await note(three.__anext__())
    await note(three.athrow(ValueError("y")))
    await note(three.aclose())
    four = function(1)
    await note(four.__anext__())
    await note(four.aclose())
    return seen


@pytest.mark.parametrize("function", [_counter, _ignores_close, _cleans_up])
def test_it_looks_the_same(tracer: Tracer, function: Source) -> None:
    wrapped = tracer.wrap("a")(function)
    assert inspect.isasyncgenfunction(wrapped)
    assert asyncio.run(_drive(wrapped)) == asyncio.run(_drive(function))


def test_its_span(tracer: Tracer, agent: RecordingAgent) -> None:
    @tracer.wrap("rows")
    async def rows() -> AsyncGenerator[str, None]:
        with tracer.trace("row"):
            await asyncio.sleep(0)
            yield active_name(tracer)
        yield active_name(tracer)

    async def main() -> list[str]:
        seen = []
        with tracer.trace("consumer") as consumer:
            async for name in rows():
                assert tracer.current_span() is consumer
                tracer.trace("between").finish()
                seen.append(name)
        return seen

    assert asyncio.run(main()) == ["row", "rows"]
    tracer.flush()
    assert plain(agent.spans) == [
        root("consumer"),
        child("rows", 2),
        child("row", 3, 2),
        child("between", 4),
        child("between", 5),
    ]


def test_finishing_in_another_task(tracer: Tracer, agent: RecordingAgent) -> None:
    """Starlette consumes a streaming body in another task than the one that made it."""
    wrapped = tracer.wrap("body")(_counter)

    async def main() -> None:
        with tracer.trace("request") as request:
            body = wrapped(8)
            assert await body.__anext__() == 8

            async def rest() -> list[int]:
                found = [item async for item in body]
                assert tracer.current_span() is request
                return found

            assert await asyncio.create_task(rest()) == [9]
            assert tracer.current_span() is request
        assert active.get() is None

    asyncio.run(main())
    tracer.flush()
    assert plain(agent.spans) == [root("request"), child("body", 2)]


def test_concurrent_consumers(tracer: Tracer, agent: RecordingAgent) -> None:
    wrapped = tracer.wrap("body")(_counter)

    async def consume(name: str) -> None:
        with tracer.trace(name):
            async for _ in wrapped(5):
                tracer.trace("item").finish()

    async def main() -> None:
        await asyncio.gather(*(consume(f"consumer {number}") for number in range(5)))

    asyncio.run(main())
    tracer.flush()
    assert sorted(len(chunk) for chunk in agent.chunks) == [7] * 5
    for chunk in agent.chunks:
        consumer = chunk[0]
        assert {span["parent_id"] for span in chunk[1:]} == {consumer["span_id"]}


@pytest.mark.parametrize("keep", [True, False])
def test_what_is_left_suspended_is_closed_quietly(tracer: Tracer, agent: RecordingAgent, keep: bool) -> None:
    wrapped = tracer.wrap("body")(_cleans_up)
    complaints: list[dict[str, Any]] = []
    kept: list[object] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        body = wrapped(1)
        await body.__anext__()
        if keep:
            kept.append(body)

    asyncio.run(main())
    tracer.flush()
    assert complaints == []
    (span,) = agent.spans
    assert span["name"] == "body"
    # A loop that ends cancels its tasks, and one of them may be just closing the generator.
    assert span["meta"].get("error.type") in (None, "asyncio.exceptions.CancelledError")
