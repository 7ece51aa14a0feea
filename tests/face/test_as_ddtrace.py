"""ddtrace's names for this suite: the modules, and the same ones under the name ddtrace."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import ddmiddleware
from ddmiddleware import contrib, ext
from ddmiddleware.integrations import TABLE
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


def test_unknown_names() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("ddmiddleware.contrib.nonsense")
    with pytest.raises(AttributeError, match="nonsense"):
        ddmiddleware.nonsense  # noqa: B018  # reading it is the test
