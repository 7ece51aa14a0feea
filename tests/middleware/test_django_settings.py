"""``settings.DDMIDDLEWARE``: code goes before the environment, and what is mistyped is said."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

import ddmiddleware
from ddmiddleware import integrations, patch
from ddmiddleware.contrib.django import TraceMiddleware
from ddmiddleware.contrib.django import patch as patch_django
from ddmiddleware.contrib.django import unpatch as unpatch_django
from ddmiddleware.django import options
from ddmiddleware.integrations import options_of
from ddmiddleware.tracing import default_settings, default_tracer
from tests.integrations.recorder import Recorder
from tests.middleware.django_requests import request, wsgi_app
from tests.middleware.requests_by_hand import ask_wsgi
from tests.tracer.processes import run

WITH = ["ddmiddleware.django.TraceMiddleware"]


@pytest.fixture(autouse=True)
def _untaken(recorder: Recorder) -> Iterator[None]:
    """What a test sets is not set in the next; the recorder puts back the service."""
    options._taken.clear()
    enabled = default_tracer.enabled
    yield
    options._taken.clear()
    default_tracer.enabled = enabled


def test_it_goes_before_the_environment(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_SERVICE", "other")
    monkeypatch.setenv("DD_DJANGO_INSTRUMENT_VIEWS", "false")
    given = {
        "SERVICE": "books",
        "INSTRUMENT_VIEWS": True,
        "INSTRUMENT_TEMPLATES": "off",
        "HTTP_SERVER_ERROR_STATUSES": [404, "500-599"],
        "TAGS": {"team": "web shop"},
        "DD_TRACE_PARTIAL_FLUSH_MIN_SPANS": 10,
    }
    patch(django=True)
    with override_settings(DDMIDDLEWARE=given):
        ask_wsgi(wsgi_app(), "/users/7")
        ask_wsgi(wsgi_app(), "/listed")
        ask_wsgi(wsgi_app(), "/nowhere")
    found = recorder.take()
    assert {span["service"] for span in found} == {"books", "defaultdb"}
    assert {span["name"] for span in found} == {"django.request", "django.view", "django.cache", "sqlite.query"}
    assert found[-1]["error"] == 1
    assert default_settings["DD_TAGS"] == {"team": "web shop"}
    assert default_tracer.partial_flush_spans == 10


def test_the_explicit_middleware_reads_it(recorder: Recorder) -> None:
    with override_settings(DDMIDDLEWARE={"INSTRUMENT_VIEWS": True, "SERVICE": "books"}, MIDDLEWARE=WITH):
        ask_wsgi(wsgi_app(), "/users/7")
    assert [(span["name"], span["service"]) for span in recorder.take()] == [
        ("django.request", "books"),
        ("django.view", "books"),
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"INSTRUMENT_TEMPLATE": False},
            "settings.DDMIDDLEWARE['INSTRUMENT_TEMPLATE'] is no setting, it has no effect;"
            " is it 'INSTRUMENT_TEMPLATES'?",
        ),
        (
            {"INSTRUMENT_VIEWS": "perhaps"},
            "settings.DDMIDDLEWARE['INSTRUMENT_VIEWS'] cannot be 'perhaps' (expected true or false); it has no effect",
        ),
        (
            {"SERVICE": {"name": "books"}},
            "settings.DDMIDDLEWARE['SERVICE'] cannot be {'name': 'books'} (expected no dictionary); it has no effect",
        ),
        ({"xyzzy": 1}, "settings.DDMIDDLEWARE['xyzzy'] is no setting, it has no effect"),
        (
            {"DISTRIBUTED_TRACING": "no way"},
            "settings.DDMIDDLEWARE['DISTRIBUTED_TRACING'] cannot be 'no way' (expected true or false);"
            " it has no effect",
        ),
        (
            {"SPAN_MODIFIER": "no.such.function"},
            "settings.DDMIDDLEWARE['SPAN_MODIFIER'] cannot be 'no.such.function' (No module named 'no');"
            " it has no effect",
        ),
        (
            {"REQUEST_HOOK": 5},
            "settings.DDMIDDLEWARE['REQUEST_HOOK'] cannot be 5 (expected a function or its dotted name);"
            " it has no effect",
        ),
        (["SERVICE"], "settings.DDMIDDLEWARE is no dictionary; it has no effect"),
    ],
)
def test_what_is_wrong_is_said_once(caplog: pytest.LogCaptureFixture, given: Any, said: str) -> None:
    patch(django=True)
    with override_settings(DDMIDDLEWARE=given), caplog.at_level(logging.WARNING, "ddmiddleware"):
        ask_wsgi(wsgi_app(), "/users/7")
        ask_wsgi(wsgi_app(), "/users/7")
    assert [record.getMessage() for record in caplog.records] == [f"ddmiddleware: {said}"]


def test_the_rest_holds_where_a_hook_is_wrong(recorder: Recorder) -> None:
    with override_settings(DDMIDDLEWARE={"REQUEST_HOOK": "nowhere", "SERVICE": "books"}, MIDDLEWARE=WITH):
        ask_wsgi(wsgi_app(), "/users/7")
    assert [span["service"] for span in recorder.take()] == ["books"]


def test_what_code_writes_otherwise_than_the_environment(recorder: Recorder) -> None:
    given = {
        "HEADER_TAGS": {"X-Team": "team"},
        "SAMPLING_RULES": [{"service": "front", "sample_rate": 1}],
        "DJANGO_SERVICE": "front",
        "DISTRIBUTED_TRACING": False,
    }
    asked = {"HTTP_X_TEAM": "blue", "HTTP_X_DATADOG_TRACE_ID": "7", "HTTP_X_DATADOG_PARENT_ID": "8"}
    try:
        with override_settings(DDMIDDLEWARE=given, MIDDLEWARE=WITH):
            ask_wsgi(wsgi_app(), "/users/7", **asked)
    finally:
        for option in ("service", "distributed_tracing"):
            options_of("django").set(option, None)
    (span,) = recorder.take()
    assert (span["service"], span["tags"]["team"], span["parent"]) == ("front", "blue", 0)
    assert default_settings["DD_TRACE_SAMPLING_RULES"] == given["SAMPLING_RULES"]


def test_it_can_switch_everything_off(recorder: Recorder) -> None:
    with override_settings(DDMIDDLEWARE={"ENABLED": False}, MIDDLEWARE=WITH):
        assert ask_wsgi(wsgi_app(), "/users/7").body == b"shown"
    assert recorder.take() == []


def test_switched_off_by_the_environment(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.core.handlers.wsgi import WSGIHandler

    monkeypatch.setenv("DD_TRACE_ENABLED", "false")
    before = dict(vars(WSGIHandler))
    with override_settings(MIDDLEWARE=WITH):
        ask_wsgi(wsgi_app(), "/users/7")
    ddmiddleware.patch_all()
    assert dict(vars(WSGIHandler)) == before
    assert recorder.take() == []


def test_its_service(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_DJANGO_DATABASE_SERVICE", "books-db")
    monkeypatch.setenv("DD_DJANGO_CACHE_SERVICE", "books-cache")
    patch(django=True)
    ask_wsgi(wsgi_app(), "/listed")
    assert {(span["name"], span["service"]) for span in recorder.take()} == {
        ("django.request", "shop"),
        ("django.template.render", "shop"),
        ("django.cache", "books-cache"),
        ("sqlite.query", "books-db"),
    }


def test_the_names_of_ddtrace(recorder: Recorder) -> None:
    patch_django()
    assert integrations.is_on("django")
    ask_wsgi(wsgi_app(), "/users/7")
    assert recorder.take() == [request("/users/<int:pk>", "/users/7", 200, "shown")]
    unpatch_django()
    ask_wsgi(wsgi_app(), "/users/7")
    assert recorder.take() == []
    assert TraceMiddleware is ddmiddleware.django.TraceMiddleware  # type: ignore[attr-defined]  # a room of its own


def test_a_process_of_its_own() -> None:
    """Nothing of Django is imported before the application does, and a command has the settings too."""
    code = (
        "import sys\n"
        "from ddmiddleware import patch_all, tracer\n"
        "patch_all()\n"
        "assert not [name for name in sys.modules if name.startswith('django')]\n"
        "import django\n"
        "from django.conf import settings\n"
        "settings.configure(DDMIDDLEWARE={'SERVICE': 'books'})\n"
        "django.setup()\n"
        "print(tracer.service)\n"
    )
    assert run(code, "http://127.0.0.1:9") == "books\n"
