"""Whatever fails in our own code, Django answers as it would without us; and no path it is asked becomes a resource."""

from __future__ import annotations

import gc
import random
import string
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import override_settings

from ddmiddleware import _request, asgi, patch, unpatch, wsgi
from ddmiddleware.django import caches, databases, options, routing, templates, users, views
from ddmiddleware.tracing import active, default_tracer, guarded
from tests.django_project.urls import urlpatterns
from tests.integrations.recorder import Recorder
from tests.middleware.django_requests import asgi_app, wsgi_app
from tests.middleware.requests_by_hand import Answer, ask_wsgi, asked
from tests.middleware.test_faults import SHARED, TRACEPARENT, _broken, _functions, _name

pytestmark = pytest.mark.once

PATHS = (
    "/users/7",
    "/memory",
    "/listed",
    "/listed",
    "/broken",
    "/forbidden",
    "/nowhere",
    "/later-class",
    "/me",
    "/late",
)
PATHS += ("/api/books/7/", "/file", "/async-broken", "/items/7/")
# What replaces a function is called when that is patched.
PATCHES = ("resolve", "respond", "respond_async", "create", "render", "convert", "make")
OURS = [
    fault for module in (routing, users, databases, caches, templates, views) for fault in _functions(module, *PATCHES)
]
WSGI = [*SHARED, *_functions(wsgi, "serve"), *OURS, (options, "take_over"), (options, "_set")]
ASGI = [*_functions(asgi, "serve"), *OURS, (_request, "extract_headers")]
EVERYTHING = {
    "INSTRUMENT_MIDDLEWARE": True,
    "INSTRUMENT_VIEWS": True,
    "INCLUDE_USER_ID": True,
    "INCLUDE_USER_NAME": True,
}


@pytest.fixture(autouse=True)
def _no_leftovers(recorder: Recorder) -> Iterator[None]:
    """Requests that were never finished go while the fault is still there."""
    options._taken.clear()
    cache.clear()
    yield
    unpatch("django")
    options._taken.clear()
    cache.clear()
    connection.close()
    gc.collect()


def answers(asynchronous: bool) -> list[Answer]:
    if asynchronous:
        later = asgi_app()
        headers = [(b"host", b"testserver"), (b"traceparent", TRACEPARENT.encode())]
        return [asked(later, path, headers=headers) for path in PATHS]
    app = wsgi_app()
    return [ask_wsgi(app, path, HTTP_TRACEPARENT=TRACEPARENT) for path in PATHS]


def check(monkeypatch: pytest.MonkeyPatch, fault: tuple[Any, str], asynchronous: bool) -> None:
    expected = answers(asynchronous)
    cache.clear()
    monkeypatch.setattr(guarded, "raises", False)
    with override_settings(DDMIDDLEWARE=EVERYTHING):
        monkeypatch.setattr(*fault, _broken)
        patch(django=True)
        assert answers(asynchronous) == expected
    assert active.get() is None


@pytest.mark.parametrize("fault", WSGI, ids=_name)
def test_wsgi(monkeypatch: pytest.MonkeyPatch, fault: tuple[Any, str]) -> None:
    check(monkeypatch, fault, asynchronous=False)


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
@pytest.mark.parametrize("fault", ASGI, ids=_name)
def test_asgi(monkeypatch: pytest.MonkeyPatch, fault: tuple[Any, str]) -> None:
    check(monkeypatch, fault, asynchronous=True)


def test_no_path_is_a_resource(recorder: Recorder) -> None:
    """3,000 random paths and methods."""
    dice = random.Random(11)
    words = ("users", "files", "outer", "prices", "items", "api", "books", "en", "de", "about", "later", "x", "")
    patch(django=True)
    resources = set()
    app = wsgi_app()
    for _ in range(3000):
        parts = [
            dice.choice(words) if dice.random() < 0.7 else "".join(dice.choices(string.printable, k=5))
            for _ in range(dice.randrange(5))
        ]
        method = dice.choice(
            ("GET", "POST", "HEAD", "OPTIONS", "BREW", "".join(dice.choices(string.ascii_letters, k=4)))
        )
        ask_wsgi(app, "/" + "/".join(parts), method)
        resources.update(span["resource"].partition(" ")[2] for span in recorder.take() if not span["parent"])
    assert "404" in resources
    assert len(resources) <= len(urlpatterns) + 15  # with what include() adds
    assert default_tracer.current_span() is None
