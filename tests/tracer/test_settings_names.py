"""Names in the environment that are no settings, and what the settings in force look like."""

from __future__ import annotations

import re

import pytest

from ddmiddleware.tracing import SETTINGS_TABLE
from ddmiddleware.tracing.settings import Settings
from ddmiddleware.tracing.settings_names import sorted_out
from ddmiddleware.tracing.settings_text import masked, shown
from tests.recording_agent import RecordingAgent
from tests.tracer.processes import run


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("DD_SERVCE", "DD_SERVICE"),
        ("DD_TRACE_ENABLE", "DD_TRACE_ENABLED"),
        ("DD_TRACE_AGENT_ULR", "DD_TRACE_AGENT_URL"),
        ("DD_TRACE_REDSI_ENABLED", "DD_TRACE_REDIS_ENABLED"),
        ("DD_REDIS_SERVCE", "DD_REDIS_SERVICE"),
        ("DD_REDIS_DISTRIBUTED_TRACIN", "DD_REDIS_DISTRIBUTED_TRACING"),
        ("DD_TRACE_QQQ", ""),
    ],
)
def test_mistyped(name: str, nearest: str) -> None:
    assert sorted_out([name], ["redis"]) == ({name: nearest}, [])


@pytest.mark.parametrize(
    "name",
    [
        "DD_APPSEC_ENABLED",
        "DD_LLMOBS_ENABLED",
        "DD_REMOTE_CONFIGURATION_ENABLED",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED",
        "DD_CRASHTRACKING_ENABLED",
        "DD_TRACE_KAFKA_ENABLED",
        "DD_TRACE_FLASK_ENABLED",
        "DD_BOTOCORE_EMPTY_POLL_ENABLED",
        "DD_REDIS_CMD_MAX_LENGTH",
        "DD_API_SECURITY_ENABLED",
        "DD_PROFILING_STACK_UVLOOP",
        "DD_PROFILING_PYTORCH_ENABLED",
    ],
)
def test_of_ddtrace(name: str) -> None:
    assert sorted_out([name], ["redis"]) == ({}, [name])


@pytest.mark.parametrize(
    "name", ["DD_LOGS_ENABLED", "DD_PROCESS_AGENT_ENABLED", "DD_KUBERNETES_KUBELET_HOST", "DDT", "PATH", "XDD_SERVCE"]
)
def test_of_somebody_else(name: str) -> None:
    assert sorted_out([name], ["redis"]) == ({}, [])


def test_every_name_of_ours_is_known() -> None:
    names = [name for row in SETTINGS_TABLE for name in (row.name, *row.aliases)]
    assert sorted_out([*names, "DD_TRACE_REDIS_ENABLED", "DD_REDIS_SERVICE"], ["redis"]) == ({}, [])


def test_mistyped_names_are_one_warning_in_the_process(agent: RecordingAgent) -> None:
    script = """
import os, sys
sys.stderr = sys.stdout
from ddmiddleware import patch_all, tracer
print("imported", "difflib" in sys.modules)
patch_all()
patch_all()
tracer.trace("a").finish()
tracer.flush()
sys.stdout.flush()
if os.fork() == 0:
    patch_all()
    tracer.trace("b").finish()
    sys.exit()
os.wait()
"""
    names = {"DD_SERVCE": "x", "DD_TRACE_SAMPEL": "1", "DD_TRACE_REDIS_ENABLED": "false", "DD_APPSEC_ENABLED": "true"}
    out = run(script, agent.url, **names).splitlines()
    assert out[0] == "imported False"
    (line,) = out[1:]
    assert re.fullmatch(
        r"ddmiddleware: no setting of ours, and without effect: DD_SERVCE \(is it DD_SERVICE\?\), DD_TRACE_SAMPEL.*",
        line,
    )


def test_switched_off_nothing_is_said(agent: RecordingAgent) -> None:
    script = "from ddmiddleware import patch_all, tracer; patch_all(); tracer.trace('a').finish()"
    assert run(script, agent.url, DD_SERVCE="x", DD_TRACE_ENABLED="false") == ""


def test_settings_are_logged_at_the_start_where_wanted(agent: RecordingAgent) -> None:
    script = """
import logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(levelname)s %(message)s")
from ddmiddleware import tracer
tracer.trace("a").finish()
tracer.trace("b").finish()
"""
    assert run(script, agent.url) == ""
    out = run(script, agent.url, DD_TRACE_STARTUP_LOGS="true", DD_ENV="prod")
    assert out.startswith("INFO ddmiddleware: configuration: {'dd_service': 'shop', 'dd_env': 'prod', ")
    assert out.count("\n") == 1


@pytest.mark.parametrize("variable", ["AWS_LAMBDA_FUNCTION_NAME", "K_SERVICE", "FUNCTION_NAME", "WEBSITE_SITE_NAME"])
def test_a_platform_names_the_service(variable: str) -> None:
    settings = Settings({variable: "there"})
    assert settings.found("DD_SERVICE") == ("there", f"environment {variable}")
    assert Settings({variable: "there", "DD_TAGS": "service:tagged"}).found("DD_SERVICE")[0] == "tagged"


def test_effective_values_and_their_sources() -> None:
    settings = Settings(
        {
            "DD_TAGS": "env:prod,version:7,team:blue",
            "OTEL_SERVICE_NAME": "web",
            "DD_AGENT_HOST": "agent",
            "DD_TRACE_API_VERSION": "v9",
        }
    )
    settings["DD_LOGS_INJECTION"] = False
    values, sources = settings.effective(), settings.sources()
    assert list(values) == list(sources) == [row.name.lower() for row in SETTINGS_TABLE]
    assert all(type(value) is str for value in values.values())
    assert {name: (values[name], source) for name, source in sources.items() if source != "default"} == {
        "dd_service": ("web", "environment OTEL_SERVICE_NAME"),
        "dd_env": ("prod", "environment DD_TAGS"),
        "dd_version": ("7", "environment DD_TAGS"),
        "dd_tags": ("env:prod,version:7,team:blue", "environment DD_TAGS"),
        "dd_agent_host": ("agent", "environment DD_AGENT_HOST"),
        "dd_trace_agent_url": ("http://agent:8126", "environment DD_AGENT_HOST"),
        "dd_logs_injection": ("false", "code"),
    }
    assert Settings({}).found("DD_SERVICE")[1] == "command line"


@pytest.mark.parametrize("row", SETTINGS_TABLE, ids=lambda row: row.name)
def test_a_default_is_shown_as_what_can_be_set(row: object) -> None:
    name: str = row.name  # type: ignore[attr-defined]  # a row
    text = shown(Settings({}), name)
    if text not in ("", "0") and name not in ("DD_SERVICE", "DD_TRACE_AGENT_URL"):  # 0: it depends on others
        settings = Settings({name: text})
        assert settings[name] == Settings({})[name]
        assert settings.source(name) == f"environment {name}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (None, ""),
        (1.5, "1.5"),
        (frozenset((500, 404, 501, 502)), "404,500-502"),
        (frozenset(), ""),
        ({"b", "a"}, "a,b"),
        (("x", 1), "x,1"),
        ({"redis": False}, "redis:false"),
        ([{"service": "a"}], "service:a"),
        ([range], "[<class 'range'>]"),
        ({"a": range}, "{'a': <class 'range'>}"),
    ],
)
def test_a_value_as_text(value: object, text: str) -> None:
    settings = Settings({})
    settings["DD_TAGS"] = value
    assert shown(settings, "DD_TAGS") == text


def test_secrets_are_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings({"DD_TRACE_AGENT_URL": "https://me:p@ss@host:1/x", "DD_AGENT_HOST": "http://me:pw@host"})
    assert settings["DD_TRACE_AGENT_URL"] == "https://me:p@ss@host:1/x"
    assert settings.effective()["dd_trace_agent_url"] == "https://***@host:1/x"
    assert settings.effective()["dd_agent_host"] == "localhost"
    assert "http://***@host" in caplog.text
    assert "pw" not in caplog.text
    assert masked("OTEL_EXPORTER_OTLP_HEADERS", "api-key=1") == masked("DD_API_KEY", "1") == "***"
    assert masked("DD_TRACE_BAGGAGE_TAG_KEYS", "user.id") == "user.id"
