"""Tags, metrics and links, at their edges too."""

from __future__ import annotations

import enum
import json
import math
from typing import Any

import pytest

from ddmiddleware.tracing import Context, Span, Tracer
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.expected import root

pytestmark = pytest.mark.usefixtures("twin")


class _Colour(str, enum.Enum):
    RED = "red"


class _Level(enum.IntEnum):
    HIGH = 3


class _Markup(str):
    def __str__(self) -> str:
        raise ValueError("not today")

    __hash__ = None  # type: ignore[assignment]


class _Mute:
    def __str__(self) -> str:
        raise ValueError("not today")


@pytest.fixture
def span(tracer: Tracer) -> Span:
    return tracer.start_span("a")


@pytest.mark.parametrize(
    ("value", "tag", "metric"),
    [
        ("text", "text", None),
        ("", "", None),
        (_Colour.RED, "red", None),
        (_Markup("<b>"), "<b>", None),
        (b"bytes \xff", "bytes \ufffd", None),
        (None, "None", None),
        (True, "True", None),
        ([1, "b"], "[1, 'b']", None),
        (_Mute(), "<_Mute>", None),
        (3, None, 3),
        (_Level.HIGH, None, 3),
        (2.5, None, 2.5),
        (-0.0, None, 0.0),
        (2**63 - 1, None, 2**63 - 1),
        (-(2**63), None, -(2**63)),
        (2**63, str(2**63), None),
        (math.nan, None, None),
        (-math.inf, None, None),
    ],
)
def test_a_value(span: Span, value: object, tag: str | None, metric: float | None) -> None:
    span.set_tag("key", value)
    assert (span.get_tag("key"), span.get_metric("key")) == (tag, metric)
    assert type(span.get_tag("key")) in (str, type(None))
    assert type(span.get_metric("key")) in (int, float, type(None))


def test_an_enormous_number_becomes_short_enough_text(span: Span) -> None:
    span.set_tag("key", 1 << 100_000)
    assert (span.get_tag("key") or "").startswith("0x1000")


@pytest.mark.parametrize("key", [[], {}, _Markup("odd"), b"bytes", 3, None, _Mute()])
def test_a_key_that_is_no_text(tracer: Tracer, agent: RecordingAgent, key: Any) -> None:
    with tracer.trace("a") as span:
        span.set_tag(key, "tag")
        span.set_tag_str(key, "tag")
        span.set_metric(key, 1)
        span.set_tag("other", "stays")
        for forget in (span.get_tag, span.get_metric, span.remove_tag, span.remove_metric):
            forget("other metric")
    assert tracer.flush()
    assert agent.spans[0]["meta"]["other"] == "stays"


def test_the_last_value_of_a_key_counts(span: Span) -> None:
    for value in ("text", 1, "again", 2**64, 2, True, 3, b"bytes"):
        span.set_tag("key", value)
        assert (span.get_tag("key") is None) != (span.get_metric("key") is None), value
    assert (span.get_tags(), span.get_metrics()) == ({"key": "bytes"}, {})
    span.set_metric("key", 4)
    assert (span.get_tags(), span.get_metrics()) == ({}, {"key": 4})
    span.set_tag_str("key", "text")
    assert (span.get_tags(), span.get_metrics()) == ({"key": "text"}, {})


def test_copies_and_removal(span: Span) -> None:
    span.set_tags({"a": "b", "c": 1})
    span.set_metrics({"d": 2.5, "e": math.nan, "f": "no number"})  # type: ignore[dict-item]
    span.get_tags().clear()
    span.get_metrics().clear()
    assert (span.get_tags(), span.get_metrics()) == ({"a": "b"}, {"c": 1, "d": 2.5})
    for _ in range(2):
        span.remove_tag("a")
        span.remove_metric("c")
        span.remove_metric("d")
    assert (span.get_tags(), span.get_metrics()) == ({}, {})


def test_keys_with_a_meaning(span: Span) -> None:
    span.set_tag("service.name", "other")
    span.set_tag("service.version", 3)
    span.set_tag("_dd.measured")
    assert span.service == "other"
    assert span.get_tags() == {"service.version": "3", "version": "3"}
    assert span.get_metrics() == {"_dd.measured": 1}
    span.set_tag("_dd.measured", False)
    span.set_tag("service.name", None)
    assert span.get_metric("_dd.measured") == 0
    assert span.service is None


@pytest.mark.parametrize(
    ("value", "port"),
    [
        (80, 80),
        ("80", 80),
        (80.0, 80),
        ("http", None),
        (None, None),
        (-1, None),
        (math.nan, None),
        (math.inf, None),
        ("9" * 5000, None),
        (1 << 70, None),
    ],
)
def test_a_port(span: Span, value: object, port: int | None) -> None:
    span.set_tag("network.destination.port", value)
    assert span.get_metric("network.destination.port") == port


def test_links(tracer: Tracer, agent: RecordingAgent) -> None:
    with tracer.trace("a") as span:
        span.link_span(Context(5 << 64 | 6, 7), {"why": "retry", "times": 3})
        span.link_span(Context())
        span.set_link(1, 2, tracestate="dd=s:1", flags=1)
    tracer.flush()
    (found,) = plain(agent.spans)
    assert json.loads(found["meta"].pop("_dd.span_links")) == [
        {
            "trace_id": f"{5:016x}{6:016x}",
            "span_id": f"{7:016x}",
            "attributes": {"why": "retry", "times": "3"},
        },
        {"trace_id": f"{1:032x}", "span_id": f"{2:016x}", "tracestate": "dd=s:1", "flags": 1},
    ]
    assert found == root("a")
