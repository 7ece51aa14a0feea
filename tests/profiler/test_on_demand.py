"""Profiles that a running process is asked for, and the commands that ask."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ddmiddleware.cli import main
from ddmiddleware.profiling import asking, on_demand, top
from ddmiddleware.profiling.asking import ask, processes
from ddmiddleware.tracing import default_settings
from tests.profiler.conftest import MakeProfiler
from tests.profiler.fake_collector import STACK
from tests.profiler.profile_proto import read
from tests.profiler.receiver import Receiver
from tests.servers_real.servers import until
from tests.tracer.processes import ROOT

PID = os.getpid()


@pytest.fixture
def folder(make_profiler: MakeProfiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the sockets, with this process in it."""
    folder = tmp_path / "sockets"
    monkeypatch.setitem(default_settings._values, "DD_PROFILING_ON_DEMAND_DIR", str(folder))
    monkeypatch.chdir(tmp_path)
    make_profiler("http://127.0.0.1:9").start()
    until(lambda: PID in processes(str(folder)))
    return folder


def test_a_profile(folder: Path) -> None:
    answer = ask(PID, str(folder / f"{PID}.sock"), 0.05, "pprof")
    assert (answer.told["service"], answer.told["pid"], answer.told["samples"]) == ("shop", PID, 2)
    found = read(answer.body)
    assert [(stack, values) for stack, values, _ in found.samples] == [
        (STACK, {"cpu-time": 1_000_000, "cpu-samples": 1}),
        (STACK[1:], {"cpu-time": 2_000_000}),
    ]
    assert found.duration_ns >= 50_000_000
    assert answer.told["event"]["attachments"] == ["profile.pprof"]


def test_only_its_user_reaches_the_socket(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / f"{PID}.sock").stat().st_mode & 0o777 == 0o600


def test_nothing_is_lost_for_the_profile_of_the_period(
    receiver: Receiver, make_profiler: MakeProfiler, tmp_path: Path
) -> None:
    made = make_profiler(receiver.url)
    made.start()
    folder = str(tmp_path / "sockets")
    until(lambda: PID in processes(folder))
    ask(PID, f"{folder}/{PID}.sock", 0.02, "pprof")
    made.stop()
    (upload,) = receiver.uploads
    calls = made_calls()
    assert [values["cpu-time"] for _, values, _ in upload.profile.samples] == [
        number * calls.count("collect") for number in (1_000_000, 2_000_000)
    ]
    assert not os.path.exists(f"{folder}/{PID}.sock")


def made_calls() -> list[str]:
    from tests.profiler.fake_collector import FakeCollector

    return FakeCollector.made[0].calls


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "not understood"),
        (b"[]\n", "not understood"),
        (b'{"seconds": "x", "format": "pprof"}\n', "not understood"),
        (b'{"seconds": 1, "format": []}\n', "not understood"),
        (b'{"seconds": NaN, "format": "pprof"}\n', "expected seconds"),
        (b'{"seconds": 1e9, "format": "pprof"}\n', "expected seconds"),
        (b'{"seconds": 1, "format": "exe"}\n', "format is not known"),
        (b'{"seconds": 1, "format": "pprof", "endpoint": 3}\n', "format is not known"),
        (b"x" * 5000, "not understood"),
    ],
)
def test_requests_that_make_no_sense(folder: Path, line: bytes, said: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(folder / f"{PID}.sock"))
        connection.sendall(line)
        assert said in json.loads(connection.makefile("rb").readline())["error"]
    assert ask(PID, str(folder / f"{PID}.sock"), 0.01, "collapsed").told["samples"] == 2


def test_a_client_that_hangs_up(folder: Path) -> None:
    for line in (b"", b'{"seconds": 0.01, "format": "pprof"}\n'):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(folder / f"{PID}.sock"))
            connection.sendall(line)
    assert ask(PID, str(folder / f"{PID}.sock"), 0.01, "collapsed").told["samples"] == 2


def test_too_many_at_a_time(folder: Path) -> None:
    path = str(folder / f"{PID}.sock")
    _, problems = asking.ask_all([(PID, path)] * 12, 1.0, "collapsed")
    assert problems == [f"process {PID}: too many requests for profiles at a time"] * 4


def test_a_folder_of_others(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o777)
    shared.chmod(0o777)
    with pytest.raises(PermissionError, match="is not this user's alone"):
        on_demand.prepare(str(shared))
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(PermissionError):
        on_demand.prepare(str(link))


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "--seconds", "0.02", str(PID)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"profile-shop-{PID}.pprof: 2 stacks, ")
    assert err == "profiling 1 process for 0.02 s\n"
    file = folder.parent / f"profile-shop-{PID}.pprof"
    assert len(read(file.read_bytes()).samples) == 2
    options = ["--all-workers", "--seconds", "0.02", "--endpoint", "GET /b*", "--format", "collapsed", "-o", "out.txt"]
    assert main(["profile", *options]) == 0
    assert (folder.parent / "out.txt").read_text() == "GET /buy;main;View.get 1000000\n"
    assert main(["profile", *options[:-4], "--endpoint", "GET /<name>", "--format", "collapsed", str(PID)]) == 0
    assert "1 stacks of GET /<name>" in capsys.readouterr()[0]


def test_the_command_opens_the_collector(
    folder: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setitem(default_settings._sources, "DD_TRACE_AGENT_URL", "code")
    monkeypatch.setitem(default_settings._values, "DD_TRACE_AGENT_URL", receiver.url)
    assert main(["profile", "--seconds", "0.02", "--open", str(PID)]) == 0
    (upload,) = receiver.uploads
    assert upload.tags["service"] == "shop"
    assert opened == [f"{receiver.url}/profiles"]
    monkeypatch.setitem(default_settings._values, "DD_TRACE_AGENT_URL", "http://127.0.0.1:9")
    assert main(["profile", "--seconds", "0.02", "--open", str(PID)]) == 1
    assert "cannot send the profile to http://127.0.0.1:9" in capsys.readouterr()[1]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["profile"], 2, "give a PID or --all-workers"),
        (["profile", "x"], 2, "invalid int value: 'x'; see ddmiddleware profile --help"),
        (["profile", "--seconds", "0", "1"], 2, "--seconds has to be above 0"),
        (["profile", "--what"], 2, "see ddmiddleware profile --help"),
        (["profile", "--open", "--format", "chrome", "1"], 2, "--open takes no --format"),
        (["profile", "4194304"], 1, "there is no process 4194304"),
        (
            ["profile", str(os.getppid())],
            1,
            f"process {os.getppid()} cannot be asked for a profile: it is not profiled",
        ),
        (["profile", "--all-workers"], 1, "no process of yours can be asked for a profile"),
        (["top", "--seconds"], 2, "--seconds needs a number; see ddmiddleware top --help"),
        (["top", "--seconds", "0"], 2, "--seconds has to be above 0"),
        (["top", "-x"], 2, "there is no option -x"),
        (["top"], 1, "no process of yours can be asked for a profile"),
        (["top", "4194304"], 1, "there is no process 4194304"),
    ],
)
def test_what_cannot_be(
    arguments: list[str],
    status: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(default_settings._values, "DD_PROFILING_ON_DEMAND_DIR", str(tmp_path))
    assert main(arguments) == status
    assert said in capsys.readouterr()[1]


@pytest.mark.parametrize("command", ["profile", "top"])
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert capsys.readouterr()[0].startswith(f"usage: ddmiddleware {command} ")


def test_top(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--once", "--seconds", "0.05"]) == 0
    lines = capsys.readouterr()[0].splitlines()
    assert lines[0].startswith("shop: 1 process, ")
    assert [line.split(None, 1)[1] for line in lines[3:5]] == ["GET /<name>", "GET /buy"]
    assert [line.split(None, 1)[1] for line in lines[7:]] == [
        "main  srv/app.py  GET /<name>",
        "View.get  srv/views.py  GET /buy",
    ]


def test_top_adds_processes_up_and_keeps_to_the_terminal() -> None:
    one = {
        "ns": 10**9,
        "endpoints": [["GET /\x1b[2J", 10**8, 0], ["", 10**7, 0]],
        "functions": [["", "f", "/a.py", 10**7, 0]],
    }
    lines = top.shown([one, one], ["shop"], 40, 24)
    assert lines[0].startswith("shop: 2 processes, 22.0 % of a core at ")
    assert lines[3:] == [
        "   20.0  GET /[2J",
        "    2.0  (no endpoint)",
        "",
        "  CPU %  function",
        "    2.0  f  /a.py  (no endpoint)",
    ]
    assert all(len(line) <= 40 for line in lines)


def test_a_socket_of_a_process_that_is_gone(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "4194304.sock"))
    (folder / "x.sock").touch()
    assert list(processes(str(folder))) == [PID]
    with pytest.raises(asking.Refused, match="process 1: Connection refused"):
        ask(1, str(folder / "4194304.sock"), 1, "pprof")


def test_a_command_in_a_process_of_its_own(folder: Path) -> None:
    command = [sys.executable, "-m", "ddmiddleware", "profile", "--all-workers", str(PID), "--seconds", "0.1"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "DD_PROFILING_ON_DEMAND_DIR": str(folder)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "profiling 1 process for 0.1 s\n")
    assert done.stdout.startswith(f"profile-shop-{PID}.pprof: 2 stacks, ")
