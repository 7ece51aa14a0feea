"""``ddmiddleware config`` and ``ddmiddleware doctor``, as processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ddmiddleware import __version__
from ddmiddleware.integrations import TABLE
from ddmiddleware.tracing import SETTINGS_TABLE
from tests.integrations.servers import HttpServer
from tests.tracer.processes import environment

AWAY = "http://127.0.0.1:9"
CONFIG, DOCTOR = "config", "doctor"

pytestmark = pytest.mark.once

SHOP = """\
import functools
from requests import get
from requests.sessions import Session

send = Session.send


class Api:
    post = Session.send

    class Inner:
        deep = staticmethod(Session.send)


def call(how=Session.send): ...


late = functools.partial(Session.send, None)
TOTAL = 0


def total(price): return price


class Cart:
    def add(self, price): return price
"""


def command(
    *arguments: str, url: str = AWAY, cwd: Path | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run ``ddmiddleware`` with *arguments*."""
    whole = environment(url, **environ)
    arguments = (sys.executable, "-W", "error", "-m", "ddmiddleware", *arguments)
    return subprocess.run(arguments, capture_output=True, text=True, env=whole, cwd=cwd, timeout=60)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A program that holds on to functions of requests in every way that is found."""
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


@pytest.fixture
def agent_url() -> Any:
    """The address of an agent that answers."""
    with HttpServer() as server:
        yield server.url


def test_every_setting_with_its_value_source_and_help() -> None:
    done = command(CONFIG, "--json", DD_ENV="prod", OTEL_SDK_DISABLED="true", DD_APPSEC_ENABLED="1", DD_SERVCE="x")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["mistyped"], found["without_effect"]) == ({"DD_SERVCE": "DD_SERVICE"}, ["DD_APPSEC_ENABLED"])
    settings = found["settings"]
    assert list(settings) == [row.name.lower() for row in SETTINGS_TABLE]
    assert {name: setting["help"] for name, setting in settings.items()} == {
        row.name.lower(): row.help for row in SETTINGS_TABLE
    }
    assert {
        name: (each["value"], each["source"]) for name, each in settings.items() if each["source"] != "default"
    } == {
        "dd_service": ("shop", "environment DD_SERVICE"),
        "dd_env": ("prod", "environment DD_ENV"),
        "dd_trace_enabled": ("false", "environment OTEL_SDK_DISABLED"),
        "dd_trace_agent_url": (AWAY, "environment DD_TRACE_AGENT_URL"),
        "dd_trace_writer_interval_seconds": ("0.02", "environment DD_TRACE_WRITER_INTERVAL_SECONDS"),
    }


def test_what_is_changed() -> None:
    done = command(CONFIG, "--changed", DD_APPSEC_ENABLED="1", DD_SERVCE="x", DD_TRACE_AGENT_URL="http://me:pw@host:1")
    assert (done.returncode, done.stderr) == (0, "")
    helps = {row.name: row.help for row in SETTINGS_TABLE}
    assert done.stdout.splitlines() == [
        "DD_SERVICE = shop  (environment DD_SERVICE)",
        f"    {helps['DD_SERVICE']}",
        "DD_TRACE_AGENT_URL = http://***@host:1  (environment DD_TRACE_AGENT_URL)",
        f"    {helps['DD_TRACE_AGENT_URL']}",
        "DD_TRACE_WRITER_INTERVAL_SECONDS = 0.02  (environment DD_TRACE_WRITER_INTERVAL_SECONDS)",
        f"    {helps['DD_TRACE_WRITER_INTERVAL_SECONDS']}",
        "DD_SERVCE is no setting: is it DD_SERVICE?",
        "DD_APPSEC_ENABLED is of ddtrace, and has no effect here",
    ]


def test_settings_of_single_integrations() -> None:
    given = {"DD_FLASK_SERVICE": "front", "DD_TRACE_REDIS_ENABLED": "false", "DD_TRACE_OTEL_ENABLED": "true"}
    done = command(CONFIG, "--changed", **given, DD_REDIS_DISTRIBUTED_TRACING="maybe", DD_CELERY_WORKER_SERVICE="w")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-8:] == [
        "DD_CELERY_WORKER_SERVICE = w  (environment DD_CELERY_WORKER_SERVICE)",
        "    Of one integration.",
        "DD_FLASK_SERVICE = front  (environment DD_FLASK_SERVICE)",
        "    Of one integration.",
        "DD_TRACE_OTEL_ENABLED = true  (environment DD_TRACE_OTEL_ENABLED)",
        "    Of one integration.",
        "DD_TRACE_REDIS_ENABLED = false  (environment DD_TRACE_REDIS_ENABLED)",
        "    Of one integration.",
    ]
    assert "DD_REDIS_DISTRIBUTED_TRACING='maybe' is no valid value (expected true or false); ignored" in done.stderr


@pytest.mark.parametrize("which", [CONFIG, DOCTOR])
def test_help_and_wrong_use(which: str) -> None:
    assert command(which, "--help").stdout.startswith(f"usage: ddmiddleware {which} [")
    done = command(which, "--nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"ddmiddleware {which}: there is no option --nonsense; see ")


def doctor(*arguments: str, **options: Any) -> tuple[int, dict[str, Any]]:
    """Return the exit status and the report of ``doctor --json``."""
    done = command(DOCTOR, "--json", *arguments, **options)
    return done.returncode, json.loads(done.stdout)


def of(report: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (each for each in report["integrations"] if each["name"] == name)
    return dict(found)


def test_all_is_well(agent_url: str, shop: Path) -> None:
    status, report = doctor("shop", url=agent_url, cwd=shop, DD_TRACE_HTTPX_ENABLED="false", DD_APPSEC_ENABLED="true")
    assert (status, report["problems"]) == (0, [])
    assert (report["version"], report["enabled"]) == (__version__, True)
    assert report["agent"] == {"url": agent_url, "problem": ""}
    assert report["without_effect"] == ["DD_APPSEC_ENABLED"]
    (module,) = report["modules"]
    assert (module["module"], module["error"]) == ("shop", "")
    assert [each["name"] for each in report["integrations"]] == sorted(TABLE)
    requests = of(report, "requests")
    (patched,) = requests.pop("patched")
    assert requests.pop("version")
    assert requests == {
        "name": "requests",
        "installed": True,
        "requires": "requests>=2.25",
        "supported": True,
        "on": True,
        "by": "default",
        "imported": True,
        "missing": [],
        "stale": [],
    }
    assert patched["module"] == "requests.sessions"
    assert patched["where"] == f"{shop / 'shop.py'}:2"
    assert patched["seconds"] > 0
    httpx = of(report, "httpx")
    assert (httpx["on"], httpx["by"], httpx["patched"]) == (False, "environment DD_TRACE_HTTPX_ENABLED", [])
    assert of(report, "sqlite3")["imported"] is False, "loading ours to read its range is no use of the library"


def test_references_that_were_taken_before(agent_url: str, shop: Path) -> None:
    status, report = doctor("--no-patch-first", "shop", url=agent_url, cwd=shop)
    assert status == 1
    path, file = "requests.sessions:Session.send", str(shop / "shop.py")
    assert of(report, "requests")["stale"] == [
        {"name": f"shop:{name}", "path": path, "file": file, "line": line}
        for name, line in (("send", 5), ("Api.post", 9), ("Api.Inner.deep", 12), ("call", 15), ("late", 18))
    ]
    assert report["problems"] == [
        f"shop:{name} still means the original of {path}, and is not traced: {file}:{line}"
        for name, line in (("send", 5), ("Api.post", 9), ("Api.Inner.deep", 12), ("call", 15), ("late", 18))
    ]


def test_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise SystemExit('no database')\n")
    for name, version in (("redis", "3.0"), ("psycopg2-binary", "2.7")):
        info = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    path = f"{tmp_path}:{environment(AWAY)['PYTHONPATH']}"
    done = command(DOCTOR, "broken", "nowhere", cwd=tmp_path, PYTHONPATH=path, DD_SERVCE="x")
    assert done.returncode == 1
    problems = done.stdout.partition("\nproblems:\n")[2].splitlines()
    assert problems == [
        f"  the collector at {AWAY} cannot be reached: Connection refused",
        "  broken cannot be imported: SystemExit: no database",
        "  nowhere cannot be imported: ModuleNotFoundError: No module named 'nowhere'",
        "  DD_SERVCE is no setting: is it DD_SERVICE?",
        "  psycopg 2.7 is not traced: psycopg2>=2.8 is needed",
        "  redis 3.0 is not traced: redis>=4.1 is needed",
    ]
    assert "redis: on (default), 3.0, needs redis>=4.1, not imported\n" in done.stdout


def test_switched_off(agent_url: str) -> None:
    done = command(DOCTOR, url=agent_url, DD_TRACE_ENABLED="false")
    assert (done.returncode, done.stderr) == (0, "")
    assert "switched off: DD_TRACE_ENABLED=false\n" in done.stdout
    assert "redis: off (default), " in done.stdout
    assert done.stdout.endswith("\nall is well\n")


def test_methods(agent_url: str, shop: Path) -> None:
    named = "shop:total,Cart.add,TOTAL,nothing;nowhere:f"
    status, report = doctor("shop", url=agent_url, cwd=shop, DD_TRACE_METHODS=named)
    methods = of(report, "methods")
    assert (methods["on"], methods["by"]) == (True, "environment DD_TRACE_METHODS")
    assert [each["module"] for each in methods["patched"]] == ["shop"]
    assert (status, report["problems"]) == (1, ["DD_TRACE_METHODS names shop:nothing, which is not there"])
