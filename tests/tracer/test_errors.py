"""Exceptions on spans."""

from __future__ import annotations

import re
import sys

import pytest

from ddmiddleware.tracing import Span, Tracer
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.conftest import MakeTracer
from tests.tracer.expected import child, root

pytestmark = pytest.mark.usefixtures("twin")


class _Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("not today")


class _Liar(type):
    @property
    def __module__(cls) -> str:  # type: ignore[override]
        raise ValueError("not today")


class _Homeless(Exception, metaclass=_Liar):
    pass


def test_an_error_is_tagged_and_goes_on(tracer: Tracer, agent: RecordingAgent) -> None:
    error = ValueError("no such user")
    with pytest.raises(ValueError, match="no such user") as caught, tracer.trace("a"), tracer.trace("b"):
        raise error
    assert caught.value is error
    assert error.__context__ is None
    tracer.flush()
    found = plain(agent.spans)
    stacks = [span["meta"].pop("error.stack") for span in found]
    assert all(stack.startswith("Traceback") and stack.endswith("ValueError: no such user\n") for stack in stacks)
    assert "raise error" in stacks[0]
    tags = {"error.type": "builtins.ValueError", "error.message": "no such user"}
    assert found == [root("a", error=1, meta=tags), child("b", 2, error=1, meta=tags)]


@pytest.mark.parametrize("leave", [SystemExit(), SystemExit(0), SystemExit(None), GeneratorExit()])
def test_what_is_no_error(tracer: Tracer, agent: RecordingAgent, leave: BaseException) -> None:
    with pytest.raises(type(leave)), tracer.trace("a"):
        raise leave
    tracer.flush()
    assert plain(agent.spans) == [root("a")]


@pytest.mark.parametrize("leave", [SystemExit(3), SystemExit("no config"), KeyboardInterrupt()])
def test_what_is_no_exception_but_an_error(tracer: Tracer, leave: BaseException) -> None:
    with pytest.raises(type(leave)), tracer.trace("a") as span:
        raise leave
    assert (span.error, span.get_tag("error.type")) == (1, f"builtins.{type(leave).__name__}")


@pytest.mark.parametrize("hostile", [_Mute, _Homeless])
def test_an_error_that_cannot_be_shown(
    tracer: Tracer, agent: RecordingAgent, hostile: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddmiddleware.tracing.guard.guard.raises", False)
    with pytest.raises(hostile), tracer.trace("a"):
        raise hostile
    assert tracer.flush()
    assert (agent.spans[0]["name"], agent.spans[0]["error"]) == ("a", 1)


def test_a_class_of_a_module(tracer: Tracer) -> None:
    with pytest.raises(_Mute), tracer.trace("a") as span:
        raise _Mute
    assert span.get_tag("error.type") == f"{__name__}._Mute"
    assert span.get_tag("error.message") == "<_Mute>"


def test_a_deep_stack_is_cut(tracer: Tracer) -> None:
    def dive(depth: int) -> None:
        if depth:
            dive(depth - 1)
        raise ValueError("bottom")

    with pytest.raises(ValueError, match="bottom"), tracer.trace("a") as span:
        dive(200)
    stack = span.get_tag("error.stack") or ""
    assert 0 < stack.count("File ") <= 30
    assert stack.endswith("ValueError: bottom\n")


def _outside(span: Span) -> None:
    span.set_traceback()


def test_set_traceback(tracer: Tracer) -> None:
    span = tracer.start_span("a")
    _outside(span)
    assert "in _outside" in (span.get_tag("error.stack") or "")
    assert span.error == 0
    try:
        raise ValueError("handled")
    except ValueError:
        span.set_traceback()
    assert (span.error, span.get_tag("error.message")) == (1, "handled")


def test_set_exc_info_by_hand(tracer: Tracer) -> None:
    span = tracer.start_span("a")
    span.set_exc_info(*sys.exc_info())
    assert span.error == 0
    span.set_exc_info(ValueError, ValueError("never raised"), None)
    assert (span.error, span.get_tag("error.stack")) == (1, "ValueError: never raised\n")


def test_how_many_frames_are_kept(make_tracer: MakeTracer) -> None:
    def sink(depth: int) -> None:
        if depth:
            sink(depth - 1)
        raise LookupError

    for frames in (3, 31):
        tracer = make_tracer("http://127.0.0.1:9", DD_TRACE_SPAN_TRACEBACK_MAX_SIZE=str(frames))
        span = tracer.start_span("a")
        with pytest.raises(LookupError), span:
            sink(50)
        stack = span.get_tag("error.stack") or ""
        assert len(re.findall(r'File "', stack)) <= frames
        assert "in sink" in stack
        span.set_traceback()
        assert len((span.get_tag("error.stack") or "").splitlines()) <= 2 * frames + 1
