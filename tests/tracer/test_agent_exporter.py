"""What the agent is told of us, and what it tells of itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ddmiddleware.tracing import Tracer
from ddmiddleware.tracing import settings as settings_module
from ddmiddleware.tracing.export.container import container_headers
from ddmiddleware.tracing.export.info import AgentInfo, parse_info
from tests.recording_agent import RecordingAgent
from tests.tracer.conftest import MakeTracer

_ID = "3726184226f5d3147c25fdeab5b60097e378e8a720503a5e19ecfdf29f869860"


def _exporter(tracer: Tracer) -> Any:
    return tracer._worker._exporters[0]


def test_headers(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(agent.url, DD_EXTERNAL_ENV="it-false,cn-web,pu-1234")
    tracer.trace("a").finish()
    assert tracer.flush()
    headers = agent.requests[0].headers
    assert headers["datadog-external-env"] == "it-false,cn-web,pu-1234"
    assert headers["datadog-send-real-http-status"] == "1"
    assert {name: headers.get(name.lower()) for name in container_headers("")} == container_headers("")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"13:name=systemd:/docker/{_ID}", _ID),
        (f"0::/kubepods.slice/kubepods-pod2d3da189_6407.slice/cri-containerd-{_ID}.scope", _ID),
        (f"1:cpu:/ecs/{'5a' * 16}/{'5a' * 16}-1234567890", f"{'5a' * 16}-1234567890"),
        ("1:name=systemd:/garden/34dc0b5e-626f-2c5c-4c51-70e34b10e765", "34dc0b5e-626f-2c5c-4c51-70e34b10e765"),
        ("1:name=systemd:/garden/34dc0b5e-626f-2c5c-4c51", None),
        ("0::/user.slice/session-1.scope", None),
        ("no line", None),
        ("", None),
    ],
)
def test_the_container(tmp_path: Path, line: str, found: str | None) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"x\n{line}\n")
    expected = {"Datadog-Container-ID": found, "Datadog-Entity-ID": f"ci-{found}"} if found else {}
    assert container_headers("", str(tmp_path)) == expected


@pytest.mark.parametrize(("line", "folder"), [("0::/", "sys/fs/cgroup"), ("4:memory:/app", "sys/fs/cgroup/memory/app")])
def test_a_container_that_does_not_know_its_id(tmp_path: Path, line: str, folder: str) -> None:
    for path in ("proc/self/ns", folder):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(line)
    (tmp_path / "proc/self/ns/cgroup").touch()
    assert container_headers("", str(tmp_path)) == {"Datadog-Entity-ID": f"in-{os.stat(tmp_path / folder).st_ino}"}


@pytest.mark.parametrize("text", ["a\r\nX: y", "é", "\0"])
def test_no_header_is_made_of_what_is_none(tmp_path: Path, text: str) -> None:
    assert container_headers(text, str(tmp_path)) == {}


@pytest.mark.parametrize(
    ("answer", "info"),
    [
        (
            b'{"version":"7.60","endpoints":["/v0.4/traces",1],"client_drop_p0s":true,"span_events":true,"more":{}}',
            AgentInfo("7.60", frozenset({"/v0.4/traces"}), True, True),
        ),
        (b'{"endpoints":{},"client_drop_p0s":"yes"}', AgentInfo()),
        (b"{}", AgentInfo()),
        (b"[]", AgentInfo()),
        (b"\xff", AgentInfo()),
        (b"[" * 60_000, AgentInfo()),
    ],
)
def test_info(answer: bytes, info: AgentInfo) -> None:
    assert parse_info(answer) == info


def test_the_agent_is_asked_once_after_it_took_something(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    agent.info = b'{"client_drop_p0s":true}'
    tracer = make_tracer(agent.url)
    tracer.trace("a").finish()
    agent.wait_until_asked()
    for _ in range(3):
        tracer.trace("a").finish()
        assert tracer.flush()
    assert _exporter(tracer).info == AgentInfo(client_drop_p0s=True)
    assert (agent.asked, agent.connections) == (1, 1)


def test_a_flush_does_not_wait_for_it(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(agent.url, DD_TRACE_WRITER_INTERVAL_SECONDS="60")
    tracer.trace("a").finish()
    assert tracer.flush()
    assert _exporter(tracer).info is None
    tracer.shutdown()
    assert agent.asked == 0


def test_the_rates_are_handed_on(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(agent.url)
    tracer.trace("a").finish()
    assert tracer.flush()
    answers: list[bytes] = []
    _exporter(tracer).on_answer = answers.append
    agent.answers += [(200, b'{"rate_by_service":{"service:,env:":0.5}}'), (503, b"not this one")]
    for _ in range(2):
        tracer.trace("a").finish()
        tracer.flush()
    assert answers[0] == b'{"rate_by_service":{"service:,env:":0.5}}'
    assert b"not this one" not in answers


def test_an_agents_socket_is_used_where_nothing_else_is_said(
    tmp_path: Path, make_tracer: MakeTracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "apm.socket")
    monkeypatch.setattr(settings_module, "AGENT_SOCKET", path)
    make_settings = settings_module.Settings
    assert make_settings({}).agent_address == "http://localhost:8126"
    with RecordingAgent(path) as agent:
        tracer = make_tracer("")
        tracer.trace("a").finish()
        assert tracer.flush()
        assert len(agent.spans) == 1
        tracer.shutdown()
        assert make_settings({"DD_TRACE_AGENT_HOSTNAME": "localhost"}).agent_address == "http://localhost:8126"
        assert make_settings({"DD_AGENT_PORT": "77"}).agent_address == "http://localhost:77"
        assert make_settings({"DD_TRACE_AGENT_URL": "http://a:1"}).agent_address == "http://a:1"
