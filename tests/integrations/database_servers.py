"""Real databases on free ports: one of each serves the whole test session."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integrations.servers import free_port

_QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
# Neither needs to outlive a crash, which is what costs the time.
_POSTGRES = ("-c", "fsync=off", "-c", "unix_socket_directories=", "-c", "shared_buffers=16MB")
_MARIADB = ("--no-defaults", "--bind-address=127.0.0.1", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0")


@contextlib.contextmanager
def postgres() -> Iterator[int]:
    """Run PostgreSQL, with user and database ``postgres`` and no password, and give its port."""
    initdb, server = _binary("initdb"), _binary("postgres")
    with _directory("postgres") as data:
        user = _as("postgres")
        made = (initdb, "-D", str(data), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")
        subprocess.run(made, check=True, cwd="/", **user, **_QUIET)
        port = free_port()
        command = (server, "-D", str(data), "-h", "127.0.0.1", "-p", str(port), *_POSTGRES)
        with _running(command, port, user, signal.SIGINT):
            yield port


@contextlib.contextmanager
def mariadb() -> Iterator[int]:
    """Run MariaDB, with user ``root``, no password and a database ``test``, and give its port."""
    install, server = _binary("mariadb-install-db"), _binary("mariadbd")
    with _directory("mysql") as data:
        user = _as("mysql")
        made = (install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal")
        subprocess.run(made, check=True, cwd="/", **user, **_QUIET)
        port = free_port()
        command = (server, *_MARIADB, f"--datadir={data}", f"--socket={data}/socket", f"--port={port}")
        with _running(command, port, user, signal.SIGTERM):
            yield port


def _binary(name: str) -> str:
    """Return the path of a server's program; Debian hides those of PostgreSQL."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    found = found or next(iter(sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)), None)
    if found is None:
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


def _as(user: str) -> dict[str, Any]:
    """Return how to start a process as *user*: neither server runs as root, and nobody else can change to another."""
    return {"user": user, "group": user, "extra_groups": ()} if os.geteuid() == 0 else {}


@contextlib.contextmanager
def _directory(user: str) -> Iterator[str]:
    """Give an empty directory that belongs to *user*; those of pytest let nobody else pass."""
    with tempfile.TemporaryDirectory(prefix=f"ddmiddleware-{user}-") as name:
        if os.geteuid() == 0:
            shutil.chown(name, user, user)
        yield name


@contextlib.contextmanager
def _running(command: tuple[str, ...], port: int, user: dict[str, Any], end: int) -> Iterator[None]:
    process = subprocess.Popen(command, cwd="/", **user, **_QUIET)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except ConnectionRefusedError:
                assert process.poll() is None, f"{command[0]} ended"
                assert time.monotonic() < deadline, f"{command[0]} does not answer"
                time.sleep(0.01)
        yield
    finally:
        process.send_signal(end)
        process.wait(60)
