"""Passwords, tokens, card numbers, e-mail addresses and literals, pushed through every path: none of them is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.integrations.servers import HttpServer, RedisServer
from tests.recording_agent import RecordingAgent
from tests.tracer.processes import run

CANARIES = {
    "password": "Canary-Passw0rd",
    "opaque token": "canarytoken8f3a9b2c4d5e6f70",
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOjF9.c2lnbmVkLWNhbmFyeQ",
    "AWS key": "AKIACANARYCANARY0001",
    "card": "4111111111111111",
    "e-mail": "canary.bird@example.com",
    "literal": "canary literal",
    "number": "918273645546",
    "session": "canary0session",
}
SCRIPT = "from runpy import run_module; run_module('tests.canary_app', run_name='__main__', alter_sys=False)"
LOG_FIELDS = ["dd.env", "dd.service", "dd.span_id", "dd.trace_id", "dd.version"]


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The ports of an HTTP server and of Redis."""
    with HttpServer() as http, RedisServer(tmp_path_factory.mktemp("redis")) as redis:
        yield str(http.port), str(redis.port)


def sent(ports: tuple[str, str], **environ: str) -> bytes:
    """Take every path; return all bytes that came at the agent."""
    with RecordingAgent() as agent:
        printed = run(SCRIPT, agent.url, json.dumps(list(CANARIES.values())), *ports, **environ)
        assert json.loads(printed) == LOG_FIELDS
        assert len(agent.spans) > 40
        return b"".join(request.body for request in agent.requests)


@pytest.mark.parametrize("version", ["v0.4", "v0.5"])
def test_no_canary_is_sent(ports: tuple[str, str], version: str) -> None:
    body = sent(ports, DD_TRACE_API_VERSION=version)
    found = {name: _around(body, canary) for name, canary in CANARIES.items() if canary.encode() in body}
    assert not found


def test_without_redaction_all_are_sent(ports: tuple[str, str]) -> None:
    """That is, the test above looks at the right paths."""
    body = sent(ports, DD_TRACE_REDACTION_ENABLED="false")
    assert [name for name, canary in CANARIES.items() if canary.encode() not in body] == []


def _around(body: bytes, canary: str) -> str:
    at = body.index(canary.encode())
    return body[max(at - 200, 0) : at + 100].decode("utf-8", "replace")
