"""Jinja2 templates that are rendered piece by piece: generate, stream, dump and their asynchronous twin."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import re
from collections.abc import Callable
from typing import Any

import jinja2
import pytest

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.recorder import Recorder

ROWS = "{% for x in rows %}<{{ x }}>{% endfor %}"


@pytest.fixture(autouse=True)
def _patched() -> None:
    patch(jinja2=True)


@pytest.fixture
def rows(recorder: Recorder) -> Any:
    return template(recorder)


def template(recorder: Recorder, text: str = ROWS, **options: Any) -> Any:
    made = jinja2.Environment(**options).from_string(text)
    recorder.clear()
    return made


def span(**changes: Any) -> dict[str, Any]:
    tags = {"component": "jinja2", "jinja2.template_name": "<memory>", "_dd.measured": 1, **changes.pop("tags", {})}
    shape = {"trace": 1, "parent": 0, "name": "jinja2.render", "resource": "<memory>", "service": "shop"}
    return {**shape, "type": "template", "error": 0, "tags": tags, **changes}


def test_generate(rows: Any, recorder: Recorder) -> None:
    with default_tracer.trace("work") as work:
        pieces = rows.generate(rows=[1, 2])
        assert recorder.take() == []  # nothing is rendered before the first is asked for
        for _ in pieces:
            assert active.get() is work
            default_tracer.trace("send").finish()
    taken = recorder.take()
    sent = [part for part in taken if part["name"] == "send"]
    assert sent
    assert {part["parent"] for part in sent} == {1}  # between two pieces it is the caller's turn
    assert [part for part in taken if part["name"] == "jinja2.render"] == [span(parent=1)]


def test_what_the_template_does_is_within(recorder: Recorder) -> None:
    part = jinja2.Environment(loader=jinja2.DictLoader({"part": "part"})).from_string('a{% include "part" %}b')
    recorder.clear()
    assert "".join(part.generate()) == "apartb"
    taken = recorder.take()
    assert [(part["name"], part["parent"]) for part in taken] == [
        ("jinja2.render", 0),
        ("jinja2.load", 1),
        ("jinja2.compile", 2),
    ]


def test_stream_and_dump(rows: Any, recorder: Recorder) -> None:
    stream = rows.stream(rows=[1, 2, 3])
    stream.enable_buffering(2)
    assert "".join(stream) == "<1><2><3>"
    file = io.StringIO()
    rows.stream(rows=[1]).dump(file)
    assert file.getvalue() == "<1>"
    assert recorder.take() == [span(), span(trace=2)]


@pytest.mark.parametrize("end", ["close", "forget"])
def test_a_reader_that_leaves(rows: Any, recorder: Recorder, end: str) -> None:
    pieces = rows.generate(rows=[1, 2])
    next(pieces)
    assert recorder.take() == []
    if end == "close":
        pieces.close()
    del pieces
    gc.collect()
    assert active.get() is None
    assert recorder.take() == [span()]


def test_errors(recorder: Recorder) -> None:
    zero = template(recorder, "a{{ 1 / zero }}b")
    pieces = zero.generate(zero=0)
    with pytest.raises(ZeroDivisionError) as caught:
        list(pieces)
    assert active.get() is None
    (failed,) = recorder.take()
    assert re.match("ZeroDivisionError", failed["tags"].pop("error.stack"))
    kind = {"error.type": "builtins.ZeroDivisionError", "error.message": str(caught.value)}
    assert failed == span(error=1, tags=kind)


def test_an_error_that_is_thrown_in(rows: Any, recorder: Recorder) -> None:
    pieces = rows.generate(rows=[1, 2])
    next(pieces)
    error = LookupError("theirs")
    with pytest.raises(LookupError) as caught:
        pieces.throw(error)
    assert caught.value is error
    assert error.__context__ is None
    assert [part["error"] for part in recorder.take()] == [1]


def test_several_at_once(rows: Any, recorder: Recorder) -> None:
    """Each has its own span, and none is active while another one works."""
    with default_tracer.trace("work") as work:
        for _ in zip(rows.generate(rows=[1, 2]), rows.generate(rows=[3, 4]), strict=False):
            assert active.get() is work
        gc.collect()
    assert [(part["name"], part["parent"]) for part in recorder.take()[1:]] == [("jinja2.render", 1)] * 2


def test_read_elsewhere(rows: Any, recorder: Recorder) -> None:
    """A generator that goes on under another active span leaves that one as it is."""
    pieces = rows.generate(rows=[1, 2])
    with default_tracer.trace("first"):
        next(pieces)
    with default_tracer.trace("second") as second:
        list(pieces)
        assert active.get() is second
    assert sorted((part["name"], part["trace"], part["parent"]) for part in recorder.take()) == [
        ("first", 1, 0),
        ("jinja2.render", 1, 1),
        ("second", 2, 0),
    ]


def test_asynchronous(recorder: Recorder) -> None:
    rows = template(recorder, enable_async=True)

    async def read(work: Any) -> str:
        text = ""
        async for piece in rows.generate_async(rows=[1, 2]):
            assert active.get() is work
            text += piece
        return text

    async def main() -> None:
        with default_tracer.trace("work") as work:
            assert await asyncio.gather(read(work), read(work)) == ["<1><2>"] * 2
            assert active.get() is work

    asyncio.run(main())
    assert recorder.take()[1:] == [span(parent=1)] * 2


def test_asynchronous_from_a_synchronous_caller(recorder: Recorder) -> None:
    """In an asynchronous environment generate asks generate_async: that is one span."""
    rows = template(recorder, enable_async=True)
    assert "".join(rows.generate(rows=[1])) == "<1>"
    assert "".join(rows.stream(rows=[1])) == "<1>"
    assert recorder.take() == [span(), span(trace=2)]


def test_asynchronous_ends(recorder: Recorder) -> None:
    """Of a reader that leaves, of a task that is cancelled, of an error, and of a call that jinja2 refuses."""
    plain = jinja2.Environment().from_string("a")
    waits = template(recorder, "a{{ wait() }}b", enable_async=True)

    async def main() -> None:
        forever, begun = asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            begun.set()
            await forever.wait()

        left = waits.generate_async(wait=str)
        await anext(left)
        await left.aclose()
        assert active.get() is None

        async def read(**values: Any) -> None:
            async for _ in waits.generate_async(**values):
                pass

        task = asyncio.create_task(read(wait=wait))
        await begun.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        with pytest.raises(TypeError):
            await read(wait=1)
        thrown = waits.generate_async(wait=str)
        await anext(thrown)
        with pytest.raises(LookupError):
            await thrown.athrow(LookupError("theirs"))
        with pytest.raises(RuntimeError):
            await anext(plain.generate_async())
        assert active.get() is None

    asyncio.run(main())
    assert [(part["error"], part["tags"].get("error.type")) for part in recorder.take()] == [
        (0, None),
        (1, "asyncio.exceptions.CancelledError"),
        (1, "builtins.TypeError"),
        (1, "builtins.LookupError"),
        (1, "builtins.RuntimeError"),
    ]


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "pieces": lambda e: [*e.from_string(ROWS).generate(rows=[1, 2])],
    "a dictionary": lambda e: [*e.from_string(ROWS).generate({"rows": [1]})],
    "closed": lambda e: e.from_string(ROWS).generate(rows=[1]).close(),
    "closed within": lambda e: (lambda g: (next(g), g.close(), [*g]))(e.from_string(ROWS).generate(rows=[1])),
    "sent": lambda e: (lambda g: (next(g), g.send(5), [*g]))(e.from_string(ROWS).generate(rows=[1, 2])),
    "sent at first": lambda e: e.from_string(ROWS).generate(rows=[1]).send(5),
    "thrown at first": lambda e: e.from_string(ROWS).generate(rows=[1]).throw(LookupError("x")),
    "ended by hand": lambda e: (lambda g: (next(g), g.throw(StopIteration(5))))(e.from_string(ROWS).generate(rows=[1])),
    "closed by hand": lambda e: (lambda g: (next(g), g.throw(GeneratorExit)))(e.from_string(ROWS).generate(rows=[1])),
    "undefined": lambda e: [*e.from_string("{{ a.b.c }}").generate()],
    "wrong call": lambda e: [*e.from_string("x").generate(1, 2)],
    "stream": lambda e: [*e.from_string(ROWS).stream(rows=[1])],
    "kind": lambda e: type(e.from_string(ROWS).generate()),
}


def test_same_results_with_and_without(recorder: Recorder) -> None:
    def outcomes() -> dict[str, Any]:
        environment = jinja2.Environment()
        found = {}
        for name, operation in OPERATIONS.items():
            try:
                found[name] = operation(environment)
            except BaseException as error:
                found[name] = (type(error), error.args, repr(error.__cause__), repr(error.__context__))
        return found

    unpatch()
    without = outcomes()
    assert recorder.take() == []
    patch(jinja2=True)
    assert outcomes() == without
    assert {part["error"] for part in recorder.take()} == {0, 1}
