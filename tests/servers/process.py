"""A server from the distribution, started on a free port for the time of the tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from types import TracebackType
from typing import TypeVar

_Self = TypeVar("_Self", bound="ServerProcess")


class ServerProcess:
    """Runs a binary that listens on *port*; where it is not installed the tests are skipped, or fail in CI."""

    def __init__(self, port: int, binary: str, *options: str) -> None:
        self.port = port
        self._binary = binary
        self._options = options

    def __enter__(self: _Self) -> _Self:
        binary = shutil.which(self._binary)
        if binary is None:
            import pytest  # processes that use a server which runs need none of it

            if os.environ.get("REQUIRE_SERVICES") == "1":
                pytest.fail(f"{self._binary} is not installed")
            pytest.skip(f"{self._binary} is not installed")
        self._process = subprocess.Popen([binary, *self._options], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except ConnectionRefusedError:
                assert self._process.poll() is None, f"{self._binary} ended"
                assert time.monotonic() < deadline, f"{self._binary} does not answer"
                time.sleep(0.01)
            else:
                return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(10)
