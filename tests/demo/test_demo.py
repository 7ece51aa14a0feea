"""The demo, run as a user runs it: `python -m example_apps.demo`."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "example_apps.demo")

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def environ(tmp_path):
    """A stranger's environment: none of our settings, and a temporary folder that must be empty again in the end."""
    ours = ("DD_", "OTEL_", "_DDMIDDLEWARE", "PYTHONPATH", "CI")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    yield {**clean, "TMPDIR": str(tmp_path), "COLUMNS": "100", "PYTHONUNBUFFERED": "1"}
    assert not list(tmp_path.iterdir())
    assert not running(f"TMPDIR={tmp_path}")


def running(variable):
    """The command lines of the processes that were given a variable."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if variable.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_text())
        except OSError:  # ended meanwhile, or another user's
            continue
    return found


def run(environ, *options):
    done = subprocess.run([*COMMAND, *options], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert not done.stderr
    return done.returncode, done.stdout


def test_every_check_holds(environ):
    status, output = run({**environ, "CI": "true"}, "--requests", "80")
    assert status == 0, output
    assert "80 of 80 requests" in output
    spans = re.search(r"All checks held: 80 requests, each traced exactly once, (\d+) spans\.", output)
    assert spans, output
    assert int(spans[1]) > 200
    assert re.search(r"^GET /products/<int:product_id> +\d+ +0 +[\d.]+ m?s +[\d.]+ m?s +\d+\.\d$", output, re.MULTILINE)
    assert re.search(r"^GET /warehouses/{warehouse}/stock/{sku} +\d+ +0 ", output, re.MULTILINE)
    assert re.search(r"^websocket /v1/products/{sku}/live +\d+ +0 ", output, re.MULTILINE)
    assert re.search(r"^GET /suppliers +(\d+) +\1 ", output, re.MULTILINE)
    assert re.search(r"^flask\.request POST /checkout +shop +[\d.]+ m?s", output, re.MULTILINE)
    assert re.search(r"^│  │  └─ starlette\.request POST /reserve +inventory +[\d.]+ m?s", output, re.MULTILINE)
    assert re.search(r"^Viewer +http://127\.0\.0\.1:\d+/$", output, re.MULTILINE)


def test_a_missing_integration_fails_the_demo(environ):
    status, output = run({**environ, "CI": "true", "DD_TRACE_SQLITE3_ENABLED": "false"}, "--requests", "45")
    assert status == 1, output
    assert re.search(r"^GET /products/<int:product_id> +\d+ ", output, re.MULTILINE)
    assert re.search(r"^  GET / \(trace [0-9a-f]{32}\): 0 SQLite spans, not 2 at least$", output, re.MULTILINE)
    assert "All checks held" not in output


def test_untraced_services_fail_the_demo(environ):
    status, output = run({**environ, "CI": "true", "DD_TRACE_ENABLED": "false"}, "--requests", "50")
    assert status == 1, output
    assert re.search(r"^\d+ checks failed$", output, re.MULTILINE)
    assert "0 spans, not 1, continue the caller's trace: none" in output


def test_a_service_that_does_not_start(environ):
    status, output = run({**environ, "GUNICORN_CMD_ARGS": "--no-such-option"})
    assert status == 1, output
    assert "The demo stops: shop ended with status" in output
    assert "unrecognized arguments: --no-such-option" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_interrupted(environ, number):
    with subprocess.Popen((*COMMAND, "--requests", "50"), cwd=ROOT, env=environ, stdout=-1, text=True) as demo:
        lines = []
        for line in demo.stdout:
            lines.append(line)
            if line.startswith("The services stay up"):
                break
        port = int(re.search(r"Viewer +http://127\.0\.0\.1:(\d+)/", "".join(lines))[1])
        socket.create_connection(("127.0.0.1", port)).close()
        demo.send_signal(number)
        assert demo.wait(30) == 0, "".join(lines)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_an_interrupt_while_it_works(environ):
    with subprocess.Popen(COMMAND, cwd=ROOT, env=environ, stdout=-1, text=True) as demo:
        assert demo.stdout.readline().startswith("collector  http://")
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 130
        assert demo.stdout.read().endswith("Stopped.\n")


@pytest.mark.skipif(not pathlib.Path("/proc/self/environ").exists(), reason="needs /proc to see the services start")
@pytest.mark.parametrize("service", ["ddmiddleware.collector", "uvicorn", "gunicorn"])
def test_an_interrupt_while_it_starts(environ, service):
    with subprocess.Popen(COMMAND, cwd=ROOT, env=environ, stdout=-1, text=True) as demo:
        while not any(service in command for command in running(f"TMPDIR={environ['TMPDIR']}")):
            assert demo.poll() is None
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 130
        assert demo.stdout.read() == "Stopped.\n"


def test_help(environ):
    status, output = run(environ, "--help")
    assert status == 0
    assert "--requests N" in output
    assert "CI=true" in output


@pytest.mark.parametrize("options", [("--requests", "5"), ("--requests", "x"), ("--at-once", "0"), ("more",)])
def test_wrong_options(environ, options):
    done = subprocess.run([*COMMAND, *options], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 2
    assert "usage: python -m example_apps.demo" in done.stderr
