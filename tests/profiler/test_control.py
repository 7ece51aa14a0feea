"""Starting and stopping: arguments, one at a time, again and again, and what goes out."""

from __future__ import annotations

import logging
import os
import platform
import re
from pathlib import Path

import pytest

from ddmiddleware.profiling import profiler
from ddmiddleware.tracing import __version__, runtime_id
from tests.profiler.conftest import MakeProfiler
from tests.profiler.fake_collector import STACK, FakeCollector
from tests.profiler.profile_proto import read
from tests.profiler.receiver import Receiver

SAMPLES = [
    (STACK, {"cpu-time": 1_000_000, "cpu-samples": 1}, {"trace endpoint": "GET /buy", "thread id": 1}),
    (STACK[1:], {"cpu-time": 2_000_000}, {"trace endpoint": "GET /<name>", "thread id": 1}),
]


def test_a_whole_upload(receiver: Receiver, make_profiler: MakeProfiler) -> None:
    environ = {"DD_TAGS": "team:web,env:dev", "DD_PROFILING_TAGS": "zone:a", "DD_GIT_COMMIT_SHA": "abc"}
    made = make_profiler(receiver.url, environ, tags={"mine": "1,2"}, version="7", env="prod")
    made.start()
    assert made.running
    made.stop()
    assert not made.running
    (upload,) = receiver.uploads
    assert upload.path == "/profiling/v1/input"
    assert upload.headers["user-agent"] == f"ddmiddleware/{__version__}"
    assert upload.headers["dd-evp-origin"] == "ddmiddleware"
    assert "dd-api-key" not in upload.headers
    assert upload.profile.samples == SAMPLES
    assert upload.profile.types == [("cpu-time", "nanoseconds"), ("cpu-samples", "count")]
    event = upload.event
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", event["start"])
    assert event["start"] < event["end"]
    assert upload.tags == {
        "team": "web",
        "env": "prod",
        "service": "shop",
        "version": "7",
        "zone": "a",
        "mine": "1_2",
        "git.commit.sha": "abc",
        "language": "python",
        "runtime": platform.python_implementation(),
        "runtime_version": platform.python_version(),
        "runtime-id": runtime_id(),
        "runtime_platform": f"{platform.machine()}-{platform.system().lower()}",
        "profiler_version": __version__,
        "process_id": str(os.getpid()),
        "profile_seq": "0",
        "sampler": "fake",
    }
    rest = {key: value for key, value in event.items() if key not in ("start", "end", "tags_profiler", "info")}
    assert rest == {
        "attachments": ["profile.pprof"],
        "family": "python",
        "version": "4",
        "endpoint_counts": {"GET /buy": 3},
        "internal": {"sample_count": 2, "sampler": "fake"},
    }
    assert event["info"]["profiler"]["settings"]["stack_enabled"] is True


def test_a_profile_per_period(receiver: Receiver, make_profiler: MakeProfiler) -> None:
    made = make_profiler(receiver.url, {"DD_PROFILING_UPLOAD_INTERVAL": "0.05"})
    made.start()
    receiver.wait_for(3)
    made.stop(flush=False)
    uploads = receiver.uploads
    assert [upload.tags["profile_seq"] for upload in uploads] == [str(number) for number in range(len(uploads))]
    assert all(upload.profile.samples == SAMPLES for upload in uploads)
    ends = [upload.event["end"] for upload in uploads]
    assert [upload.event["start"] for upload in uploads[1:]] == ends[:-1]  # nothing between two is lost


def test_it_starts_again(receiver: Receiver, make_profiler: MakeProfiler) -> None:
    made = make_profiler(receiver.url)
    made.stop()
    for _ in range(3):
        made.start()
        made.start()
        made.stop()
        made.stop()
    assert len(receiver.uploads) == 3
    assert [one.calls for one in FakeCollector.made] == [["start", "stop", "collect"]] * 3


def test_stop_without_flush(receiver: Receiver, make_profiler: MakeProfiler) -> None:
    made = make_profiler(receiver.url)
    made.start()
    made.stop(flush=False)
    assert receiver.uploads == []


def test_one_at_a_time(receiver: Receiver, make_profiler: MakeProfiler, caplog: pytest.LogCaptureFixture) -> None:
    first, second = make_profiler(receiver.url), make_profiler(receiver.url, service="other")
    first.start()
    second.start()
    assert (first.running, second.running) == (True, False)
    assert "a profiler runs already, this one is not started" in caplog.text
    second.stop()
    assert first.running
    first.stop()
    second.start()
    second.stop()
    assert [upload.tags["service"] for upload in receiver.uploads] == ["shop", "other"]


def test_switches(receiver: Receiver, make_profiler: MakeProfiler) -> None:
    for arguments in ({"_stack_collector_enabled": False}, {"environ": {"DD_PROFILING_STACK_ENABLED": "false"}}):
        made = make_profiler(receiver.url, **arguments)
        made.start()
        made.stop()
    assert FakeCollector.made == []
    assert [upload.profile.samples for upload in receiver.uploads] == [[], []]


def test_a_collector_that_cannot_start(
    receiver: Receiver, make_profiler: MakeProfiler, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(FakeCollector, "refuses", True)
    made = make_profiler(receiver.url)
    made.start()
    made.stop()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "ddmiddleware: the profiler goes without its FakeCollector: no such thing here"
    ]
    assert [upload.profile.samples for upload in receiver.uploads] == [[]]


def test_files(make_profiler: MakeProfiler, tmp_path: Path) -> None:
    made = make_profiler("http://127.0.0.1:9", {"DD_PROFILING_OUTPUT_PPROF": str(tmp_path / "out")})
    for _ in range(2):
        made.start()
        made.stop()
    files = sorted(tmp_path.glob("out.*"))
    assert [file.name for file in files] == [f"out.{os.getpid()}.{number}.pprof" for number in (1, 2)]
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
        assert read(file.read_bytes()).samples == SAMPLES


def test_files_that_cannot_be_written(
    make_profiler: MakeProfiler, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = make_profiler("http://127.0.0.1:9", {"DD_PROFILING_OUTPUT_PPROF": str(tmp_path / "no" / "out")})
    made.start()
    made.stop()
    assert "cannot write profiles to" in caplog.text


def test_an_agent_that_is_away(
    receiver: Receiver, make_profiler: MakeProfiler, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 503
    made = make_profiler(receiver.url, {"DD_PROFILING_UPLOAD_INTERVAL": "0.05"})
    made.start()
    receiver.wait_for(1)
    receiver.status = 200
    receiver.wait_for(3)
    made.stop()
    numbers = [upload.tags["profile_seq"] for upload in receiver.uploads]
    assert numbers[:2] == ["0", "0"]  # the same one, once more
    assert numbers[1:] == [str(number) for number in range(len(numbers) - 1)]
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "cannot send profiles to" in warnings[0]


def test_what_is_lost_at_the_end(
    receiver: Receiver, make_profiler: MakeProfiler, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 503
    made = make_profiler(receiver.url)
    made.start()
    made.stop()
    assert caplog.messages == [
        f"ddmiddleware: 1 profiles are lost: cannot send profiles to {receiver.url}: it answered 503"
    ]


def test_an_agent_that_knows_no_profiles(
    receiver: Receiver, make_profiler: MakeProfiler, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 404
    made = make_profiler(receiver.url, {"DD_PROFILING_UPLOAD_INTERVAL": "0.05"})
    made.start()
    receiver.wait_for(3)
    made.stop(flush=False)
    assert caplog.text.count("refused 1 profiles with status 404") == 1


def test_nothing_is_sent_to_a_spool(
    make_profiler: MakeProfiler, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = make_profiler(f"file://{tmp_path}/spool")
    made.start()
    made.stop()
    assert "a spool keeps no profiles" in caplog.text


def test_code_provenance(receiver: Receiver, make_profiler: MakeProfiler) -> None:
    made = make_profiler(receiver.url, enable_code_provenance=True)
    made.start()
    made.stop()
    (upload,) = receiver.uploads
    assert upload.provenance is not None
    found = {entry["name"]: entry for entry in upload.provenance["v1"]}
    assert found["stdlib"]["kind"] == "standard library"
    assert found["msgpack"]["kind"] == "library"
    assert any(path.endswith("/msgpack") for path in found["msgpack"]["paths"])


def test_agentless(make_profiler: MakeProfiler) -> None:
    made = make_profiler("http://127.0.0.1:9", {"DD_SITE": "example.com"}, agentless=True, api_key="secret")
    from ddmiddleware.profiling.upload import Uploader

    uploader = Uploader(made.tracer.settings.changed(**made._values))
    assert uploader.connection.address == "https://intake.profile.example.com"
    assert (uploader._path, uploader._headers["DD-API-KEY"]) == ("/api/v2/profile", "secret")


def test_the_profiler_is_no_master() -> None:
    assert not profiler._forks_workers()
