"""The C functions against their Python twins: the same spans, the same bytes, and no reference kept or lost."""

from __future__ import annotations

import gc
import inspect
import pickle
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddmiddleware.tracing import Span, encoding, redaction
from ddmiddleware.tracing.accelerator import (
    accelerator,
    methods_in_python,
    start_in_python,
    start_inside_in_python,
)
from ddmiddleware.tracing.context import LocalTrace, active
from ddmiddleware.tracing.encoding import EncoderV05
from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.redaction import Redaction
from ddmiddleware.tracing.settings import Settings
from tests.tracer.any_spans import PLAIN, SLOTS, Number, Secretive, Spans, Text, made
from tests.tracer.anything import Anything, quick
from tests.tracer.conftest import MakeTracer
from tests.tracer.processes import run

pytestmark = pytest.mark.usefixtures("accelerated")


class Loud(Span):
    """A user's own kind of span."""

    __slots__ = ("said",)
    said: list[str]

    def finish(self, finish_time: float | None = None) -> None:
        self.said.append("finish")
        super().finish(finish_time)

    def set_tag(self, key: str, value: object = None) -> None:
        self.said.append("set_tag")
        super().set_tag(key, value)


@pytest.fixture
def trace(make_tracer: MakeTracer) -> LocalTrace:
    """A trace whose chunks nobody sends."""
    tracer = make_tracer("http://127.0.0.1:9")
    tracer.export = lambda chunk, trace: None  # type: ignore[method-assign]
    return LocalTrace(tracer, None)


def _shown(value: object) -> str:
    """Return what tells one value from another; those that fail whatever they are asked are told by identity."""
    if type(value) is dict:
        return str([(_shown(key), _shown(item)) for key, item in value.items()])
    if type(value) is int:
        return hex(value)  # of any length
    return repr(value) if type(value) in (str, float, bool, list, type(None)) else str(id(value))


def _payload(trace: LocalTrace, chunks: list[list[dict[str, Any]]], trace_id: Any) -> tuple[bytes, int, int]:
    encoder = EncoderV05()
    for chunk in chunks:
        encoder.add(made(trace, chunk, trace_id))
    size = encoder.size
    return encoder.take(), size, encoder.spans


@quick
@given(st.lists(Spans, max_size=3), st.integers(0, 2**128 - 1) | Anything)
def test_any_spans_give_the_same_bytes(trace: LocalTrace, chunks: list[list[dict[str, Any]]], trace_id: Any) -> None:
    in_c = _payload(trace, chunks, trace_id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "accelerator", None)
        assert _payload(trace, chunks, trace_id) == in_c


@pytest.mark.parametrize("count", [0, 1, 15, 16, 63, 64, 255, 256, 300, 70_000])
def test_many_spans_and_tags_give_the_same_bytes(trace: LocalTrace, count: int) -> None:
    tags = {f"key {number}": f"value {number}" for number in range(count)}
    numbers: dict[str, float] = {f"key {number}": number - count // 2 for number in range(count)}
    numbers.update({str(bits): sign * 2**bits + near for bits in range(63) for sign in (1, -1) for near in (-1, 0, 1)})
    numbers.update({"float": 0.1, "infinite": float("inf"), "none": float("nan")})
    chunks = [[{**PLAIN, "_meta": tags, "_metrics": numbers}], [PLAIN] * count]
    in_c = _payload(trace, chunks, 2**127 + 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "accelerator", None)
        assert _payload(trace, chunks, 2**127 + 5) == in_c


@pytest.mark.parametrize("field", PLAIN)
def test_deleted_field_is_for_python(trace: LocalTrace, field: str) -> None:
    span = start_in_python("", None, None, None, trace, 1, None, None, None)
    span.finish()
    delattr(span, field)
    strings = encoding._Strings()
    assert accelerator.encode([span], strings, strings.ordered, encoding._add_links_and_events) is None


def test_plain_spans_are_encoded_in_c(trace: LocalTrace) -> None:
    span = start_in_python("a", None, None, None, trace, 1, None, None, None)
    span.set_tag("tag", "täxt")
    span.set_metric("number", 2.5)
    span.add_event("event")
    span.finish()
    encoder = EncoderV05()
    patched = pytest.MonkeyPatch()
    with patched.context() as patch:
        patch.setattr(EncoderV05, "_encode", None)
        encoder.add([span])
    assert encoder.spans == 1


def test_what_is_no_span_is_for_python() -> None:
    strings = encoding._Strings()
    for chunk in ([object()], (1,), None):
        assert accelerator.encode(chunk, strings, strings.ordered, encoding._add_links_and_events) is None


def test_started_alike(trace: LocalTrace) -> None:
    parent = start_in_python("parent", None, None, None, trace, 1, None, None, None)
    for arguments in (
        ("a", "shop", "resource", "web", trace, 2**127, 5, parent, parent),
        ("a", None, "", None, trace, 1, None, None, None),
    ):
        opened = trace.open
        found = []
        for start in (accelerator.start, start_in_python):
            span = start(*arguments)
            found.append({slot: getattr(span, slot) for slot in SLOTS - {"span_id", "start_ns"}})
            assert type(span) is Span
            assert type(span.span_id) is int
            assert 0 < span.start_ns - parent.start_ns < 60e9
        assert found[0] == found[1]
        assert trace.open == opened + 2


def test_started_inside_alike(trace: LocalTrace) -> None:
    root = start_in_python("root", "shop", None, None, trace, 2**127, None, None, None)
    found = []
    for start in (accelerator.start_inside, start_inside_in_python):
        assert start("a", None, None, 10) is None  # nothing is active
        active.set(root)
        assert start("a", None, None, trace.open) is None
        span = start("a", "", "web", 10)
        assert active.get() is span
        found.append({slot: getattr(span, slot) for slot in SLOTS - {"span_id", "start_ns"}})
        span.finish()
        assert active.get() is root
        loud = Loud.__new__(Loud)
        loud.duration_ns = None
        active.set(loud)  # a subclass
        assert start("a", None, None, 10) is None
        active.set(span)  # finished
        assert start("a", None, None, 10) is None
        active.set(None)
    assert found[0] == found[1]
    assert trace.open == 1


def _redacted_alike(trace: LocalTrace, chunks: list[list[dict[str, Any]]]) -> None:
    def redact() -> list[str]:
        cut = Redaction(Settings({}))
        seen = []
        for chunk in [*chunks, *chunks]:  # the second time over it knows keys and texts
            spans = made(trace, chunk, 1)
            cut.redact(spans)
            seen += [_shown({slot: getattr(span, slot) for slot in PLAIN}) for span in spans]
        return seen

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard, "raises", False)  # what cannot be redacted loses its texts
        in_c = redact()
        patch.setattr(redaction, "accelerator", None)
        assert redact() == in_c


@quick
@given(st.lists(Spans, max_size=2))
def test_any_spans_are_redacted_alike(trace: LocalTrace, chunks: list[list[dict[str, Any]]]) -> None:
    _redacted_alike(trace, chunks)


@quick
@given(st.lists(Secretive, max_size=2))
def test_secrets_are_redacted_alike(trace: LocalTrace, chunks: list[list[dict[str, Any]]]) -> None:
    _redacted_alike(trace, chunks)


@quick
@given(st.lists(st.tuples(Anything, Anything) | st.tuples(st.sampled_from(["a", "b"]), Text | Number), max_size=5))
def test_any_tags_are_kept_alike(trace: LocalTrace, tags: list[tuple[Any, Any]]) -> None:
    in_c, in_python = (start_in_python("a", "shop", None, None, trace, 1, None, None, None) for _ in range(2))
    for key, value in tags:
        Span.set_tag(in_c, key, value)
        methods_in_python["set_tag"](in_python, key, value)
    assert list(map(repr, in_c._meta.items())) == list(map(repr, in_python._meta.items()))
    assert list(map(repr, in_c._metrics.items())) == list(map(repr, in_python._metrics.items()))
    assert in_c.service == in_python.service


def test_methods_look_as_before() -> None:
    assert set(methods_in_python) == {"set_tag", "finish", "_finish_active", "__enter__", "__exit__"}
    for name, function in methods_in_python.items():
        method = getattr(Span, name)
        assert method is not function
        assert inspect.getdoc(method) == inspect.getdoc(function)
        names = [(each.name, each.default) for each in inspect.signature(function).parameters.values()]
        assert [(each.name, each.default) for each in inspect.signature(method).parameters.values()] == names
        assert (method.__name__, method.__qualname__, method.__objclass__) == (name, f"Span.{name}", Span)
        assert pickle.loads(pickle.dumps(method)) is method


@pytest.mark.parametrize(
    ("name", "arguments", "named"),
    [
        ("set_tag", (), {}),
        ("set_tag", ("a", "b", "c"), {}),
        ("set_tag", ("a",), {"vaule": "b"}),
        ("finish", (1.0, 2.0), {}),
        ("__exit__", (None,), {}),
    ],
)
def test_wrong_calls_fail_alike(trace: LocalTrace, name: str, arguments: Any, named: Any) -> None:
    span = start_in_python("a", None, None, None, trace, 1, None, None, None)
    with pytest.raises(TypeError) as in_c:
        getattr(Span, name)(span, *arguments, **named)
    with pytest.raises(TypeError) as in_python:
        methods_in_python[name](span, *arguments, **named)
    assert str(in_c.value) == str(in_python.value)
    with pytest.raises(TypeError):
        getattr(Span, name)(object(), *arguments, **named)


def test_subclass_may_override(trace: LocalTrace) -> None:
    span, plain = Loud.__new__(Loud), start_in_python("a", None, None, None, trace, 1, None, None, None)
    span.said = []
    for slot in SLOTS:
        setattr(span, slot, getattr(plain, slot))
    with span as entered:
        assert entered is span
        entered.set_tag("a", "b")
    assert (span.said, span._meta, span.finished) == (["set_tag", "finish"], {"a": "b"}, True)


def test_no_reference_is_kept_or_lost(trace: LocalTrace) -> None:
    """Whatever the C functions touch has as many references after a thousand spans as before."""
    texts = [f"text {number}" for number in range(6)]
    remote, numbers = object(), [2**100, 2**60 + 1, 10**9, 0.12345]
    strings = encoding._Strings()

    def go() -> None:
        for _ in range(1000):
            name, service, resource, kind, key, value = texts
            first = accelerator.start(name, service, resource, kind, trace, numbers[0], numbers[1], None, remote)
            active.set(first)
            with first:
                first.set_tag(key, value)
                first.set_tag(key, value=numbers[2])
                first.set_tag(key, value)
                first.set_metric("number", numbers[3])
                with guard:
                    assert accelerator.holds(name, (key, name))
                with pytest.raises(TypeError):
                    first.set_tag()
            assert accelerator.encode([first], strings, strings.ordered, encoding._add_links_and_events)
            first.error = None  # type: ignore[assignment]
            assert accelerator.encode([first], strings, strings.ordered, encoding._add_links_and_events) is None
        active.set(None)

    def counts() -> list[int]:
        gc.collect()
        return [sys.getrefcount(each) for each in (*texts, *numbers, remote, trace, strings, strings.ordered)]

    go()
    before, objects = counts(), len(gc.get_objects())
    go()
    assert counts() == before
    assert abs(len(gc.get_objects()) - objects) < 50


def test_pure_python_is_what_the_variable_asks_for(make_tracer: MakeTracer) -> None:
    script = "from ddmiddleware.tracing.accelerator import accelerator; print(accelerator)"
    assert run(script, "http://127.0.0.1:9", _DD_PURE_PYTHON="1") == "None\n"
