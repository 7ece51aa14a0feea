"""The headers that middleware takes from a request, by the settings of a process of its own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.recording_agent import RecordingAgent
from tests.tracer.processes import run

# Sends the same request through both kinds of middleware.
SCRIPT = """
import sys
from ddmiddleware import asgi, wsgi
from tests.middleware.requests_by_hand import ask_wsgi, asked

given = dict(pair.split(":") for pair in sys.argv[1:])

def wsgi_app(environ, start_response):
    start_response("200 OK", [])
    return []

async def asgi_app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b""})

environ = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in given.items()}
ask_wsgi(wsgi.TraceMiddleware(wsgi_app), **environ)
asked(asgi.TraceMiddleware(asgi_app), headers=[(name.encode(), value.encode()) for name, value in given.items()])
"""
B3 = "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-d"


def _spans(headers: dict[str, str], **environ: str) -> list[dict[str, Any]]:
    with RecordingAgent() as agent:
        run(SCRIPT, agent.url, *(f"{name}:{value}" for name, value in headers.items()), **environ)
        spans = sorted(agent.spans, key=lambda span: span["start"])
    assert [span["name"] for span in spans] == ["wsgi.request", "asgi.request"]
    return spans


@pytest.mark.parametrize(
    ("headers", "style", "parent", "priority"),
    [
        ({"b3": B3}, "b3", 0xE457B5A2E4D86BD1, 2),
        ({"b3": B3}, "datadog", 0, 1),
        ({"b3": "0"}, "b3", 0, 0),
        ({"x-b3-traceid": "1", "x-b3-spanid": "2"}, "b3multi", 2, 1),
        ({"x-b3-sampled": "0"}, "b3multi", 0, 0),
        ({"x-datadog-trace-id": "1", "x-datadog-parent-id": "2"}, "", 2, 1),
        ({"x-datadog-trace-id": "1", "x-datadog-parent-id": "2"}, "none", 0, 1),
    ],
)
def test_styles(headers: dict[str, str], style: str, parent: int, priority: int) -> None:
    for span in _spans(headers, DD_TRACE_PROPAGATION_STYLE=style):
        assert (span["parent_id"], span["metrics"]["_sampling_priority_v1"]) == (parent, priority)


@pytest.mark.parametrize(
    ("headers", "environ", "tags"),
    [
        ({"baggage": "user.id=7"}, {}, {"baggage.user.id": "7"}),
        ({"ot-baggage-plan": "free"}, {}, {}),
        ({"ot-baggage-plan": "free"}, {"DD_TRACE_PROPAGATION_HTTP_BAGGAGE_ENABLED": "1"}, {"baggage.plan": "free"}),
        ({"baggage": "user.id=7"}, {"DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT": "ignore"}, {}),
        (
            {"baggage": "user.id=7", "b3": "1-2-1"},
            {"DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT": "restart"},
            {"baggage.user.id": "7"},
        ),
    ],
)
def test_baggage(headers: dict[str, str], environ: dict[str, str], tags: dict[str, str]) -> None:
    for span in _spans(headers, DD_TRACE_BAGGAGE_TAG_KEYS="user.id,plan", **environ):
        assert {key: value for key, value in span["meta"].items() if key.startswith("baggage.")} == tags
