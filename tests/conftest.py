"""Fixtures that several folders share."""

from __future__ import annotations

import gc
import signal

import pytest

from ddmiddleware.tracing import default_tracer
from tests.integrations.recorder import Recorder

# A shell that starts something in the background has it ignore this signal, and so all that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Finished spans; those of the application itself belong to the service ``shop``."""
    recorder = Recorder()
    monkeypatch.setattr(default_tracer, "export", recorder)
    monkeypatch.setattr(default_tracer, "service", "shop")
    return recorder


@pytest.fixture(scope="module", autouse=True)
def _what_is_old_stays_uncollected() -> None:
    """Let a test that collects garbage look at what its module made: all that libraries made takes a quarter second."""
    gc.collect()
    gc.freeze()
