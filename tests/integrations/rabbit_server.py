"""A real RabbitMQ on a free port."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

import pytest

from tests.integrations.servers import free_port

_READY_S = 90
_WORDS = b"AMQP\x00\x00\x09\x01"  # AMQP 0-9-1, section 4.2.2: what a client says first


class RabbitServer:
    """``rabbitmq-server``, with an epmd of its own that ends with it; it is ready after 10 to 30 seconds."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self._epmd_port = free_port()
        self._environ = {
            **os.environ,
            "HOME": str(directory),
            "RABBITMQ_NODENAME": f"ddmiddleware{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(directory),
            "RABBITMQ_LOG_BASE": str(directory),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RABBITMQ_PID_FILE": str(directory / "pid"),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
        }

    def __enter__(self) -> RabbitServer:
        binary = Path("/usr/lib/rabbitmq/bin/rabbitmq-server").resolve()
        epmd = shutil.which("epmd")
        if not binary.is_file() or epmd is None:
            if os.environ.get("REQUIRE_SERVICES") == "1":
                pytest.fail("rabbitmq-server is not installed")
            pytest.skip("rabbitmq-server is not installed")
        quiet = {"env": self._environ, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        # Not as a daemon, which it would start itself: that one would stay.
        self._epmd = subprocess.Popen([epmd, "-address", "127.0.0.1", "-port", str(self._epmd_port)], **quiet)  # type: ignore[call-overload]
        self._process = subprocess.Popen([str(binary)], start_new_session=True, **quiet)  # type: ignore[call-overload]
        deadline = time.monotonic() + _READY_S
        while not self._answers():
            assert self._process.poll() is None, "rabbitmq-server ended"
            assert time.monotonic() < deadline, "rabbitmq-server does not answer"
            time.sleep(0.05)
        return self

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(_WORDS)
            return bool(connection.recv(1))
        return False

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)  # it has nothing to keep, and takes seconds to stop
        self._process.wait(10)
        self._epmd.terminate()
        self._epmd.wait(10)
