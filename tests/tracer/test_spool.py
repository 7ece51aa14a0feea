"""Payloads as files: what is in them, who may read them, how many there are, and what a broken disk costs."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddmiddleware.tracing import Tracer, reach
from ddmiddleware.tracing.export.spool import SpoolExporter, folder_of
from ddmiddleware.tracing.settings import Settings
from tests.recording_agent import decode, plain
from tests.tracer.conftest import MakeTracer
from tests.tracer.expected import child, root
from tests.tracer.processes import WAIT_S, run, start


def files(folder: Path) -> list[Path]:
    """Return the files of a spool by age; nothing else may be there."""
    found = sorted(folder.iterdir(), key=lambda path: int(path.name.split("-")[0]))
    assert all(path.suffix == ".v05" for path in found)
    return found


def names(folder: Path) -> list[str]:
    return [
        span["name"] for path in files(folder) for chunk in decode("/v0.5/traces", path.read_bytes()) for span in chunk
    ]


def _work(tracer: Tracer, *names: str) -> bool:
    for name in names:
        tracer.trace(name).finish()
    return tracer.flush()


def test_what_the_agent_would_get(tmp_path: Path, make_tracer: MakeTracer) -> None:
    folder = tmp_path / "not yet" / "there"
    tracer = make_tracer(f"file://{tmp_path}/not%20yet/there")
    with tracer.trace("a"):
        tracer.trace("b").finish()
    assert tracer.flush()
    (path,) = files(folder)
    (chunk,) = decode("/v0.5/traces", path.read_bytes())
    assert plain(chunk) == [root("a"), child("b", 2)]
    _, pid, sequence, spans = path.name.removesuffix(".v05").split("-")
    assert (int(pid), int(sequence), int(spans)) == (os.getpid(), 1, 2)
    assert tracer.stats()["sent"] == 2


def test_only_the_owner_may_read_it(tmp_path: Path, make_tracer: MakeTracer) -> None:
    before = os.umask(0)
    try:
        assert _work(make_tracer(f"file://{tmp_path}/spool"), "a")
    finally:
        os.umask(before)
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    assert files(tmp_path / "spool")[0].stat().st_mode & 0o777 == 0o600


def test_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = {"DD_TRACE_AGENT_URL": "file:///from/url"}
    assert folder_of(Settings({**url, "DD_TRACE_SPOOL_DIR": "/from/setting"})) == "/from/setting"
    assert folder_of(Settings(url)) == "/from/url"
    assert folder_of(Settings({"XDG_STATE_HOME": "/state"})) == "/state/ddmiddleware/spool"
    monkeypatch.setenv("HOME", "/home/me")
    assert folder_of(Settings({"XDG_STATE_HOME": "relative"})) == "/home/me/.local/state/ddmiddleware/spool"


def test_reach(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert reach(Settings({"DD_TRACE_AGENT_URL": f"file://{tmp_path}/new/spool"})) == ""
    assert reach(Settings({"DD_TRACE_AGENT_URL": f"file://{tmp_path}/file/spool"})) == "Not a directory"


def test_the_oldest_of_ones_own_make_room(
    tmp_path: Path, make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture
) -> None:
    tracer = make_tracer(f"file://{tmp_path}", DD_TRACE_SPOOL_MAX_BYTES=str(4 * 4096))
    (tmp_path / "1-1-1-9.v05").write_bytes(b"another's")
    for number in range(6):
        assert _work(tracer, f"span {number}")
    assert files(tmp_path)[0].name == "1-1-1-9.v05"
    (tmp_path / "1-1-1-9.v05").unlink()
    assert names(tmp_path) == ["span 3", "span 4", "span 5"]
    assert (tracer.stats()["sent"], tracer.stats()["dropped"]) == (6, 3)
    (record,) = caplog.records
    assert record.getMessage() == (
        f"ddmiddleware: {tmp_path} is full: the oldest traces are removed; read it with: ddmiddleware collector --spool"
    )


def test_what_was_taken_is_not_counted_as_lost(tmp_path: Path, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(f"file://{tmp_path}", DD_TRACE_SPOOL_MAX_BYTES=str(4 * 4096))
    for number in range(20):
        assert _work(tracer, f"span {number}")
        files(tmp_path)[0].unlink()
    assert tracer.stats()["dropped"] == 0


def test_processes_of_the_past_make_room(tmp_path: Path, make_tracer: MakeTracer) -> None:
    """Workers come and go; what they left counts too. Of what is no file of a spool nothing is ever removed."""
    for number in range(10):
        (tmp_path / f"{number}-1-{number}-5.v05").write_bytes(b"x" * 5000)
    (tmp_path / "1-1-1-1.v05.part").write_bytes(b"")
    (tmp_path / "notes.v05").write_bytes(b"x" * 50_000)
    os.symlink(tmp_path / "notes.v05", tmp_path / "0-1-99-1.v05")
    tracer = make_tracer(f"file://{tmp_path}", DD_TRACE_SPOOL_MAX_BYTES=str(5 * 4096))
    assert _work(tracer, "a")
    left = sorted(path.name for path in tmp_path.iterdir() if f"-{os.getpid()}-" not in path.name)
    assert left == ["0-1-99-1.v05", "8-1-8-5.v05", "9-1-9-5.v05", "notes.v05"]
    assert tracer.stats()["dropped"] == 8 * 5


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk(small_disk: Path, make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ddmiddleware")
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 60_000)
    tracer = make_tracer(f"file://{small_disk}", DD_TRACE_WRITER_BUFFER_SIZE_BYTES="20000")
    for number in range(4):
        tracer.trace(f"span {number}", resource="x" * 9_000).finish()
        delivered = tracer.flush()
    assert not delivered
    assert [path for path in small_disk.iterdir() if path != ballast] == []
    ballast.unlink()
    assert tracer.flush()
    assert names(small_disk) == ["span 2", "span 3"]
    assert [(record.levelname, record.getMessage().split(":", 1)[1]) for record in caplog.records] == [
        (
            "WARNING",
            f" cannot write traces to {small_disk}: No space left on device;"
            " up to 19 KiB are kept and written when it works again",
        ),
        ("INFO", f" traces are written to {small_disk} again; 2 spans were dropped"),
    ]
    assert tracer.stats()["dropped"] == 2


def test_a_folder_that_cannot_be_made(
    tmp_path: Path, make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "spool"
    place.write_text("a file")
    tracer = make_tracer(f"file://{place}")
    for _ in range(3):
        assert not _work(tracer, "a")
    (record,) = caplog.records
    assert f"cannot write traces to {place}: Not a directory" in record.getMessage()
    place.unlink()
    assert tracer.flush()
    assert names(place) == ["a"] * 3


def test_a_folder_that_vanishes(tmp_path: Path, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(f"file://{tmp_path}/spool")
    for _ in range(2):
        assert _work(tracer, "a")
        assert names(tmp_path / "spool") == ["a"]
        files(tmp_path / "spool")[0].unlink()
        (tmp_path / "spool").rmdir()


def test_large_payloads_are_split(tmp_path: Path) -> None:
    exporter = SpoolExporter(Settings({"DD_TRACE_SPOOL_DIR": str(tmp_path)}))
    tracer = Tracer(Settings({"DD_SERVICE": "shop"}))
    tracer.export = lambda chunk, _trace: exporter.add(chunk)  # type: ignore[method-assign]  # its chunks go here
    for number in range(120):
        tracer.trace("a", resource=f"{number}" + "x" * 9_000).finish()
    assert exporter.stats() == {"sent": 0, "pending": 120, "dropped": 0}
    assert exporter.send(None)
    assert len(files(tmp_path)) == 3
    assert exporter.stats() == {"sent": 120, "pending": 0, "dropped": 0}


SCRIPT = """
import sys
from ddmiddleware import tracer
for _ in range(20):
    tracer.trace(sys.argv[1]).finish()
    tracer.flush()
print("written", flush=True)
sys.stdin.readline()
tracer.trace("last").finish()
"""


def test_killed_and_ended_processes_share_a_folder(tmp_path: Path) -> None:
    processes = {name: start(SCRIPT, f"file://{tmp_path}", name) for name in ("killed", "ended")}
    for process in processes.values():
        assert process.stdout
        assert process.stdout.readline() == "written\n"
    processes["killed"].send_signal(signal.SIGKILL)
    _, err = processes["ended"].communicate("\n", WAIT_S)
    processes["killed"].communicate(timeout=WAIT_S)
    assert (err, processes["ended"].returncode) == ("", 0)
    found = names(tmp_path)
    assert {name: found.count(name) for name in set(found)} == {"killed": 20, "ended": 20, "last": 1}


def test_it_loads_no_http(tmp_path: Path) -> None:
    script = """
import sys
from ddmiddleware import tracer
tracer.trace("a").finish()
assert tracer.flush()
print([name for name in ("http.client", "ssl", "socket", "email") if name in sys.modules])
"""
    assert run(script, f"file://{tmp_path}") == "[]\n"
