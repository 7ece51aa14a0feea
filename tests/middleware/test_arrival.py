"""What settings ask for of requests at frameworks that are servers themselves, and have neither environ nor scope."""

from __future__ import annotations

import pytest

from ddmiddleware._arrival import begin
from ddmiddleware._request import Excluded
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.recorder import Recorder
from tests.middleware.interfaces import put
from tests.middleware.requests_by_hand import span

HEADERS = [("Host", "testserver"), ("X-Team", "blue"), ("x-team", "red"), ("X-Forwarded-For", "8.8.8.8")]


@pytest.mark.parametrize("component", ["aiohttp", "tornado"])
def test_settings(recorder: Recorder, component: str) -> None:
    put("DD_TRACE_HEADER_TAGS", "X-Team,X-Answer")
    put("DD_HTTP_SERVER_TAG_QUERY_STRING", "true")
    put("DD_TRACE_CLIENT_IP_ENABLED", "true")
    put("DD_TRACE_EXCLUDED_URLS", "/health")
    request = begin(component, "GET", "http", "/x", "page=1", HEADERS, "10.0.0.1")
    assert request is not None
    request.answered(200, [("X-Answer", "yes")])
    request.finish()
    active.set(None)
    tags = {
        "http.request.headers.x-team": "blue,red",
        "http.response.headers.x-answer": "yes",
        "http.client_ip": "8.8.8.8",
        "network.client.ip": "10.0.0.1",
    }
    assert recorder.take() == [span(component, None, "/x?page=1", tags=tags)]
    excluded = begin(component, "GET", "http", "/health", "", HEADERS)
    assert isinstance(excluded, Excluded)
    with default_tracer.trace("inside"):
        excluded.answered(200)
    excluded.finish()
    active.set(None)
    assert recorder.take() == []
