"""Settings from the environment: their values, their mistakes, and the guessed service."""

from __future__ import annotations

import os
from typing import Any

import pytest

from ddmiddleware.tracing import SETTINGS_TABLE, Tracer
from ddmiddleware.tracing.settings import Settings, guess_service
from tests.tracer.conftest import MakeTracer
from tests.tracer.processes import run


@pytest.mark.parametrize("row", SETTINGS_TABLE, ids=lambda row: row.name)
def test_a_row(row: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert Settings({})[row.name] == row.default
    assert Settings({row.name: ""})[row.name] == row.default
    settings = Settings({})
    settings[row.name] = "from code"
    assert settings[row.name] == "from code"
    assert (Settings({}).source(row.name), settings.source(row.name)) == ("default", "code")
    for name, parse in row.readers[1:]:
        if parse is row.parse and not row.name.startswith("OTEL_EXPORTER_"):  # those have tests of their own
            text = {int: "77", bool: "false", tuple: "none"}.get(type(row.default), "aliased")
            assert Settings({name: text})[row.name] == row.parse(text)
    assert row.help.endswith(".")
    assert caplog.records == []


@pytest.mark.parametrize(
    ("alias", "text", "name", "value"),
    [
        ("OTEL_SERVICE_NAME", "web", "DD_SERVICE", "web"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=web", "DD_SERVICE", "web"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.version=1%2C2", "DD_VERSION", "1,2"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b,deployment.environment=old", "DD_ENV", "old"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=old,deployment.environment.name=new", "DD_ENV", "new"),
        ("OTEL_RESOURCE_ATTRIBUTES", " team = blue ,service.name=web,x=a%20b", "DD_TAGS", {"team": "blue", "x": "a b"}),
        ("OTEL_SDK_DISABLED", "true", "DD_TRACE_ENABLED", False),
        ("OTEL_SDK_DISABLED", "false", "DD_TRACE_ENABLED", True),
        ("OTEL_LOG_LEVEL", "DEBUG", "DD_TRACE_DEBUG", True),
        ("OTEL_LOG_LEVEL", "info", "DD_TRACE_DEBUG", False),
        ("DD_TRACE_AGENT_HOSTNAME", "agent", "DD_AGENT_HOST", "agent"),
        ("DD_AGENT_PORT", "77", "DD_TRACE_AGENT_PORT", 77),
    ],
)
def test_an_alias(alias: str, text: str, name: str, value: object, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings({alias: text})
    assert (settings[name], settings.source(name)) == (value, f"environment {alias}")
    assert caplog.records == []


def test_what_an_alias_does_not_say() -> None:
    settings = Settings({"OTEL_RESOURCE_ATTRIBUTES": "a=b"})
    assert (settings["DD_SERVICE"], settings.source("DD_SERVICE")) == ("", "default")


def test_a_bad_alias_is_reported_under_its_own_name(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings({"OTEL_RESOURCE_ATTRIBUTES": "nonsense", "OTEL_SDK_DISABLED": "flase"})
    assert (settings["DD_SERVICE"], settings["DD_TAGS"], settings["DD_TRACE_ENABLED"]) == ("", {}, True)
    assert [record.getMessage().split("=")[0] for record in caplog.records] == [
        "ddmiddleware: OTEL_RESOURCE_ATTRIBUTES",
        "ddmiddleware: OTEL_SDK_DISABLED",
    ]


@pytest.mark.parametrize("garbage", ["\0", "x y", "-1", "nan", "1e999", "9" * 5000, "flase", "é:\udcff", "a:b,c"])
@pytest.mark.parametrize("row", SETTINGS_TABLE, ids=lambda row: row.name)
def test_a_bad_value_warns_once_and_the_default_is_used(
    row: Any, garbage: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings({row.name: garbage})
    values = [settings[row.name] for _ in range(3)]
    if caplog.records:
        assert values == [row.default] * 3
        (record,) = caplog.records
        assert (record.name, record.levelname) == ("ddmiddleware", "WARNING")
        message = record.getMessage()
        default = "" if row.default == "" else Settings({}).effective()[row.name.lower()]
        assert all(part in message for part in (row.name, "=***" if row.secret else repr(garbage)[:40], "(expected "))
        assert message.endswith("; it counts as unset" if default in ("", "0") or row.secret else f"; using {default}")
        assert len(message) < 700
    else:
        assert values == [row.parse(garbage)] * 3


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("DD_TRACE_ENABLED", "False", False),
        ("DD_TRACE_ENABLED", "0", False),
        ("DD_TRACE_ENABLED", "yes", True),
        ("DD_TAGS", "a:b c:d,e:f:g", {"a": "b", "c": "d", "e": "f:g"}),
        ("DD_PATCH_MODULES", "redis:false,httpx:true", {"redis": False, "httpx": True}),
        ("DD_TRACE_AGENT_URL", "unix:///var/run/a.sock", "unix:///var/run/a.sock"),
        ("DD_TRACE_AGENT_URL", "https://[::1]:8126/x", "https://[::1]:8126/x"),
        ("DD_TRACE_AGENT_URL", "file:///var/spool/app", "file:///var/spool/app"),
        ("DD_TRACE_SPOOL_DIR", "/var/spool/app", "/var/spool/app"),
        ("DD_TRACE_HTTP_SERVER_ERROR_STATUSES", "404, 500-502", frozenset((404, 500, 501, 502))),
        ("DD_TRACE_PROPAGATION_STYLE", "B3Multi, tracecontext,", ("b3multi", "tracecontext")),
        ("DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT", "Restart", "restart"),
        ("DD_TRACE_BAGGAGE_TAG_KEYS", "user.ID, *", ("user.ID", "*")),
        ("DD_TRACE_X_DATADOG_TAGS_MAX_LENGTH", "0", 0),
    ],
)
def test_a_value(name: str, text: str, value: object) -> None:
    assert Settings({name: text})[name] == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DD_TRACE_AGENT_URL", "localhost:8126"),
        ("DD_TRACE_AGENT_URL", "ftp://localhost"),
        ("DD_TRACE_AGENT_URL", "http://"),
        ("DD_TRACE_AGENT_URL", "http://host:port"),
        ("DD_TRACE_AGENT_URL", "http://host:99999"),
        ("DD_TRACE_AGENT_URL", "http://[::1"),
        ("DD_TRACE_AGENT_URL", "http://two words"),
        ("DD_TRACE_AGENT_URL", "http://host\r\n"),
        ("DD_TRACE_AGENT_URL", "unix://"),
        ("DD_TRACE_AGENT_URL", "unix://relative/a.sock"),
        ("DD_TRACE_AGENT_URL", "file://"),
        ("DD_TRACE_AGENT_URL", "file:///"),
        ("DD_TRACE_AGENT_URL", "file://relative/spool"),
        ("DD_TRACE_AGENT_URL", "file:///a%00b"),
        ("DD_TRACE_AGENT_URL", "file:///a?b"),
        ("DD_TRACE_SPOOL_DIR", "relative/spool"),
        ("DD_TRACE_AGENT_PORT", "99999"),
        ("DD_TRACE_AGENT_PORT", "0"),
        ("DD_AGENT_HOST", "http://host"),
        ("DD_AGENT_HOST", "[["),
        ("DD_TRACE_HTTP_SERVER_ERROR_STATUSES", "1-9999999999"),
        ("DD_TRACE_HTTP_SERVER_ERROR_STATUSES", "599-500"),
        ("DD_TRACE_WRITER_MAX_SPANS", "0"),
        ("DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS", "3601"),
        ("DD_TRACE_API_VERSION", "v0.3"),
        ("DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT", "refuse"),
        ("DD_TRACE_X_DATADOG_TAGS_MAX_LENGTH", "513"),
    ],
)
def test_no_such_value(name: str, text: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings({name: text})
    assert settings[name] == Settings({})[name]
    assert settings.agent_address == "http://localhost:8126"
    (record,) = caplog.records
    assert record.getMessage().startswith(f"ddmiddleware: {name}={text!r} is no valid value (")
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, "http://localhost:8126"),
        ({"DD_AGENT_HOST": "agent", "DD_TRACE_AGENT_PORT": "1"}, "http://agent:1"),
        ({"DD_AGENT_HOST": "::1"}, "http://[::1]:8126"),
        ({"DD_AGENT_HOST": "[::1]"}, "http://[::1]:8126"),
        ({"DD_TRACE_AGENT_URL": "https://a", "DD_AGENT_HOST": "b"}, "https://a"),
    ],
)
def test_the_address_of_the_agent(environ: dict[str, str], address: str, make_tracer: MakeTracer) -> None:
    assert Settings(environ).agent_address == address
    assert Tracer(Settings(environ)).agent_trace_url == address


@pytest.mark.parametrize("url", ["nonsense", "http://host:port", "unix://", "http://a b"])
def test_an_unreadable_address_is_one_clear_line(url: str) -> None:
    script = """
import sys
from ddmiddleware import tracer
sys.stderr = sys.stdout
tracer.trace("a").finish()
print("still here")
assert tracer.agent_trace_url == "http://localhost:1"
"""
    out = run(script, url, DD_TRACE_AGENT_PORT="1").splitlines()
    assert next(line for line in out if repr(url) in line).startswith(f"ddmiddleware: DD_TRACE_AGENT_URL={url!r} is no")
    assert "still here" in out
    assert len(out) <= 3, "a line for the setting, at most one for the agent that is not there, and the script's own"


def test_unknown_names_are_mistakes_of_ours() -> None:
    with pytest.raises(KeyError):
        Settings({})["DD_NO_SUCH_THING"]
    with pytest.raises(KeyError):
        Settings({})["DD_NO_SUCH_THING"] = 1


def test_patterns(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings({"DD_TRACE_REDIS_ENABLED": "false", "DD_TRACE_HTTPX_ENABLED": "flase", "DD_REDIS_SERVICE": "c"})
    assert settings.switch("DD_TRACE_REDIS_ENABLED") is False
    assert [settings.switch("DD_TRACE_HTTPX_ENABLED") for _ in range(3)] == [None] * 3
    assert settings.switch("DD_TRACE_FLASK_ENABLED") is None
    assert (settings.text("DD_REDIS_SERVICE"), settings.text("DD_HTTPX_SERVICE")) == ("c", "")
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("command", "service"),
    [
        ("/srv/shop.py", "shop"),
        ("manage.py runserver 0.0.0.0:8000", "manage"),
        ("/usr/bin/gunicorn -b 127.0.0.1:8000 -b unix:/run/s shop.wsgi:application", "shop"),
        ("/usr/bin/uvicorn main:app --port 80", "main"),
        ("/usr/bin/gunicorn shop.web:make_app('prod')", "shop"),
        ("/usr/bin/uvicorn --host ::1 http://x", "uvicorn"),
        ("/lib/python/flask/__main__.py --app hello run", "flask"),
        ("-c", "unnamed-python-service"),
        ("", "unnamed-python-service"),
    ],
)
def test_a_guessed_service(command: str, service: str) -> None:
    assert guess_service(command.split(" ")) == service
    assert guess_service([]) == "unnamed-python-service"


def test_the_service() -> None:
    assert Settings({"DD_SERVICE": "a", "DD_TAGS": "service:b"}).service == "a"
    assert Settings({"OTEL_SERVICE_NAME": "c", "DD_TAGS": "service:b"}).service == "c"
    assert Settings({"DD_TAGS": "service:b"}).service == "b"
    assert Settings().environ is os.environ
