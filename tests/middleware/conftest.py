"""Finished spans, and what must hold after every test."""

from __future__ import annotations

import gc
import logging
import sys
import threading
from collections.abc import Iterator

import pytest

from ddmiddleware import _servers, patch, unpatch
from ddmiddleware.integrations import TABLE, _options
from ddmiddleware.tracing import active, default_settings, guarded
from tests.django_project import set_up
from tests.integrations.recorder import Recorder
from tests.middleware.interfaces import Asgi, Interface, Wsgi

set_up()  # before a test module imports what needs it


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing stays patched, no span active and no thread alive; an error of ours fails the test that met it."""
    monkeypatch.setattr(guarded, "raises", True)
    monkeypatch.setattr(default_settings, "_values", {})
    assert active.get() is None
    before = set(threading.enumerate())
    yield
    left = active.get()
    active.set(None)
    unpatch()
    for row in TABLE.values():  # explicit middleware patches parts alone, and keeps them
        integration = getattr(sys.modules.get(row.loads), "integration", None)
        for part in integration.everything() if integration is not None else ():
            part.unpatch()
    _servers.integration.unpatch()
    default_settings._values.clear()
    for options in _options._all.values():
        options._in_code.clear()
    for changed in default_settings._listeners:  # what took over a setting of this test's
        changed("")
    assert left is None
    if set(threading.enumerate()) - before:
        gc.collect()  # asgiref's pools end with the last reference to them, which may be an exception's
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive(), thread


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What Django logs is not kept: the frames of an exception hold threads of asgiref's."""
    logger = logging.getLogger("django.request")
    logger.disabled = True
    yield
    logger.disabled = False


@pytest.fixture(params=[Wsgi(), Asgi()], ids=["wsgi", "asgi"])
def interface(request: pytest.FixtureRequest) -> Interface:
    """Either interface."""
    found: Interface = request.param
    return found


@pytest.fixture
def patched(recorder: Recorder) -> Recorder:
    """Finished spans, with the frameworks patched."""
    patch(fastapi=True, flask=True, starlette=True)
    return recorder
