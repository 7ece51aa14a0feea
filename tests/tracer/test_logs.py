"""The ids of the active span for log records."""

from __future__ import annotations

import pytest

from ddmiddleware.tracing import Context, Tracer, active
from tests.recording_agent import RecordingAgent
from tests.tracer.conftest import MakeTracer

EMPTY = {"dd.trace_id": "0", "dd.span_id": "0", "dd.service": "shop", "dd.env": "", "dd.version": ""}


def test_without_a_trace(tracer: Tracer) -> None:
    assert tracer.get_log_correlation_context() == EMPTY
    tracer.context_provider.activate(Context(1, 2))
    assert tracer.get_log_correlation_context() == EMPTY
    active.set(None)


def test_with_a_trace(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(agent.url, DD_ENV="prod", DD_VERSION="1.2")
    with tracer.trace("a", service="front") as span:
        expected = {
            "dd.trace_id": f"{span.trace_id:032x}",
            "dd.span_id": str(span.span_id),
            "dd.service": "front",
            "dd.env": "prod",
            "dd.version": "1.2",
        }
        found = tracer.get_log_correlation_context()
        assert found == expected
        assert {f"dd.{key}": found[key] for key in ("trace_id", "span_id", "service", "env", "version")} == expected
        with pytest.raises(KeyError):
            found["dd.user"]


@pytest.mark.parametrize("service", [None, "", object(), 3])
def test_all_of_it_is_text(tracer: Tracer, service: object) -> None:
    with tracer.trace("a") as span:
        span.service = service  # type: ignore[assignment]
        assert all(type(text) is str for text in tracer.get_log_correlation_context().values())


def test_switched_off(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(agent.url, DD_TRACE_ENABLED="false")
    with tracer.trace("a"):
        assert tracer.get_log_correlation_context() == EMPTY
