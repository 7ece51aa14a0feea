"""A folder of payloads, taken in by the collector."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ddmiddleware.collector.limits import Limits
from ddmiddleware.collector.spool import Spool
from ddmiddleware.collector.store import Store
from tests.collector.conftest import DEADLINE_S, Collector
from tests.collector.payloads import new_trace_id, span, v05
from tests.collector.test_store import count, wait

SCRIPT = """
import sys
from ddmiddleware import tracer
with tracer.trace("shop.request", resource="GET /cart") as request:
    tracer.trace("child").finish()
tracer.flush()
print(f"{request.trace_id:032x}", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def spooling(folder: Path) -> Iterator[Collector]:
    """A collector that was there before the folder."""
    running = Collector("--spool", str(folder))
    yield running
    if running.process.poll() is None:
        running.stop()
    assert running.process.returncode == 0


def write(folder: Path, body: bytes, name: str = "1-1-1-1.v05") -> Path:
    """Write a file as a tracer does."""
    folder.mkdir(exist_ok=True)
    unfinished = folder / f"{name}.part"
    unfinished.write_bytes(body)
    return unfinished.rename(folder / name)


def service(folder: Path) -> subprocess.Popen[str]:
    """Start a traced process that waits after its first trace."""
    env = {name: text for name, text in os.environ.items() if not name.startswith(("DD_", "OTEL_"))}
    env.update(DD_SERVICE="shop", DD_TRACE_AGENT_URL=f"file://{folder}")
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def traced(process: subprocess.Popen[str]) -> str:
    """Return the id of the trace that a service has written."""
    assert process.stdout
    return process.stdout.readline().strip()


def shown(collector: Collector, trace_id: str) -> Any:
    """Return the names of a trace's spans as soon as the collector has it."""

    def found() -> Any:
        return collector.get(f"/traces/{trace_id}.json").json.get("spans_total")

    return collector.wait_for(found)


def test_processes_that_are_killed(folder: Path) -> None:
    """Two share the folder; one is killed before there is any collector, the other while it runs."""
    processes = [service(folder) for _ in range(2)]
    ids = [traced(process) for process in processes]
    processes[0].send_signal(signal.SIGKILL)
    collector = Collector("--spool", str(folder))
    for trace_id in ids:
        assert shown(collector, trace_id) == 2
    collector.wait_for(lambda: not list(folder.iterdir()))
    processes[1].send_signal(signal.SIGKILL)
    for process in processes:
        process.communicate(timeout=DEADLINE_S)
    assert collector.stop() == ""
    assert list(folder.iterdir()) == []


def test_a_folder_that_comes_later(spooling: Collector, folder: Path) -> None:
    low = new_trace_id()
    path = write(folder, v05([[span(low)]]))
    spooling.trace(low)
    spooling.wait_for(lambda: not path.exists())


def test_garbage_and_half_files(folder: Path) -> None:
    low = new_trace_id()
    body = v05([[span(low)]])
    bad = {
        "2-1-1-1.v05": b"",
        "3-1-1-1.v05": body[: len(body) // 2],
        "4-1-1-1.v05": os.urandom(5_000),
        "5-1-1-1.v05": b"\x92\xdd\xff\xff\xff\xff" + b"\x90" * 1_000,
        "6-1-1-1.v05.part": body,
        "7-1-1-1.v04": body,
        "notes.txt": b"mine",
    }
    for name, content in bad.items():
        write(folder, content, name)
    (folder / "8-1-1-1.v05").mkdir()
    (folder / "9-1-1-1.v05").symlink_to(folder / "7-1-1-1.v04")
    good = write(folder, body, "99-1-1-1.v05")
    collector = Collector("--spool", str(folder))
    collector.trace(low)
    collector.wait_for(lambda: not good.exists())
    assert {path.name for path in folder.iterdir()} == {*bad, "8-1-1-1.v05", "9-1-1-1.v05"}
    # What was half a file and is whole now is taken.
    other = new_trace_id()
    half = folder / "3-1-1-1.v05"
    half.write_bytes(v05([[span(other)]]))
    collector.trace(other)
    collector.wait_for(lambda: not half.exists())
    errors = collector.stop()
    assert errors.startswith(f"collector: spool {folder}: left 2-1-1-1.v05 where it is: ")
    assert errors.count("\n") == 1


def test_a_file_that_is_too_large(folder: Path) -> None:
    low = new_trace_id()
    large = write(folder, b"")
    with large.open("r+b") as file:
        file.truncate(50 * 2**20 + 1)
    write(folder, v05([[span(low)]]), "2-1-1-1.v05")
    collector = Collector("--spool", str(folder))
    collector.trace(low)
    assert "larger than" in collector.stop()
    assert large.exists()


def test_kept(folder: Path) -> None:
    low, later = new_trace_id(), new_trace_id()
    path = write(folder, v05([[span(low)]]))
    collector = Collector("--spool", str(folder), "--keep-spool")
    collector.trace(low)
    write(folder, v05([[span(later)]]), "2-1-1-1.v05")
    collector.trace(later)
    assert collector.get(f"/traces/{low:032x}.json").json["spans_total"] == 1
    assert collector.stop() == ""
    assert path.exists()


def test_nothing_is_removed_before_it_is_stored(tmp_path: Path, folder: Path) -> None:
    store = Store(tmp_path / "a.db", Limits(10**15, 2**30))
    holder = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")  # the store's writer now waits
    paths = [write(folder, v05([[span(new_trace_id())]]), f"{number}-1-1-1.v05") for number in range(3)]
    spool = Spool(folder, store, keep=False, interval_s=0.01)
    # Taken, all three, and looked at again.
    wait(lambda: len(spool._unwritten) == 3)
    write(folder, b"", "9-1-1-1.v05")
    wait(lambda: "9-1-1-1.v05" in spool._taken)
    assert all(path.exists() for path in paths)
    holder.execute("ROLLBACK")
    holder.close()
    wait(lambda: not any(path.exists() for path in paths))
    spool.stop()
    wait(lambda: count(store) == 3)
    assert store.close(DEADLINE_S)


def test_a_store_that_has_enough_for_now(tmp_path: Path, folder: Path) -> None:
    """What does not fit into its queue stays in the folder, and is taken once."""
    store = Store(tmp_path / "a.db", Limits(10**15, 2**30), queue_bytes=1)
    for number in range(20):
        write(folder, v05([[span(new_trace_id())] for _ in range(5)]), f"{number}-1-1-5.v05")
    spool = Spool(folder, store, keep=False, interval_s=0.001)
    wait(lambda: not list(folder.iterdir()))
    spool.stop()
    wait(lambda: count(store) == 100)
    assert store.close(DEADLINE_S)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch()
    command = [sys.executable, "-m", "ddmiddleware.collector", "--port", "0", "--spool", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 2
    assert "argument --spool: must be a folder" in done.stderr
