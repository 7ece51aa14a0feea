"""Span events and recorded exceptions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddmiddleware.tracing import Span, Tracer
from ddmiddleware.tracing.encoding import EncoderV05
from ddmiddleware.tracing.events import PER_SPAN_MAX
from tests.recording_agent import RecordingAgent

pytestmark = pytest.mark.usefixtures("twin")


def _sent(tracer: Tracer, agent: RecordingAgent) -> list[dict[str, object]]:
    tracer.flush()
    (span,) = agent.spans
    assert span["error"] == 0
    return list(json.loads(span["meta"]["events"]))


def test_an_event(tracer: Tracer, agent: RecordingAgent) -> None:
    with tracer.trace("a") as span:
        span.add_event("retry", {"attempt": 2, "ok": False, "hosts": ["a", "b"], "why": None, "mixed": [1, "a"]}, 17)
        span.add_event("done")
    first, second = _sent(tracer, agent)
    attributes = {"attempt": 2, "ok": False, "hosts": ["a", "b"], "why": "None", "mixed": "[1, 'a']"}
    assert first == {"name": "retry", "time_unix_nano": 17, "attributes": attributes}
    assert isinstance(second["time_unix_nano"], int)
    assert second["time_unix_nano"] > 1e18
    assert second.keys() == {"name", "time_unix_nano"}


def test_a_recorded_exception_is_no_failure(tracer: Tracer, agent: RecordingAgent) -> None:
    with tracer.trace("a") as span:
        try:
            raise ValueError("no such user")
        except ValueError as error:
            span.record_exception(error, {"user": "7"}, timestamp=18, escaped=True)
    (event,) = _sent(tracer, agent)
    attributes = event["attributes"]
    assert isinstance(attributes, dict)
    stack = attributes.pop("exception.stacktrace")
    assert stack.startswith("Traceback")
    assert stack.endswith("ValueError: no such user\n")
    assert event == {
        "name": "exception",
        "time_unix_nano": 18,
        "attributes": {
            "exception.type": "builtins.ValueError",
            "exception.message": "no such user",
            "exception.escaped": True,
            "user": "7",
        },
    }


def test_events_and_links_are_capped(tracer: Tracer) -> None:
    with tracer.trace("a") as span:
        for number in range(1, 2 * PER_SPAN_MAX):
            span.add_event("e", dict.fromkeys(map(str, range(1000))))
            span.set_link(number, number, attributes=dict.fromkeys(map(str, range(1000))))
    assert span._events is not None
    assert span._links is not None
    assert (len(span._events), len(span._links)) == (PER_SPAN_MAX, PER_SPAN_MAX)
    assert len(span._events[0][2]) == PER_SPAN_MAX


@settings(max_examples=100)
@given(
    st.dictionaries(
        st.text() | st.integers(), st.none() | st.floats() | st.text() | st.binary() | st.lists(st.floats() | st.text())
    )
)
def test_any_attribute_gives_json(attributes: dict[str, object]) -> None:
    tracer = Tracer()
    chunks: list[list[Span]] = []
    tracer.export = lambda chunk, _trace: chunks.append(chunk)
    with tracer.trace("a") as span:
        span.add_event("e", attributes)
    encoder = EncoderV05()
    encoder.add(chunks[0])

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    json.loads(span._meta["events"], parse_constant=refuse)


def test_a_long_stack_keeps_the_place_of_the_error(tracer: Tracer) -> None:
    def fail() -> None:
        raise ValueError("y" * 9_000)

    scope = {"call_0": fail}
    for number in range(1, 31):
        function = f"{'long_' * 200}{number}"
        exec(f"def {function}(): return call_{number - 1}()\ncall_{number} = {function}", scope)
    with pytest.raises(ValueError, match="yyy"), tracer.trace("a") as span:
        scope["call_30"]()
    stack = span.get_tag("error.stack")
    assert stack is not None
    assert len(stack) <= 25_000
    assert stack.endswith("y" * 9_000 + "\n")
    assert "in fail\n" in stack


def test_finish_with_ancestors(tracer: Tracer) -> None:
    spans = [tracer.trace(name) for name in "abc"]
    spans[-1].finish_with_ancestors()
    assert all(span.finished for span in spans)
    assert tracer.current_span() is None
