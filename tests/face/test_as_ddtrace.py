"""ddtrace's names for this suite: the modules, and the same ones under the name ddtrace."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import ddmiddleware
from ddmiddleware import constants, contrib, ext
from ddmiddleware.integrations import TABLE
from ddmiddleware.testing import HostileAgent
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.expected import child, root
from tests.tracer.processes import environment, run

# What the user's own document shows, and the imports around it.
DOCUMENT = """
from ddtrace import Pin, config, patch, patch_all, tracer
from ddtrace.constants import ERROR_MSG, MANUAL_KEEP_KEY
from ddtrace.context import Context
from ddtrace.contrib.redis import get_version, patch as patch_redis, unpatch
from ddtrace.contrib.wsgi import DDWSGIMiddleware
from ddtrace.ext import SpanKind, SpanTypes, http
from ddtrace.filters import FilterRequestsOnUrl, TraceFilter
from ddtrace.trace import Span, Tracer
import ddtrace.ext.sql as sql

patch_all(redis=False, cassandra=False)

@tracer.wrap("business")
def business_logic():
    with tracer.trace("interesting.operations", service="other", resource="r", span_type=SpanTypes.SQL) as span:
        span.set_tag(http.URL, "http://x/")

business_logic()
span = tracer.trace("operations.of.interest")
span.finish()
"""


def test_the_document_runs_under_the_other_name() -> None:
    with RecordingAgent() as agent:
        run("import ddmiddleware.as_ddtrace\n" + DOCUMENT, agent.url)
        expected = [
            root("business"),
            child("interesting.operations", 2, service="other", resource="r", type="sql"),
            root("operations.of.interest", 3, 2),
        ]
        expected[1]["meta"] = {"http.url": "http://x/", "_dd.base_service": "shop"}
        expected[1]["metrics"] = {"_dd.top_level": 1}
        assert plain(agent.spans) == expected


def test_the_command(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(DOCUMENT + "import ddmiddleware, ddtrace; print(ddtrace is ddmiddleware)")
    command = [sys.executable, "-m", "ddmiddleware", "run"]
    environ = environment("http://127.0.0.1:9", DD_TRACE_ENABLED="false")
    done = subprocess.run(
        [*command, "--as-ddtrace", sys.executable, script], env=environ, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
    done = subprocess.run([*command, sys.executable, script], env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "No module named 'ddtrace'" in done.stderr


ALIASES = """
import importlib, sys
import ddmiddleware.as_ddtrace
for name in sys.argv[1:]:
    alias = importlib.import_module("ddtrace" + name)
    ours = importlib.import_module("ddmiddleware" + name)
    assert alias is ours is sys.modules["ddmiddleware" + name], name
    assert ours.__name__ == ours.__spec__.name == "ddmiddleware" + name, ours.__spec__
for name in ("internal", "tracing", "integrations", "collector", "as_ddtrace", "nonsense.more"):
    try:
        importlib.import_module("ddtrace." + name)
    except ModuleNotFoundError as error:
        assert error.name.startswith("ddtrace."), error.name
    else:
        raise AssertionError(name)
"""


def test_every_module_is_the_same_one() -> None:
    names = ["", ".trace", ".span", ".context", ".filters", ".pin", ".provider", ".constants", ".auto", ".profiling"]
    for package in (ext, contrib):
        short = package.__name__.removeprefix("ddmiddleware")
        names += [short, *(f"{short}.{module.name}" for module in pkgutil.iter_modules(package.__path__))]
    run(ALIASES, "http://127.0.0.1:9", *names, *(f".contrib.{name}" for name in TABLE))


SHADOW = """
import sys
sys.path.insert(0, sys.argv[1])
import ddmiddleware.as_ddtrace
import ddtrace, ddtrace.real
assert ddtrace.REAL
for name in ("ddtrace.constants", "ddtrace.contrib"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise AssertionError(name)
"""


def test_a_real_ddtrace_is_never_shadowed(tmp_path: Path) -> None:
    (tmp_path / "ddtrace").mkdir()
    (tmp_path / "ddtrace" / "__init__.py").write_text("REAL = True\n")
    (tmp_path / "ddtrace" / "real.py").write_text("")
    run(SHADOW, "http://127.0.0.1:9", str(tmp_path))


@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_module_for_each_integration(name: str) -> None:
    module = importlib.import_module(f"ddmiddleware.contrib.{name}")
    assert callable(module.patch)
    assert callable(module.unpatch)
    module.unpatch()


# By module, what ddtrace 1.x or 4.x has there and programs import.
NAMES = {
    "": "Pin Span Tracer DDTraceDeprecationWarning __version__ config patch patch_all tracer",
    "trace": "BaseContextProvider Context Pin Span TraceFilter Tracer tracer",
    "span": "Span",
    "context": "Context",
    "filters": "FilterRequestsOnUrl TraceFilter",
    "provider": "BaseContextProvider DefaultContextProvider",
    "pin": "Pin",
    "sampler": "AllSampler BaseSampler DatadogSampler RateByServiceSampler RateSampler SamplingRule",
    "sampling_rule": "SamplingRule",
    "version": "get_version",
    "runtime": "RuntimeMetrics",
    "opentelemetry": "TracerProvider",
    "profiling": "Profiler",
    "profiling.profiler": "Profiler DdtraceProfilerEventLoopPolicy",
    "propagation.http": "HTTPPropagator",
    "constants": "AUTO_KEEP AUTO_REJECT BASE_SERVICE_KEY ENV_KEY ERROR_MSG ERROR_STACK ERROR_TYPE FILTERS_KEY"
    " HOSTNAME_KEY MANUAL_DROP_KEY MANUAL_KEEP_KEY ORIGIN_KEY PID"
    " SAMPLING_AGENT_DECISION SAMPLING_LIMIT_DECISION SAMPLING_PRIORITY_KEY"
    " SAMPLING_RULE_DECISION SERVICE_KEY SERVICE_VERSION_KEY SPAN_KIND SPAN_MEASURED_KEY USER_KEEP USER_REJECT"
    " VERSION_KEY _ORIGIN_KEY _SAMPLING_PRIORITY_KEY _SPAN_MEASURED_KEY _BASE_SERVICE_KEY ANALYTICS_SAMPLE_RATE_KEY"
    " KEEP_SPANS_RATE_KEY NUMERIC_TAGS SINGLE_SPAN_SAMPLING_MECHANISM",
    "ext": "SpanKind SpanLinkKind SpanTypes",
    "ext.aws": "AGENT OPERATION REGION",
    "ext.kafka": "CONSUME PRODUCE TOPIC",
    "ext.net": "PEER_HOSTNAME SERVER_ADDRESS TARGET_HOST TARGET_IP TARGET_PORT",
    "ext.priority": "AUTO_KEEP AUTO_REJECT USER_KEEP USER_REJECT",
    "contrib.wsgi": "DDWSGIMiddleware",
    "contrib.asgi": "TraceMiddleware span_from_scope",
    "contrib.aiohttp": "trace_app",
    "contrib.bottle": "TracePlugin",
    "contrib.cherrypy": "TraceMiddleware",
    "contrib.falcon": "TraceMiddleware",
    "contrib.flask": "TraceMiddleware patch unpatch",
    "contrib.django": "TraceMiddleware patch unpatch",
    "contrib.celery": "get_version patch patch_app unpatch unpatch_app",
    "contrib.pyramid": "trace_pyramid",
    "contrib.requests": "get_version patch unpatch",
    "contrib.sqlalchemy": "get_version patch trace_engine unpatch",
    "contrib.trace_utils": "activate_distributed_headers distributed_tracing_enabled ext_service"
    " extract_netloc_and_query_info_from_url flatten_dict int_service iswrapped set_flattened_tags set_http_meta"
    " set_user unwrap with_traced_module with_traced_module_async wrap",
}


@pytest.mark.parametrize("module", NAMES)
def test_names(module: str) -> None:
    found = importlib.import_module(f"ddmiddleware.{module}".rstrip("."))
    missing = [name for name in NAMES[module].split() if not hasattr(found, name)]
    assert missing == []


def test_modules_are_attributes() -> None:
    script = """
import ddmiddleware.as_ddtrace
import ddtrace
assert ddtrace.ext.SpanTypes.WEB == "web" and ddtrace.ext.http.URL == "http.url"
assert ddtrace.constants.ENV_KEY == "env" and ddtrace.filters.TraceFilter is ddtrace.trace.TraceFilter
assert ddtrace.propagation.http.HTTPPropagator and ddtrace.context.Context and ddtrace.span.Span and ddtrace.sampler
assert ddtrace.provider.DefaultContextProvider and ddtrace.pin.Pin is ddtrace.Pin and ddtrace.version.get_version()
assert not hasattr(ddtrace, "nonsense") and not hasattr(ddtrace.ext, "nonsense")
"""
    run(script, "http://127.0.0.1:9")


def test_no_constant_is_made_up() -> None:
    for name in ("_nonsense", "__path__", "_names_", "NONSENSE", "_"):
        assert not hasattr(constants, name)


@pytest.mark.parametrize("profiled", ["true", "false"])
def test_auto(profiled: str) -> None:
    script = """
import sys
import ddmiddleware.auto
assert ("ddmiddleware.profiling.auto" in sys.modules) is (sys.argv[1] == "true")
import sqlite3
assert hasattr(sqlite3.connect, "__wrapped__")
"""
    with HostileAgent("closes_idle") as agent:
        run(script, agent.url, profiled, DD_PROFILING_ENABLED=profiled)


def test_single_clients() -> None:
    script = """
import celery, requests, sqlalchemy
from ddmiddleware import Pin, config
from ddmiddleware.contrib.celery import patch_app, unpatch_app
from ddmiddleware.contrib.requests import TracedSession
from ddmiddleware.contrib.sqlalchemy import trace_engine
assert TracedSession is requests.Session and hasattr(TracedSession.send, "__wrapped__")
app = celery.Celery("jobs", broker="memory://")
assert patch_app(app, Pin(service="jobs")) is app and Pin.get_from(app).service == "jobs"
assert unpatch_app(app) is app
engine = sqlalchemy.create_engine("sqlite://")
trace_engine(engine, service="store")
assert config.sqlalchemy.service == "store"
with engine.connect() as connection:
    connection.execute(sqlalchemy.text("select 1"))
engine.dispose()
"""
    with RecordingAgent() as agent:
        run(script, agent.url)
        assert {span["service"] for span in agent.spans} == {"store"}


def test_unknown_names() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("ddmiddleware.contrib.nonsense")
    with pytest.raises(AttributeError, match="nonsense"):
        ddmiddleware.nonsense  # noqa: B018  # reading it is the test
