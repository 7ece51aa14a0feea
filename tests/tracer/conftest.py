"""A recording agent, tracers that send to it, and what must hold after every test."""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Callable, Iterator

import pytest

from ddmiddleware.tracing import Span, Tracer, active, encoding, redaction
from ddmiddleware.tracing.accelerator import (
    accelerator,
    guards_in_python,
    methods_in_python,
    start_in_python,
    start_inside_in_python,
)
from ddmiddleware.tracing.guard import Guard, guard
from ddmiddleware.tracing.secrets import has_digits_in_python, holds_in_python
from ddmiddleware.tracing.settings import Settings
from tests.recording_agent import RecordingAgent

MakeTracer = Callable[..., Tracer]


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No span stays active and no thread alive, and an error of ours fails the test that met it."""
    monkeypatch.setattr(guard, "raises", True)
    before = set(threading.enumerate())
    yield
    left = active.get()
    active.set(None)
    assert left is None
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive(), thread


@pytest.fixture
def accelerated() -> None:
    """Run a test only where the accelerator could be built, and fail it where it does not fit the Python classes."""
    if accelerator is None:
        if os.environ.get("_DD_PURE_PYTHON"):
            pytest.skip("_DD_PURE_PYTHON is set")
        assert importlib.util.find_spec("ddmiddleware.tracing._accelerator") is None, "it is there, and refused"
        assert os.environ.get("REQUIRE_SERVICES") != "1", "it is not built"
        pytest.skip("the accelerator is not built: a C compiler is needed")


@pytest.fixture(params=["c", "python"])
def twin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test twice: over the functions in C, and over their Python twins."""
    if request.param == "python":
        monkeypatch.setattr(encoding, "accelerator", None)
        monkeypatch.setattr(redaction, "accelerator", None)
        monkeypatch.setattr("ddmiddleware.tracing.tracer.start", start_in_python)
        monkeypatch.setattr("ddmiddleware.tracing.tracer.start_inside", start_inside_in_python)
        monkeypatch.setattr("ddmiddleware.tracing.root.start", start_in_python)
        monkeypatch.setattr("ddmiddleware.tracing.secrets.holds", holds_in_python)
        monkeypatch.setattr("ddmiddleware.tracing.secrets.has_digits", has_digits_in_python)
        for name, method in methods_in_python.items():
            monkeypatch.setattr(Span, name, method)
        for name, method in guards_in_python.items():
            monkeypatch.setattr(Guard, name, method)
    else:
        request.getfixturevalue("accelerated")


@pytest.fixture
def agent() -> Iterator[RecordingAgent]:
    """An agent that records, on a free TCP port."""
    with RecordingAgent() as agent:
        yield agent


@pytest.fixture
def make_tracer() -> Iterator[MakeTracer]:
    """Return a maker of tracers, from environment variables; all are shut down after the test."""
    tracers = []

    def make(url: str, **environ: str) -> Tracer:
        defaults = {"DD_SERVICE": "shop", "DD_TRACE_WRITER_INTERVAL_SECONDS": "0.02"}
        tracer = Tracer(Settings({**defaults, "DD_TRACE_AGENT_URL": url, **environ}))
        tracers.append(tracer)
        return tracer

    yield make
    for tracer in tracers:
        tracer.shutdown()


@pytest.fixture
def tracer(agent: RecordingAgent, make_tracer: MakeTracer) -> Tracer:
    """A tracer of the service ``shop`` that sends to the recording agent."""
    return make_tracer(agent.url)
