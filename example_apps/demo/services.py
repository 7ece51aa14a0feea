"""Starts the demo's processes, waits until they are ready, and stops them again."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_S = 30
STOP_S = 10
POLL_S = 0.05
TAIL_LINES = 25
WORKERS = 2
# A profile a minute is for services that run all day.
PROFILE_S = 3

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_UVICORN = ("ddmiddleware-run", "uvicorn", "--host", "127.0.0.1", "--port", "0", "--timeout-keep-alive", "75")
_GUNICORN = (
    "ddmiddleware-run",
    "gunicorn",
    "--workers",
    str(WORKERS),
    "--preload",
    "--bind",
    "127.0.0.1:0",
    "--graceful-timeout",
    "3",
)
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


class ServiceError(Exception):
    """A service did not start, or is not there any more; the message ends with the last lines of its log."""


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold signals back until the block is done, so that no process is started and then forgotten."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


class Service:
    """A process with its log; *url* is the address that it said it listens at."""

    def __init__(self, name: str, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self.url = ""
        with log.open("wb") as output:
            # A session of its own: Ctrl-C in the terminal reaches the demo only, which stops all in the right order.
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self) -> str:
        """Return what the service has printed so far."""
        return self.log.read_text(errors="replace")

    def wait(self, ready: str, times: int = 1) -> None:
        """Wait until the log holds *ready* that many times, and take the address from it; raise ServiceError."""
        deadline = time.monotonic() + START_S
        while (text := self.text()).count(ready) < times:
            self.check()
            if time.monotonic() > deadline:
                raise self._error(f"has not said {ready!r} within {START_S} s")
            time.sleep(POLL_S)
        if found := _ADDRESS.search(text):
            self.url = found[0]

    def check(self) -> None:
        """Raise ServiceError when the process has ended."""
        if (status := self._process.poll()) is not None:
            raise self._error(f"ended with status {status}")

    def _error(self, what: str) -> ServiceError:
        tail = "\n".join(f"  {line}" for line in self.text().splitlines()[-TAIL_LINES:])
        return ServiceError(f"{self.name} {what}; its log ends with\n{tail or '  (nothing)'}")

    def stop(self) -> None:
        """Ask the process to end, and end it and its workers when it does not."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class Services:
    """All processes of the demo and their temporary folder, from entering the context to leaving it."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="ddmiddleware-demo-")
        self.folder = Path(self._temporary.name)
        self._bin = Path(sys.executable).parent
        self._running: list[Service] = []
        self.redis = shutil.which("redis-server") is not None

    def __enter__(self) -> "Services":
        return self

    def __exit__(self, *_: object) -> None:
        with uninterrupted():
            while self._running:
                self._running.pop().stop()
            self._temporary.cleanup()

    def start(self) -> None:
        """Start all, each when those that it calls are ready; raise ServiceError."""
        folder = str(self.folder)
        self.collector = self._start(
            "collector",
            [sys.executable, "-m", "ddmiddleware.collector", "--port", "0", "--store", f"{folder}/collector.db"],
        )
        self.collector.wait("collector listening on http://127.0.0.1:")
        if self.redis:
            # A socket, for port 0 means none to Redis, and a port found free now may be taken a moment later.
            self._start(
                "redis",
                ["redis-server", "--port", "0", "--unixsocket", f"{folder}/redis.sock", "--save", "", "--dir", folder],
            ).wait("eady to accept connections")
        traced = {
            "DD_TRACE_AGENT_URL": self.collector.url,
            "DD_ENV": "demo",
            "DD_PROFILING_ENABLED": "true",
            "DD_PROFILING_UPLOAD_INTERVAL": str(PROFILE_S),
        }
        self.inventory = self._start("inventory", [*_UVICORN, "example_apps.inventory.app:app"], traced)
        self.inventory.wait("Uvicorn running on http://127.0.0.1:")
        self.reviews = self._start(
            "reviews", [*_UVICORN, "example_apps.reviews.app:app"], {**traced, "INVENTORY_URL": self.inventory.url}
        )
        self.reviews.wait("Uvicorn running on http://127.0.0.1:")
        self.shop = self._start(
            "shop",
            [*_GUNICORN, "example_apps.shop.app:app"],
            {
                **traced,
                "SHOP_DATABASE": f"{folder}/shop.db",
                "INVENTORY_URL": self.inventory.url,
                "REVIEWS_URL": self.reviews.url,
                "REDIS_URL": f"unix://{folder}/redis.sock" if self.redis else "",
            },
        )
        self.catalog = self._start(
            "catalog",
            [*_GUNICORN, "example_apps.catalog.wsgi"],
            {**traced, "CATALOG_DATABASE": f"{folder}/catalog.db", "INVENTORY_URL": self.inventory.url},
        )
        self.shop.wait("Booting worker with pid", WORKERS)
        self.catalog.wait("Booting worker with pid", WORKERS)

    def _start(self, name: str, command: Sequence[str], environ: Mapping[str, str] | None = None) -> Service:
        base = {
            **os.environ,
            "PATH": f"{self._bin}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONUNBUFFERED": "1",
            "XDG_RUNTIME_DIR": str(self.folder),  # for gunicorn's control socket, which else goes to the home folder
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        executable = shutil.which(command[0], path=base["PATH"])
        if executable is None:
            raise ServiceError(f"{name}: {command[0]} is not installed; install ddmiddleware[demo]")
        with uninterrupted():
            service = Service(
                name,
                [executable, *command[1:]],
                {**base, "DD_SERVICE": name, **(environ or {})},
                self.folder / f"{name}.log",
            )
            self._running.append(service)
        return service

    def check(self) -> None:
        """Raise ServiceError when one of the services has ended."""
        for service in self._running:
            service.check()
