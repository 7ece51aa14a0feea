"""From the queue to the agent: transports, retries, caps and counters."""

from __future__ import annotations

import logging
import ssl
import subprocess
import threading
import time
from pathlib import Path
from shutil import which

import pytest

from ddmiddleware.testing import BEHAVIOURS, HostileAgent
from ddmiddleware.tracing import Span, Tracer
from ddmiddleware.tracing.encoding import EncoderV05
from ddmiddleware.tracing.guard import guard
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.conftest import MakeTracer
from tests.tracer.expected import child, root

ERRORS = [behaviour for behaviour in BEHAVIOURS if behaviour != "closes_idle"]


def _work(tracer: Tracer, spans: int = 1) -> None:
    for _ in range(spans):
        tracer.trace("a").finish()


def test_the_connection_is_kept(tracer: Tracer, agent: RecordingAgent) -> None:
    for _ in range(5):
        _work(tracer)
        assert tracer.flush()
    assert (len(agent.requests), agent.connections) == (5, 1)


def test_a_connection_that_was_closed_is_opened_again(tracer: Tracer, agent: RecordingAgent) -> None:
    for _ in range(3):
        _work(tracer)
        assert tracer.flush()
        agent.hang_up()
    assert (len(agent.spans), agent.connections) == (3, 3)


def test_spans_are_sent_by_themselves(tracer: Tracer, agent: RecordingAgent) -> None:
    with tracer.trace("a"):
        tracer.trace("b").finish()
    agent.wait_for_spans(2)
    assert plain(agent.spans) == [root("a"), child("b", 2)]


def test_a_unix_socket(tmp_path: Path, make_tracer: MakeTracer) -> None:
    path = str(tmp_path / "agent.sock")
    with RecordingAgent(path) as agent:
        tracer = make_tracer(agent.url)
        for _ in range(2):
            _work(tracer)
            assert tracer.flush()
        assert agent.connections == 1
        assert plain(agent.spans)[0] == root("a")
        tracer.shutdown()


def test_a_path_before_the_protocols(make_tracer: MakeTracer) -> None:
    with RecordingAgent() as agent:
        agent.answers.append((202, b""))
        tracer = make_tracer(agent.url + "/behind/a/proxy/")
        _work(tracer)
        assert tracer.flush()
        assert agent.requests[0].path == "/behind/a/proxy/v0.5/traces"


@pytest.mark.skipif(which("openssl") is None, reason="makes the certificate")
def test_tls(tmp_path: Path, make_tracer: MakeTracer, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", *names]
    command = ["openssl", "req", "-x509", "-keyout", key, "-out", certificate, *options]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with RecordingAgent(tls=context) as agent:
        assert not _delivered(make_tracer(agent.url)), "a certificate that nobody vouches for was taken"
        monkeypatch.setenv("SSL_CERT_FILE", certificate)
        assert _delivered(make_tracer(agent.url))
        assert agent.spans


def _delivered(tracer: Tracer) -> bool:
    _work(tracer)
    delivered = tracer.flush()
    tracer.shutdown()
    return delivered


@pytest.mark.parametrize("behaviour", ERRORS)
def test_one_warning_however_long_it_lasts(
    behaviour: str, make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture
) -> None:
    with HostileAgent(behaviour) as agent:
        tracer = make_tracer(agent.url, DD_TRACE_AGENT_TIMEOUT_SECONDS="0.1")
        for _ in range(5):
            _work(tracer, 10)
            assert not tracer.flush(5)
        stats = tracer.stats()
        assert [(record.name, record.levelname) for record in caplog.records] == [("ddmiddleware", "WARNING")]
        for _ in range(2):
            tracer.shutdown(0.1)
    at_end = [record.getMessage() for record in caplog.records[1:]]
    assert [text.partition(" (")[0] for text in at_end] == (
        [] if behaviour == "413" else ["ddmiddleware: 50 spans are lost: 50 could not be sent at the end"]
    )
    assert agent.url in caplog.text
    assert "\n" not in caplog.records[0].getMessage()
    assert (stats["sent"], stats["dropped"] + stats["pending"], stats["waiting"]) == (0, 50, 0)


def test_a_dripping_answer_ends_with_its_time(make_tracer: MakeTracer) -> None:
    with HostileAgent("slow_drip") as agent:
        tracer = make_tracer(agent.url, DD_TRACE_AGENT_TIMEOUT_SECONDS="0.3")
        begin = time.monotonic()
        _work(tracer)
        assert not tracer.flush(20)
        assert 0.25 < time.monotonic() - begin < 5
        tracer.shutdown(0.1)


def test_a_flush_waits_no_longer_than_it_is_told(make_tracer: MakeTracer) -> None:
    with HostileAgent("hanging") as agent:
        tracer = make_tracer(agent.url)
        _work(tracer)
        begin = time.monotonic()
        assert not tracer.flush(0.2)
        assert not tracer.shutdown(0.2)
        assert time.monotonic() - begin < 1.5


def test_an_agent_that_hangs_up_after_each_answer(make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture) -> None:
    with HostileAgent("closes_idle") as agent:
        tracer = make_tracer(agent.url)
        for number in range(4):
            _work(tracer)
            assert tracer.flush()
            assert agent.requests == number + 1
        tracer.shutdown()
    assert caplog.records == []


def test_an_agent_that_comes_back_gets_what_was_kept(
    agent: RecordingAgent, make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ddmiddleware")
    tracer = make_tracer(agent.url)
    agent.answers += [(503, b""), (429, b"")]
    for name in "abc":
        with tracer.trace(name):
            pass
        tracer.flush()
    assert plain(agent.spans) == [root("a"), root("b", 2, 2), root("c", 3, 3)]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "0 spans were dropped" in caplog.text
    assert tracer.stats() == {"waiting": 0, "pending": 0, "sent": 3, "dropped": 0, "errors": guard.errors}


def test_it_comes_back_though_no_new_span_is_finished(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    agent.answers.append((503, b""))
    _work(make_tracer(agent.url))
    agent.wait_for_spans(1)
    assert len(agent.requests) == 2


def test_an_agent_that_starts_later(make_tracer: MakeTracer, tmp_path: Path) -> None:
    path = str(tmp_path / "agent.sock")
    tracer = make_tracer(f"unix://{path}")
    _work(tracer)
    assert not tracer.flush()
    with RecordingAgent(path) as agent:
        _work(tracer)
        assert tracer.flush()
        assert len(agent.spans) == 2
        tracer.shutdown()


def test_the_queue_is_bounded(make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture) -> None:
    with HostileAgent("hanging") as agent:
        tracer = make_tracer(agent.url, DD_TRACE_WRITER_MAX_SPANS="100", DD_TRACE_AGENT_TIMEOUT_SECONDS="60")
        _work(tracer)
        agent.wait_for_requests(1)  # the worker is busy with it
        _work(tracer, 250)
        stats = tracer.stats()
        assert (stats["waiting"], stats["dropped"], stats["pending"]) == (100, 150, 1)
        assert not tracer.shutdown(0.1)
        assert caplog.messages == [
            f"ddmiddleware: 251 spans are lost: 101 could not be sent at the end ({agent.url} did not answer in time);"
            " 150 came while too many waited to be sent"
        ]


def test_what_cannot_be_encoded_is_counted(
    tracer: Tracer, agent: RecordingAgent, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "raises", False)

    def fail(self: EncoderV05, chunk: list[Span]) -> None:
        if chunk[0].name == "bad":
            raise RuntimeError("ours")
        add(self, chunk)

    add = EncoderV05.add
    monkeypatch.setattr(EncoderV05, "add", fail)
    for name in ("good", "bad", "good"):
        tracer.trace(name).finish()
    assert not tracer.shutdown()
    assert [span["name"] for span in agent.spans] == ["good", "good"]
    stats = tracer.stats()
    assert (stats["sent"], stats["dropped"]) == (2, 1)
    assert "internal error" in caplog.messages[0]
    assert caplog.messages[1:] == ["ddmiddleware: 1 spans are lost: 1 could not be encoded"]


def test_what_is_kept_is_bounded_and_the_oldest_goes(
    agent: RecordingAgent, make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ddmiddleware")
    tracer = make_tracer(agent.url, DD_TRACE_WRITER_BUFFER_SIZE_BYTES="1500")
    agent.answers += [(503, b"")] * 6
    for number in range(6):
        tracer.trace(f"span {number}", resource="x" * 400).finish()
        assert not tracer.flush()
    assert tracer.stats()["dropped"] == 5 - 1
    assert tracer.flush()
    assert [span["name"] for span in agent.spans] == ["span 4", "span 5"]
    assert "4 spans were dropped" in caplog.text


def test_a_refused_payload_is_dropped_and_said_once(
    agent: RecordingAgent, make_tracer: MakeTracer, caplog: pytest.LogCaptureFixture
) -> None:
    tracer = make_tracer(agent.url)
    agent.answers += [(400, b"no\nsuch thing"), (400, b"again")]
    for delivered in (False, False, True):
        _work(tracer, 2)
        assert tracer.flush() is delivered
    assert len(agent.spans) == 2
    assert tracer.stats()["dropped"] == 4
    (record,) = caplog.records
    assert "refused 2 spans with status 400" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_concurrent_flushes(tracer: Tracer, agent: RecordingAgent) -> None:
    _work(tracer, 50)
    results: list[bool] = []
    threads = [threading.Thread(target=lambda: results.append(tracer.flush())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8
    assert len(agent.spans) == 50
