"""Django: what goes wrong stands on the span of the request, whoever turns it into an answer."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import django
import pytest
from django.test import override_settings

from ddmiddleware import patch
from ddmiddleware.tracing import active, default_settings
from tests.django_project.middleware import LateError
from tests.integrations.recorder import Recorder, failed
from tests.middleware.django_requests import asgi_app, request, wsgi_app
from tests.middleware.requests_by_hand import EMPTY, Answer, Client, MissingError, ask_wsgi, asked, run, scope


@pytest.fixture(params=["wsgi", "asgi"])
def ask(request: pytest.FixtureRequest, recorder: Recorder) -> Callable[..., Answer]:
    """Ask the project, traced, by one of its handlers."""
    patch(django=True)
    if request.param == "asgi":
        later = asgi_app()
        return lambda path, query="": asked(later, path, query_string=query.encode())
    app = wsgi_app()
    return lambda path, query="": ask_wsgi(app, path, QUERY_STRING=query)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("view", ["broken", "async_broken"])
def test_an_unhandled_exception(ask: Any, recorder: Recorder, view: str, debug: bool) -> None:
    path = "/" + view.replace("_", "-")
    with override_settings(DEBUG=debug):
        assert ask(path).status == 500
    assert recorder.take() == [request(path, path, 500, view, tags=failed(MissingError("broken")))]


def test_an_exception_in_a_middleware(ask: Any, recorder: Recorder) -> None:
    assert ask("/users/7", "broken=1").status == 500
    assert recorder.take() == [request(None, "/users/7", 500, tags=failed(MissingError("in a middleware")))]


def test_an_exception_that_a_middleware_answers(ask: Any, recorder: Recorder) -> None:
    assert ask("/late").body == b"sorry"
    assert recorder.take() == [request("/late", "/late", 503, "late", tags=failed(LateError("too late")))]


def test_an_exception_that_rest_framework_answers(ask: Any, recorder: Recorder) -> None:
    from rest_framework.exceptions import APIException

    assert ask("/api/books/7/").status == 500
    route = "/api/books/(?P<pk>[^/.]+)/"
    tags = failed(APIException("no shelf for 7"))
    assert recorder.take() == [request(route, "/api/books/7/", 500, "Books", tags=tags)]


def test_an_error_without_an_exception(ask: Any, recorder: Recorder) -> None:
    assert ask("/failed").status == 502
    assert recorder.take() == [request("/failed", "/failed", 502, "failed")]


def test_an_error_page_that_fails(ask: Any, recorder: Recorder) -> None:
    with override_settings(ROOT_URLCONF="tests.django_project.broken_pages"):
        assert ask("/nowhere").status == 500
    assert recorder.take() == [request(None, "/nowhere", 500, tags=failed(MissingError("no page")))]


@pytest.mark.parametrize("path", ["/forbidden", "/bad", "/gone/7"])
def test_what_is_no_error(ask: Any, recorder: Recorder, path: str) -> None:
    assert 400 <= ask(path).status < 500
    (found,) = recorder.take()
    assert found["error"] == 0
    assert not [tag for tag in found["tags"] if tag.startswith("error")]


def test_statuses_that_are_errors_by_the_settings(ask: Any, recorder: Recorder) -> None:
    default_settings["DD_TRACE_HTTP_SERVER_ERROR_STATUSES"] = frozenset((403,))
    ask("/forbidden")
    (found,) = recorder.take()
    assert (found["error"], found["tags"]["error.message"]) == (1, "not for you")


@pytest.mark.filterwarnings("ignore:Unclosed file")  # of Django, which forgets the request's body then
@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_an_exception_that_django_lets_through(recorder: Recorder, kind: str) -> None:
    patch(django=True)
    with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True), pytest.raises(MissingError):
        ask_wsgi(wsgi_app(), "/broken") if kind == "wsgi" else asked(asgi_app(), "/broken")
    assert recorder.take() == [request("/broken", "/broken", 500, "broken", tags=failed(MissingError("broken")))]
    assert active.get() is None
    gc.collect()


def test_an_exception_in_the_middle_of_a_body(recorder: Recorder) -> None:
    patch(django=True)
    with pytest.raises(MissingError):
        ask_wsgi(wsgi_app(), "/breaking")
    tags = failed(MissingError("in the middle"))
    assert recorder.take() == [request("/breaking", "/breaking", 200, "breaking", error=1, tags=tags)]


@pytest.mark.skipif(django.VERSION < (5,), reason="Django 4.2 does not listen for that")
def test_a_client_that_leaves(recorder: Recorder) -> None:
    """The view is cancelled: nothing has failed, and nothing was answered."""
    patch(django=True)

    async def leaving() -> None:
        client = Client(EMPTY)
        task = asyncio.create_task(asgi_app()(scope("/endless"), client.receive, client.send))
        await started.wait()
        client.leave()
        await task
        assert client.sent == []

    started = asyncio.Event()
    with override_settings(ROOT_URLCONF="tests.django_project.endless"):
        from tests.django_project import endless

        endless.started = started
        run(leaving)
    tags = {"http.disconnected": "true", "django.view": "tests.django_project.endless.endless"}
    assert recorder.take() == [request("/endless", "/endless", None, tags=tags)]
