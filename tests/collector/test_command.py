"""The command: its start, its messages and its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ddmiddleware.collector import main
from tests.collector.conftest import Collector
from tests.collector.payloads import new_trace_id, span, v04


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ddmiddleware.collector", *arguments],
        capture_output=True, text=True, timeout=30, check=False, env={**os.environ, **env},
    )  # fmt: skip


def test_help() -> None:
    done = run("--help")
    assert done.returncode == 0
    for word in ("--host", "--port", "--store", "--max-age", "--max-size", "--allow-host", "--verbose", "8126", "24h"):
        assert word in done.stdout


def test_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("--port", str(port), "--store", "memory")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"ddmiddleware collector: port {port} on 127.0.0.1 is in use;"
        " is a Datadog agent or another collector running? Stop it, or choose another --port\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("--port", "70000"),
        ("--port", "x"),
        ("--max-age", "0h"),
        ("--max-age", "5"),
        ("--max-size", "1k"),
        ("--max-size", "1x"),
    ],
)
def test_bad_arguments(arguments: tuple[str, str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert f"argument {arguments[0]}: must be" in done.stderr


def test_an_address_that_is_not_here() -> None:
    done = run("--host", "203.0.113.7", "--port", "0", "--store", "memory")
    assert done.returncode == 1
    assert "cannot listen on 203.0.113.7" in done.stderr


def test_a_file_that_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_text("hello, I am no database, just some text\n" * 50)
    done = run("--port", "0", "--store", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"ddmiddleware collector: {path}: file is not a database; the file is damaged")
    assert "Traceback" not in done.stderr


def test_missing_extra(tmp_path: Path) -> None:
    # A folder first on the path, whose starlette cannot be imported, is as good as none.
    (tmp_path / "starlette.py").write_text("raise ModuleNotFoundError('no', name='starlette')")
    (tmp_path / "uvicorn.py").write_text("")
    done = run(PYTHONPATH=f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    assert done.returncode == 1
    assert done.stderr == (
        "ddmiddleware collector: starlette is not installed; run: pip install 'ddmiddleware[collector]'\n"
    )


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys; before = set(sys.modules); import ddmiddleware.collector;"
        "print({'starlette', 'uvicorn', 'jinja2', 'sqlite3', 'ssl'} & (set(sys.modules) - before))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_writing(tmp_path: Path, number: int) -> None:
    path = str(tmp_path / "a.db")
    running = Collector(store=path)
    assert running.ready == f"collector listening on {running.url} (traces in {path})\n"
    lows = [new_trace_id() for _ in range(2_000)]
    # A kept-alive connection must not hold it back.
    with socket.create_connection(("127.0.0.1", running.port)) as idle:
        idle.sendall(b"GET /info HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(10)
        running.send(*([span(low)] for low in lows))
        began = time.monotonic()
        assert running.stop(number) == ""
    assert running.process.returncode == 0
    assert time.monotonic() - began < 4
    again = Collector(store=path)
    assert again.get(f"/traces/{lows[-1]:032x}.json").status == 200
    assert again.stop() == ""


def test_default_store(tmp_path: Path) -> None:
    running = Collector(store=None, XDG_STATE_HOME=str(tmp_path))
    assert f"(traces in {tmp_path}/ddmiddleware/collector.db)" in running.ready
    assert running.stop() == ""


def test_default_store_that_is_not_writable() -> None:
    running = Collector(store=None, XDG_STATE_HOME="/proc/nowhere")
    folder = Path(running.ready.split("(traces in ")[1].strip(" )\n")).parent
    assert folder.stat().st_mode & 0o077 == 0
    errors = running.stop()
    assert errors.startswith(
        "collector: /proc/nowhere/ddmiddleware/collector.db is not writable; traces are kept until"
    )
    assert not folder.exists()


def test_verbose_logs_requests() -> None:
    running = Collector("--verbose")
    running.get("/info")
    assert '"GET /info HTTP/1.1" 200' in running.stop()


def test_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    running = Collector("--host", "::1", shown="[::1]")
    with socket.create_connection(("::1", running.port)) as connection:
        connection.sendall(f"GET /info HTTP/1.0\r\nHost: [::1]:{running.port}\r\n\r\n".encode())
        assert b" 200 " in connection.recv(100)
    assert running.stop() == ""


def test_many_clients_at_once(collector: Collector) -> None:
    lows = [new_trace_id() for _ in range(40)]
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda low=low: statuses.append(collector.post(v04([[span(low)]])).status))
        for low in lows
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert statuses == [200] * 40
    for low in lows:
        collector.trace(low)


def test_main_returns_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["--help"])
    assert raised.value.code == 0
    assert "usage: ddmiddleware collector" in capsys.readouterr().out
