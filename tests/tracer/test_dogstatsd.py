"""DogStatsD lines, as a real socket receives them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ddmiddleware.tracing.dogstatsd import DogStatsD, address, tags
from ddmiddleware.tracing.process import process
from ddmiddleware.tracing.settings import Settings
from ddmiddleware.tracing.version import __version__
from tests.tracer.metrics_server import Line, MetricsServer


@pytest.mark.parametrize("kind", ["udp", "unix"])
def test_lines(tmp_path: Path, kind: str) -> None:
    with MetricsServer(str(tmp_path / "dsd") if kind == "unix" else None) as server:
        client = DogStatsD(server.url, ["service:shop", "env:a|b,c\nd"])
        client.gauge("memory", 17)
        client.count("requests", tags=["route:/x"])
        client.distribution("took", 0.25)
        assert client.sent == 0  # nothing is sent before a flush
        client.flush()
        assert server.datagram() == [
            Line("memory", 17, "g", ("service:shop", "env:a_b_c_d")),
            Line("requests", 1, "c", ("service:shop", "env:a_b_c_d", "route:/x")),
            Line("took", 0.25, "d", ("service:shop", "env:a_b_c_d")),
        ]
        client.flush()
        assert (client.sent, client.dropped) == (3, 0)
        client.close()


@pytest.mark.parametrize(("kind", "most"), [("udp", 1432), ("unix", 8192)])
def test_datagrams_are_filled(tmp_path: Path, kind: str, most: int) -> None:
    with MetricsServer(str(tmp_path / "dsd") if kind == "unix" else None) as server:
        client = DogStatsD(server.url)
        for number in range(1000):
            client.count(f"metric.number.{number:03}")
        client.flush()
        sizes = []
        lines = 0
        while lines < 1000:
            datagram = server.socket.recv(1 << 16)
            sizes.append(len(datagram))
            lines += datagram.count(b"\n") + 1
        assert all(most - 25 < size <= most for size in sizes[:-1])
        assert (client.sent, client.dropped) == (1000, 0)
        client.close()


def test_values_are_packed() -> None:
    with MetricsServer() as server:
        client = DogStatsD(server.url, ["service:" + "s" * 100])
        client.distributions("durations", [number / 8 for number in range(1000)], ["tag:" + "t" * 100])
        client.flush()
        lines: list[Line] = []
        while len(lines) < 1000:
            lines += server.datagram()
        assert [line.value for line in lines] == [number / 8 for number in range(1000)]
        assert {line.tags for line in lines} == {("service:" + "s" * 100, "tag:" + "t" * 100)}
        assert client.dropped == 0
        client.close()


@pytest.mark.parametrize("url", ["udp://127.0.0.1:{port}", "unix://{folder}/nobody", "udp://name.invalid:8125"])
def test_nobody_listens(tmp_path: Path, url: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    client = DogStatsD(url.format(port=port, folder=tmp_path))
    for _ in range(5):
        client.gauge("memory", 1)
        client.flush()
    assert client.dropped
    assert client.sent + client.dropped == 5
    client.close()


def test_a_server_that_does_not_read_is_not_waited_for(tmp_path: Path) -> None:
    with MetricsServer(str(tmp_path / "dsd")) as server:
        client = DogStatsD(server.url)
        for _ in range(2000):
            client.gauge("memory", 1)
            client.flush()
        assert client.dropped
        assert client.sent + client.dropped == 2000
        for _ in range(client.sent):
            server.datagram()
        client.gauge("again", 1)
        client.flush()
        assert server.datagram()[0].name == "again"
        client.close()


def test_lines_without_a_flush_are_bounded() -> None:
    client = DogStatsD("udp://127.0.0.1:9")
    for _ in range(20_000):
        client.count("requests")
    assert len(client._lines) == client.dropped == 10_000


def test_the_server_comes_back(tmp_path: Path) -> None:
    path = str(tmp_path / "dsd")
    client = DogStatsD(f"unix://{path}")
    with MetricsServer(path) as server:
        client.gauge("first", 1)
        client.flush()
        assert server.datagram()[0].name == "first"
    client.gauge("lost", 1)
    client.flush()
    os.unlink(path)
    with MetricsServer(path) as server:
        client.gauge("second", 1)
        client.flush()
        assert server.datagram()[0].name == "second"
    assert (client.sent, client.dropped) == (2, 1)
    client.close()


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "unix://{there}"),
        ({"DD_DOGSTATSD_PORT": "9125"}, "udp://localhost:9125"),
        ({"DD_DOGSTATSD_HOST": "metrics"}, "udp://metrics:8125"),
        ({"DD_AGENT_HOST": "agent", "DD_DOGSTATSD_PORT": "1"}, "udp://agent:1"),
        ({"DD_AGENT_HOST": "::1"}, "udp://[::1]:8125"),
        ({"DD_DOGSTATSD_HOST": "m", "DD_DOGSTATSD_URL": "udp://h:5"}, "udp://h:5"),
        ({"DD_DOGSTATSD_URL": "unix:///run/dsd"}, "unix:///run/dsd"),
    ],
)
def test_address(tmp_path: Path, environ: dict[str, str], url: str) -> None:
    there = tmp_path / "dsd.socket"
    there.touch()
    assert address(Settings(environ), str(there)) == url.format(there=there)


def test_address_where_no_socket_is(tmp_path: Path) -> None:
    assert address(Settings({}), str(tmp_path / "none")) == "udp://localhost:8125"


@pytest.mark.parametrize("bad", ["localhost:8125", "http://h:1", "unix://dsd", "udp://h:port"])
def test_a_bad_address_falls_back(bad: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert address(Settings({"DD_DOGSTATSD_URL": bad}), str(tmp_path / "none")) == "udp://localhost:8125"
    assert "DD_DOGSTATSD_URL" in caplog.text


def test_tags() -> None:
    environ = {"DD_SERVICE": "shop", "DD_TAGS": "version:7", "DD_RUNTIME_METRICS_RUNTIME_ID_ENABLED": "true"}
    found = dict(tag.split(":") for tag in tags(Settings(environ)))
    assert set(found) == {
        *("service", "version", "lang", "lang_interpreter", "lang_version", "tracer_version", "runtime-id")
    }
    assert (found["service"], found["version"], found["lang"]) == ("shop", "7", "python")
    assert (found["tracer_version"], found["runtime-id"]) == (__version__, process.runtime_id)
    assert "env:test" in tags(Settings({"DD_ENV": "test"}))
