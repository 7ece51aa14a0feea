"""``ddmiddleware.config``: what code sets holds at once, for what is patched already too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

import ddmiddleware
from ddmiddleware import config
from ddmiddleware.asgi import TraceMiddleware
from ddmiddleware.integrations import TABLE, options_of
from tests.integrations.recorder import Recorder
from tests.integrations.servers import HttpServer
from tests.middleware.requests_by_hand import ask_asgi
from tests.recording_agent import RecordingAgent
from tests.tracer.processes import PATIENT, run

AWAY = "http://127.0.0.1:9"

SERVE = """
import os
from ddmiddleware import config, patch_all, tracer
import flask, requests
from tests.middleware.requests_by_hand import ask_wsgi
patch_all(logging=False)
app = flask.Flask("app")

@app.get("/<name>")
def hello(name):
    try:
        requests.get(os.environ["CALLED"], timeout=5)
    except requests.RequestException:
        pass
    return "x", int(name), {"X-Answer": " yes "}

def ask(path="/200", **changes):
    ask_wsgi(app, path, **changes)

ask(HTTP_X_DATADOG_TRACE_ID="7", HTTP_X_DATADOG_PARENT_ID="8")
%s
ask("/404", HTTP_X_DATADOG_TRACE_ID="7", HTTP_X_DATADOG_PARENT_ID="8", HTTP_X_TEAM="blue", HTTP_X_USER="eve",
    QUERY_STRING="page=1")
tracer.flush()
"""


@pytest.fixture
def agent() -> Iterator[RecordingAgent]:
    """An agent that records."""
    with RecordingAgent() as agent:
        yield agent


@pytest.fixture(scope="module")
def _server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture(autouse=True)
def called(_server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> HttpServer:
    """What the application calls."""
    monkeypatch.setenv("CALLED", _server.url)
    _server.requests.clear()
    return _server


def served(agent: RecordingAgent, changes: str, **environ: str) -> list[dict[str, Any]]:
    """Return the request of flask and of requests, before and after *changes*."""
    run(SERVE % changes, agent.url, **environ)
    spans = [span for span in agent.spans if span["name"] in ("flask.request", "requests.request")]
    return sorted(spans, key=lambda span: int(span["start"]))


def test_globals(agent: RecordingAgent) -> None:
    before, _, after, client = served(
        agent,
        "config.service = 'late'; config.env = 'prod'; config.version = '2'; config.tags['team'] = 'blue';"
        "config.service_mapping = {'requests': 'calls'}; config.http_server.error_statuses = '404,500-599'",
    )
    assert (before["service"], before["error"], before["meta"].get("env")) == ("shop", 0, None)
    assert (after["service"], after["error"]) == ("late", 1)
    assert {key: after["meta"].get(key) for key in ("env", "version", "team")} == {
        "env": "prod",
        "version": "2",
        "team": "blue",
    }
    assert (client["service"], client["meta"]["_dd.base_service"]) == ("calls", "late")
    assert "version" not in client["meta"]


@pytest.mark.parametrize(
    "changes",
    [
        "config.flask['service_name'] = 'web'; config.requests['service'] = 'calls'",
        "config.flask.service = 'web'; config.requests.service_name = 'calls'",
    ],
)
def test_a_service_of_one_integration(agent: RecordingAgent, changes: str) -> None:
    spans = served(agent, changes)
    assert [span["service"] for span in spans] == ["shop", "requests", "web", "calls"]


@pytest.mark.parametrize(
    ("environ", "services"),
    [
        ({"DD_FLASK_SERVICE": "web", "DD_REQUESTS_SERVICE_NAME": "calls"}, ["web", "calls"]),
        ({"DD_TRACE_REMOVE_INTEGRATION_SERVICE_NAMES_ENABLED": "true"}, ["shop", "shop"]),
        ({"DD_TRACE_SPAN_ATTRIBUTE_SCHEMA": "v1"}, ["shop", "shop"]),
        ({"DD_TRACE_SPAN_ATTRIBUTE_SCHEMA": "v1", "DD_REQUESTS_SERVICE": "calls"}, ["shop", "calls"]),
    ],
)
def test_services_by_the_environment(agent: RecordingAgent, environ: dict[str, str], services: list[str]) -> None:
    assert [span["service"] for span in served(agent, "", **environ)] == services * 2


@pytest.mark.parametrize("option", ["distributed_tracing", "distributed_tracing_enabled"])
def test_distributed_tracing_in_code(agent: RecordingAgent, called: HttpServer, option: str) -> None:
    before, _, after, _ = served(agent, f"config.flask[{option!r}] = False; config.requests.{option} = False")
    assert (before["trace_id"], before["parent_id"]) == (7, 8)
    assert after["trace_id"] != 7
    assert after["parent_id"] == 0
    assert [trace is not None for trace in called.header("x-datadog-trace-id")] == [True, False]


def test_distributed_tracing_by_the_environment(agent: RecordingAgent, called: HttpServer) -> None:
    switches = {"DD_FLASK_DISTRIBUTED_TRACING": "false", "DD_REQUESTS_DISTRIBUTED_TRACING_ENABLED": "0"}
    before, *_ = served(agent, "", **switches)
    assert before["trace_id"] != 7
    assert [trace is not None for trace in called.header("x-datadog-trace-id")] == [False, False]


def http_tags(span: dict[str, Any]) -> dict[str, str]:
    return {
        key: value for key, value in span["meta"].items() if key.startswith(("http.query", "http.re")) or key == "team"
    }


def test_headers_and_query_strings(agent: RecordingAgent) -> None:
    before, _, after, _ = served(
        agent,
        "config.trace_headers(['X-User', 'x-answer']); config.http.trace_query_string = True;"
        "assert config.flask.http.trace_query_string is config.flask['trace_query_string'] is True",
    )
    assert http_tags(before) == {}
    assert http_tags(after) == {
        "http.request.headers.x-user": "eve",
        "http.response.headers.x-answer": "yes",
        "http.query.string": "page=1",
    }


def test_headers_of_one_integration(agent: RecordingAgent) -> None:
    before, _, after, _ = served(
        agent,
        "config.flask.http.trace_headers({'X-Team': 'team'}); config.flask.http.trace_query_string = True",
        DD_TRACE_HEADER_TAGS="x-answer:http.reply",
    )
    assert http_tags(before) == {"http.reply": "yes"}
    assert http_tags(after) == {"team": "blue", "http.query.string": "page=1"}


@pytest.mark.parametrize(
    "headers", ["X-Team:team, X-User", ["X-Team:team", "X-User"], {"X-Team": "team", "x-user": ""}]
)
def test_headers_as_they_are_written(headers: Any) -> None:
    try:
        config.asgi.http.trace_headers(headers)
        assert options_of("asgi").header_tags == {"x-team": "team", "x-user": ""}
    finally:
        options_of("asgi").set("header_tags", None)


def test_headers_and_query_strings_of_asgi(recorder: Recorder) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Answer", b"yes")]})
        await send({"type": "http.response.body"})

    headers = [(b"host", b"testserver"), (b"x-team", b"blue")]
    options = options_of("asgi")
    try:
        config.asgi.http.trace_headers(["X-Team", "X-Answer"])
        config.asgi.http.trace_query_string = True
        asyncio.run(ask_asgi(TraceMiddleware(app), headers=headers, query_string=b"page=1"))
    finally:
        options.set("header_tags", None)
        options.set("query_string", None)
    asyncio.run(ask_asgi(TraceMiddleware(app), headers=headers, query_string=b"page=1"))
    tagged, plain = recorder.take()
    added = {
        "http.request.headers.x-team": "blue",
        "http.response.headers.x-answer": "yes",
        "http.query.string": "page=1",
    }
    assert tagged["tags"] == {**plain["tags"], **added}


def test_values_and_sources() -> None:
    script = """
import asyncio
import json
from ddmiddleware import config
config.env = "prod"
assert config.service == "shop" and config.env == "prod" and config.version == "7"
assert config.tags == {"a": "b"} and config.service_mapping == {}
config.tags = "a:c"
config.service_mapping["x"] = "y"
del config.tags["a"]
config.tags["n"] = 1
config.http_server.error_statuses = "none such"
assert config.http_server.error_statuses == "500-599"
print(json.dumps([config.effective(), config.sources()]))
"""
    process = run("import sys; sys.stderr = sys.stdout\n" + script, AWAY, DD_VERSION="7", DD_TAGS="a:b").splitlines()
    assert process[0].startswith("ddmiddleware: DD_TRACE_HTTP_SERVER_ERROR_STATUSES cannot be 'none such' (")
    values, sources = json.loads(process[1])
    others = {"default", *(f"environment {name}" for name in PATIENT)}
    changed = {name: (values[name], source) for name, source in sources.items() if source not in others}
    assert changed == {
        "dd_service": ("shop", "environment DD_SERVICE"),
        "dd_env": ("prod", "code"),
        "dd_version": ("7", "environment DD_VERSION"),
        "dd_tags": ("n:1", "code"),
        "dd_service_mapping": ("x:y", "code"),
        "dd_trace_agent_url": (AWAY, "environment DD_TRACE_AGENT_URL"),
        "dd_trace_writer_interval_seconds": ("0.02", "environment DD_TRACE_WRITER_INTERVAL_SECONDS"),
    }


@pytest.mark.parametrize("name", [*TABLE, "asgi", "wsgi"])
def test_every_integration_has_options(name: str) -> None:
    options = getattr(config, name)
    assert options is getattr(config, name)
    assert name in dir(config)
    assert options.distributed_tracing is options["distributed_tracing_enabled"] is True
    assert "service_name" in options
    assert "nothing" not in options
    assert options.get("nothing", 3) == 3


def test_settings_of_one_integration() -> None:
    script = """
from ddmiddleware import config
config.django["instrument_databases"] = False
config.django.cache_service_name = "pages"
config.django.include_user_name = "yes"
config.flask.trace_signals = True
config.flask["instrument_steps"] = "perhaps"
assert config.django["instrument_databases"] is False and config.django.include_user_name is True
assert "trace_signals" in config.flask and "trace_signals" not in config.django
print(*(value for name, value in config.effective().items() if config.sources()[name] == "code"))
"""
    out = run("import sys; sys.stderr = sys.stdout\n" + script, AWAY).splitlines()
    assert out == [
        "ddmiddleware: DD_FLASK_INSTRUMENT_STEPS cannot be 'perhaps' (expected true or false); it stays as it was",
        "true false pages true",
    ]


def test_a_switch_may_be_text(caplog: pytest.LogCaptureFixture) -> None:
    options = options_of("asgi")
    try:
        config.asgi["distributed_tracing"] = "false"
        config.asgi.http.trace_query_string = "on"
        assert (options.distributed_tracing, options.query_string) == (False, True)
        config.asgi.distributed_tracing_enabled = "perhaps"
        assert options.distributed_tracing is False
    finally:
        options.set("distributed_tracing", None)
        options.set("query_string", None)
    assert caplog.messages == [
        "ddmiddleware: config.asgi.distributed_tracing_enabled cannot be 'perhaps' (expected true or false);"
        " it stays as it was"
    ]


def test_a_library_that_only_ddtrace_traces(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        config.botocore["distributed_tracing"] = False
        config.botocore.service = "aws"
    assert caplog.messages == ["ddmiddleware: config.botocore has no effect: there is no integration of that name"]


def test_mistyped_names(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AttributeError, match=r"config has no 'flsk'; is it 'flask'\?"):
        _ = config.flsk
    with pytest.raises(AttributeError, match=r"config.flask has no option 'servce'; is it 'service'\?"):
        _ = config.flask.servce
    with pytest.raises(KeyError):
        _ = config.flask["zzz"]
    with pytest.raises(AttributeError):
        _ = ddmiddleware.confg  # type: ignore[attr-defined]  # that is the point
    assert caplog.records == []
    config.flask["servce_name"] = "web"
    config.servce = "web"
    assert config.flask["servce_name"] == "web", "who reads what it has set itself finds it"
    assert [record.getMessage() for record in caplog.records] == [
        "ddmiddleware: config.flask has no option 'servce_name', it has no effect; is it 'service_name'?",
        "ddmiddleware: config has no 'servce' to set, it has no effect; is it 'service'?",
    ]
