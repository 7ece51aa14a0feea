"""Trees on stderr."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys

import pytest

from ddmiddleware.tracing import Tracer
from tests.tracer.conftest import MakeTracer
from tests.tracer.processes import WAIT_S, environment, start


@pytest.fixture
def tracer(make_tracer: MakeTracer) -> Tracer:
    """A tracer that writes to stderr alone."""
    return make_tracer("http://localhost:1", DD_TRACE_EXPORTERS="console")


def said(tracer: Tracer, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines, with what differs from run to run replaced."""
    assert tracer.flush()
    text = re.sub(r"\d\d:\d\d:\d\d\.\d{3} trace [0-9a-f]{32} in process \d+", "TRACE", capsys.readouterr().err)
    return re.sub(r"\d+\.?\d* (us|ms|s)\b", "TIME", text).splitlines()


def test_a_tree(tracer: Tracer, capsys: pytest.CaptureFixture[str]) -> None:
    with tracer.trace("flask.request", resource="GET /cart/<item>", span_type="web") as request:
        request.set_tags(
            {"component": "flask", "http.method": "GET", "http.status_code": "500", "a": 1, "b": 2, "c": 3}
        )
        with tracer.trace("redis.command", service="redis", resource="GET"):
            tracer.trace("inner").finish()
        with pytest.raises(ValueError, match="theirs"), tracer.trace("sqlite.query", resource="select 1"):
            raise ValueError("theirs\nis long")
    assert said(tracer, capsys) == [
        "TRACE",
        "  flask.request GET /cart/<item> [shop] TIME http.method=GET http.status_code=500 a=1 b=2",
        "  ├─ redis.command GET [redis] TIME",
        "  │  └─ inner [redis] TIME",
        "  └─ sqlite.query select 1 [shop] TIME ERROR ValueError: theirs\\nis long",
    ]


def test_a_part_of_a_trace(make_tracer: MakeTracer, capsys: pytest.CaptureFixture[str]) -> None:
    tracer = make_tracer("", DD_TRACE_EXPORTERS="console", DD_TRACE_PARTIAL_FLUSH_MIN_SPANS="2")
    with tracer.trace("root"):
        for name in "ab":
            tracer.trace(name).finish()
        assert said(tracer, capsys) == ["TRACE", "  a [shop] TIME", "  b [shop] TIME"]


@pytest.mark.parametrize("deep", [True, False])
def test_it_is_bounded(deep: bool, tracer: Tracer, capsys: pytest.CaptureFixture[str]) -> None:
    spans = [tracer.trace("root", resource="r" * 1_000_000)]
    for _ in range(200):
        span = tracer.trace("child", service="s" * 1_000)
        (spans.append(span) if deep else span.finish())
    for span in reversed(spans):
        span.set_tag("k" * 500, "v" * 1_000_000)
        span.finish()
    lines = said(tracer, capsys)
    assert len(lines) == 1 + 50 + 1
    assert lines[-1] == "  (151 more)"
    assert max(map(len, lines)) < 700


def test_nothing_steers_the_terminal(tracer: Tracer, capsys: pytest.CaptureFixture[str]) -> None:
    bad = "\x1b[2J\r\n\u202e\ud800\x00\x9b"
    tracer.trace(bad, service=bad, resource=bad + "!").set_tag(bad, bad)
    span = tracer.current_span()
    assert span
    span.finish()
    lines = said(tracer, capsys)
    assert len(lines) == 2
    assert lines[1].isprintable()
    assert "\\x1b[2J\\r\\n\\u202e\\ud800\\x00\\x9b" in lines[1]


def test_many_traces(tracer: Tracer, capsys: pytest.CaptureFixture[str]) -> None:
    worker = tracer._worker
    worker.put = lambda chunk: chunks.append(chunk)  # type: ignore[method-assign]  # all of them in one round
    chunks: list[object] = []
    for _ in range(1200):
        tracer.trace("a").finish()
    worker._queue.extend(chunks)  # type: ignore[arg-type]  # as above
    lines = said(tracer, capsys)
    assert len(lines) == 2 * 1000 + 1
    assert lines[-1] == "(200 more traces)"
    assert (tracer.stats()["sent"], tracer.stats()["dropped"]) == (1000, 200)


SCRIPT = """
from ddmiddleware import tracer
with tracer.trace("a", resource="é"):
    tracer.trace("b").finish()
assert tracer.flush()
"""


def _on_a_terminal(**environ: str) -> str:
    ours, theirs = pty.openpty()
    env = {**environment("", DD_TRACE_EXPORTERS="console"), "TERM": "xterm", "PYTHONUTF8": "1", **environ}
    subprocess.run([sys.executable, "-c", SCRIPT], env=env, stderr=theirs, check=True, timeout=WAIT_S)
    os.close(theirs)
    found = b""
    try:
        while part := os.read(ours, 10_000):
            found += part
    except OSError:  # Linux reports the end so
        pass
    os.close(ours)
    return found.decode()


def test_colours() -> None:
    assert "\x1b[1ma\x1b[0m é" in _on_a_terminal()
    assert "\x1b[1ma\x1b[0m é" in _on_a_terminal(NO_COLOR="")
    for environ in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "  a é [shop] " in (found := _on_a_terminal(**environ))
        assert "\x1b" not in found


def test_no_utf8() -> None:
    process = start(SCRIPT, "", DD_TRACE_EXPORTERS="console", PYTHONIOENCODING="ascii")
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0
    assert "  a \\xe9 [shop] " in err
    assert "  `- b [shop] " in err


CLOSED = """
import os, sys
from ddmiddleware import tracer
with tracer.trace("a"):
    pass
way = sys.argv[1]
if way == "close":
    sys.stderr.close()
elif way == "none":
    sys.stderr = None
elif way == "descriptor":
    os.close(2)
elif way == "pipe":
    read, write = os.pipe()
    os.close(read)
    os.dup2(write, 2)
tracer.flush()
for _ in range(3):
    tracer.trace("b").finish()
    assert not tracer.flush()
assert tracer.stats()["dropped"] >= 3
assert tracer.stats()["errors"] == 0
print("still here")
if way == "descriptor":
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
"""


@pytest.mark.parametrize("way", ["close", "none", "descriptor", "pipe"])
def test_a_stderr_that_is_gone(way: str) -> None:
    process = start(CLOSED, "", way, DD_TRACE_EXPORTERS="console", DD_TESTING_RAISE="true")
    out, _ = process.communicate(timeout=WAIT_S)
    assert (process.returncode, out) == (0, "still here\n")


def test_what_stands_for_stderr(tracer: Tracer, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    tracer.trace("a").finish()
    assert tracer.flush()
    assert "a [shop]" in stream.getvalue()


def test_processes_do_not_mix_their_lines() -> None:
    script = """
import sys
from ddmiddleware import tracer
for number in range(60):
    with tracer.trace("root", resource=sys.argv[1]):
        for _ in range(20):
            tracer.trace("child", resource=sys.argv[1]).finish()
tracer.flush()
"""
    read, write = os.pipe()
    env = environment("", DD_TRACE_EXPORTERS="console")
    processes = [subprocess.Popen([sys.executable, "-c", script, name], env=env, stderr=write) for name in "AB"]
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as pipe:
        lines = pipe.read().splitlines()
    assert [process.wait(WAIT_S) for process in processes] == [0, 0]
    assert len(lines) == 2 * 60 * 22
    for begin in range(0, len(lines), 22):
        tree = lines[begin : begin + 22]
        assert " trace " in tree[0]
        assert len({line.split(" [")[0][-1] for line in tree[1:]}) == 1
