"""One message on the wire has one span: what a library calls to send it gets none."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from ddmiddleware.integrations._call import Call
from ddmiddleware.integrations._patching import Integration
from ddmiddleware.tracing import active, default_tracer, guarded
from tests.integrations.recorder import Recorder

CODE = """
def outer(x, then=None):
    return inner(x) if then is None else then(x)
def inner(x):
    if isinstance(x, BaseException): raise x
    return x
def other(x): return x
def send(x): return x
async def outer_async(x): return await inner_async(x)
async def inner_async(x): return x
"""


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("a_library")
    exec(CODE, module.__dict__)
    monkeypatch.setitem(sys.modules, "a_library", module)
    return module


def _nothing(_call: Call) -> None:
    pass


@pytest.fixture
def joined() -> list[Call]:
    """The calls that were made within another one."""
    return []


@pytest.fixture(autouse=True)
def _patched(library: ModuleType, joined: list[Call], recorder: Recorder) -> Iterator[None]:
    outer, inner, other = (Integration(name, wire=name.partition("-")[0]) for name in ("x-out", "x-in", "y"))
    outer.traces("a_library:outer", "a_library:outer_async", name="outer")(_nothing)
    traced = inner.traces("a_library:inner", "a_library:inner_async", name="inner", again=lambda x: x == "again")
    traced(_nothing).within(joined.append)
    other.traces("a_library:other", name="other")(_nothing)
    integrations = (outer, inner, other)
    for integration in integrations:
        integration.patch()
    yield
    for integration in integrations:
        integration.unpatch()


def test_the_inner_call_has_no_span(library: ModuleType, joined: list[Call], recorder: Recorder) -> None:
    assert library.outer(1) == 1
    assert recorder.names() == ["outer"]
    [call] = joined
    assert call.within
    assert call.span.name == "outer"
    assert asyncio.run(library.outer_async(1)) == 1
    assert recorder.names() == ["outer"]


def test_alone_it_has_one(library: ModuleType, joined: list[Call], recorder: Recorder) -> None:
    assert library.inner(1) == 1
    with default_tracer.trace("work"):
        library.inner(1)
    assert recorder.names() == ["inner", "work", "inner"]
    assert joined == []


def test_another_wire_is_a_child(library: ModuleType, recorder: Recorder) -> None:
    library.outer(1, library.other)
    assert [(span["name"], span["parent"]) for span in recorder.take()] == [("outer", 0), ("other", 1)]


def test_a_message_of_its_own_is_a_child(library: ModuleType, recorder: Recorder) -> None:
    library.outer("again")
    assert [(span["name"], span["parent"]) for span in recorder.take()] == [("outer", 0), ("inner", 1)]


def test_a_span_of_the_applications_own_between_makes_it_a_child(library: ModuleType, recorder: Recorder) -> None:
    def between(x: int) -> Any:
        with default_tracer.trace("between"):
            return library.inner(x)

    library.outer(1, between)
    assert recorder.names() == ["outer", "between", "inner"]


def test_a_span_that_has_finished_stands_for_nothing(library: ModuleType, recorder: Recorder) -> None:
    def finished(x: int) -> Any:
        span = default_tracer.current_span()
        assert span is not None
        span.finish()
        active.set(span)
        return library.inner(x)

    library.outer(1, finished)
    active.set(None)
    assert recorder.names() == ["outer", "inner"]


def test_the_error_is_the_outer_calls(library: ModuleType, recorder: Recorder) -> None:
    error = ValueError("theirs")
    with pytest.raises(ValueError, match="theirs") as caught:
        library.outer(error)
    assert caught.value is error
    assert error.__context__ is None
    assert [(span["name"], span["error"]) for span in recorder.take()] == [("outer", 1)]


def test_the_inner_call_can_still_change_what_is_sent(library: ModuleType, recorder: Recorder) -> None:
    sql = Integration("z", wire="x")
    described = sql.traces("a_library:send", name="z")(_nothing)

    @described.within
    def comment(call: Call) -> None:
        call.set_arg(0, "x", f"/* {call.span.name} */ {call.arg(0, 'x')}")

    sql.patch()
    assert library.outer("select 1", library.send) == "/* outer */ select 1"
    assert library.outer(1, lambda _x: library.send(x="select 1")) == "/* outer */ select 1"
    sql.unpatch()
    assert recorder.names() == ["outer", "outer"]


def test_an_error_of_ours_leaves_the_call_as_it_was(
    library: ModuleType, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = Integration("z", wire="x")
    described = sql.traces("a_library:send", name="z")(_nothing)

    @described.within
    def broken(call: Call) -> None:
        call.set_arg(0, "x", "broken")
        raise KeyError

    sql.patch()
    monkeypatch.setattr(guarded, "raises", False)
    assert library.outer(1, library.send) == 1
    sql.unpatch()
    assert recorder.names() == ["outer"]
