"""A real collector in a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.collector.payloads import v04

ROOT = Path(__file__).parent.parent.parent
DEADLINE_S = 15

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


class Answer:
    """A response, read whole."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Collector:
    """A running `python -m ddmiddleware.collector` on a free port."""

    def __init__(self, *options: str, store: str | None = "memory", shown: str = "127.0.0.1", **env: str) -> None:
        chosen = [] if store is None else ["--store", store]
        # A file, because nobody reads a pipe meanwhile.
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # open as long as the process runs
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ddmiddleware.collector", "--port", "0", *chosen, *options],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **env},
        )
        assert self.process.stdout
        self.ready = self.process.stdout.readline()
        match = re.search(rf"http://{re.escape(shown)}:(\d+)", self.ready)
        assert match, self.stop()
        self.port = int(match[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            named = {key.replace("_", "-"): value for key, value in headers.items()}
            connection.request(method, path, body, named)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path: str, **query: Any) -> Answer:
        return self.request("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, body: bytes, path: str = "/v0.4/traces", method: str = "POST", **headers: str) -> Answer:
        return self.request(method, path, body, **{"Content_Type": "application/msgpack", **headers})

    def send(self, *traces: list[dict[str, Any]]) -> None:
        assert self.post(v04(list(traces))).status == 200

    def wait_for(self, wanted: Callable[[], Any]) -> Any:
        """Return what the function returns as soon as that is true."""
        until = time.monotonic() + DEADLINE_S
        while not (found := wanted()):
            assert time.monotonic() < until, "it did not come"
            time.sleep(0.01)
        return found

    def trace(self, trace_id: int, spans: int = 1) -> Any:
        """Return the JSON of a trace as soon as it has so many spans."""

        def found() -> Any:
            data = self.get(f"/traces/{trace_id:032x}.json").json
            return data if data.get("spans_total", 0) >= spans else None

        return self.wait_for(found)

    def stop(self, number: int = signal.SIGTERM) -> str:
        """Stop it as a service manager does, or the keyboard; return what it wrote to stderr."""
        self.process.send_signal(number)
        self.process.communicate(timeout=DEADLINE_S)
        with self._errors:
            self._errors.seek(0)
            return self._errors.read()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    errors = running.stop()
    assert running.process.returncode == 0
    assert "Traceback" not in errors


@pytest.fixture
def fresh() -> Iterator[Collector]:
    """A collector without any trace, for this test alone."""
    running = Collector()
    yield running
    if running.process.poll() is None:
        running.stop()
    assert running.process.returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def missing(what: str) -> None:
    """Skip, or fail where everything has to be there."""
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        missing(str(CHROMIUM))
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        missing("playwright")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that fails the test for anything in its console, a refused policy included."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    # The icon is still on its way when a test goes on to the next page.
    opened.on(
        "requestfailed",
        lambda request: request.failure == "net::ERR_ABORTED" or complaints.append(f"{request.url} {request.failure}"),
    )
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    yield opened
    context.close()
    assert complaints == []
    origins = {"/".join(url.split("/")[:3]) for url in asked}
    assert len(origins) == 1, f"remote assets: {origins}"
