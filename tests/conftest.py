"""Fixtures that several folders share."""

from __future__ import annotations

import gc

import pytest

from ddmiddleware.tracing import default_tracer
from tests.integrations.recorder import Recorder


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
