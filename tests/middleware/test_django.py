"""Django: one span per request, named after the full template of its URL, however the project is traced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.signals import request_finished
from django.test import override_settings

import ddmiddleware
from ddmiddleware import asgi, patch, unpatch, wsgi
from ddmiddleware.django import TraceMiddleware
from tests.django_project.middleware import seen
from tests.integrations.recorder import Recorder
from tests.middleware.django_requests import asgi_app, request, wsgi_app
from tests.middleware.requests_by_hand import Answer, ask_wsgi, asked

ADMIN = {"django.namespace": "admin"}
NESTED = {"django.namespace": "shelf:inner"}
ROUTES: list[tuple[str, str, str, int, dict[str, str]]] = [
    ("/", "/", "shown", 200, {}),
    ("/static-page", "/static-page", "shown", 200, {}),
    ("/users/7", "/users/<int:pk>", "shown", 200, {}),
    ("/files/a/b.txt", "/files/<path:name>", "shown", 200, {}),
    ("/archive/2024/", "/archive/(?P<year>[0-9]{4})/", "shown", 200, {}),
    ("/costs/$", r"/costs/\$", "shown", 200, {}),
    ("/reports/7", r"/reports/(\d+)", "shown", 200, {}),
    ("/regions/north/towns/7/", r"/regions/(?P<region>\w+)/towns/(\d+)/", "shown", 200, {}),
    ("/outer/", "/outer/", "shown", 200, {"django.namespace": "shelf"}),
    ("/outer/prices/red/7/", "/outer/prices/<slug:kind>/<int:pk>/", "shown", 200, NESTED),
    ("/outer/prices/red/m", "/outer/prices/<slug:kind>/(?P<size>[sml])", "shown", 200, NESTED),
    ("/items/7/", "/items/<int:pk>/", "Item", 200, {}),
    ("/api/books/", "/api/books/", "Books", 200, {}),
    ("/gone/7", "/gone/<int:pk>", "gone", 404, {}),
    ("/forbidden", "/forbidden", "forbidden", 403, {}),
    ("/bad", "/bad", "bad", 400, {}),
    ("/moved", "/moved", "moved", 302, {}),
    ("/post-only", "/post-only", "post_only", 405, {}),
    ("/file", "/file", "file", 200, {}),
    ("/lines", "/lines", "lines", 200, {}),
    ("/later/x", "/later/<str:name>", "later", 200, {}),
    ("/later-class", "/later-class", "Later", 200, {}),
    ("/en/about/cats", "/en/about/<str:topic>", "shown", 200, {}),
    ("/de/about/cats", "/de/about/<str:topic>", "shown", 200, {}),
    ("/admin/", "/admin/", "django.contrib.admin.sites.AdminSite.index", 302, ADMIN),
    (
        "/admin/auth/user/7/change/",
        "/admin/auth/user/<path:object_id>/change/",
        "django.contrib.admin.options.ModelAdmin.change_view",
        302,
        ADMIN,
    ),
]


@pytest.fixture(autouse=True)
def _forget() -> None:
    seen.clear()


@pytest.fixture(params=["wsgi", "asgi"])
def ask(request: pytest.FixtureRequest, recorder: Recorder) -> Callable[..., Answer]:
    """Ask the project, traced, by one of its handlers."""
    patch(django=True)
    if request.param == "asgi":
        later = asgi_app()
        return lambda path, method="GET", query="": asked(later, path, method, query_string=query.encode())
    app = wsgi_app()
    return lambda path, method="GET", query="": ask_wsgi(app, path, method, QUERY_STRING=query)


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
@pytest.mark.parametrize(("path", "route", "view", "status", "tags"), ROUTES)
def test_routes(
    ask: Any, recorder: Recorder, path: str, route: str, view: str, status: int, tags: dict[str, str]
) -> None:
    assert ask(path).status == status
    (root,) = [found for found in recorder.take() if not found["parent"]]
    assert root == request(route, path, status, view, tags=tags)
    assert set(seen) == {f"GET {route}"}  # in process_view and in the view already


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST"])
def test_methods(ask: Any, recorder: Recorder, method: str) -> None:
    status = 405 if method == "POST" else 200
    assert ask("/items/7/", method).status == status
    assert recorder.take() == [request("/items/<int:pk>/", "/items/7/", status, "Item", method=method)]


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/nowhere/12345", "GET", 404),
        ("/users/ada", "GET", 404),
        ("/outer/prices/12345", "GET", 404),
        ("/items/7", "GET", 301),
        ("/about/cats", "GET", 302),
        ("/nowhere", "SHOUT", 404),
    ],
)
def test_no_raw_path_is_a_resource(ask: Any, recorder: Recorder, path: str, method: str, status: int) -> None:
    assert ask(path, method).status == status
    assert recorder.take() == [request(None, path, status, method="_OTHER" if method == "SHOUT" else method)]


def test_script_name(recorder: Recorder) -> None:
    patch(django=True)
    ask_wsgi(wsgi_app(), "/users/7", SCRIPT_NAME="/site")
    asked(asgi_app(), "/site/users/7", root_path="/site")
    with override_settings(FORCE_SCRIPT_NAME="/site/"):
        ask_wsgi(wsgi_app(), "/users/7", SCRIPT_NAME="/site")
    assert recorder.take() == [
        request("/site/users/<int:pk>", "/site/users/7", 200, "shown", trace=number) for number in (1, 2, 3)
    ]


def explicit_wsgi(app: Any) -> Callable[[str], Answer]:
    return lambda path: ask_wsgi(wsgi.TraceMiddleware(app), path)


def explicit_asgi(app: Any) -> Callable[[str], Answer]:
    return lambda path: asked(asgi.TraceMiddleware(asgi.TraceMiddleware(app)), path)


WITH = override_settings(MIDDLEWARE=["ddmiddleware.django.TraceMiddleware", "tests.django_project.middleware.Seeing"])
WITH_TWICE = override_settings(MIDDLEWARE=["tests.django_project.middleware.Seeing", *WITH.options["MIDDLEWARE"]])


@pytest.mark.parametrize("settings", [WITH, WITH_TWICE], ids=["first", "twice, and not the first"])
@pytest.mark.parametrize("all_patched", [False, True], ids=["explicit", "with patch_all"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "wrapped"])
@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_one_span_however_it_is_traced(
    recorder: Recorder, kind: str, wrapped: bool, all_patched: bool, settings: Any
) -> None:
    if all_patched:
        ddmiddleware.patch_all(logging=False)
    with settings:
        app = wsgi_app() if kind == "wsgi" else asgi_app()
        if wrapped:
            answer = (explicit_wsgi if kind == "wsgi" else explicit_asgi)(app)("/users/7")
        else:
            answer = (ask_wsgi if kind == "wsgi" else asked)(app, "/users/7")
    assert answer.body == b"shown"
    assert recorder.take() == [request("/users/<int:pk>", "/users/7", 200, "shown")]


def test_the_middleware_puts_nothing_in_the_way(recorder: Recorder) -> None:
    def get_response() -> None:
        """What Django gives a middleware."""

    assert TraceMiddleware(get_response) is get_response


def test_the_generic_middleware_alone_knows_no_route(recorder: Recorder) -> None:
    explicit_wsgi(wsgi_app())("/users/7")
    (found,) = recorder.take()
    assert (found["name"], found["resource"]) == ("wsgi.request", "GET")


@pytest.mark.parametrize(("path", "status"), [("/users/7", 200), ("/users/7", 403), ("/users/7", 404)])
def test_a_middleware_that_answers(ask: Any, recorder: Recorder, path: str, status: int) -> None:
    """No URL is resolved then."""
    assert ask(path, query=f"early={status}").body == b"early"
    assert recorder.take() == [request(None, path, status)]


def test_not_patched_any_more(recorder: Recorder) -> None:
    patch(django=True)
    app = wsgi_app()
    unpatch("django")
    ask_wsgi(app, "/users/7")
    assert recorder.take() == []


def test_a_request_within_a_request(recorder: Recorder) -> None:
    from django.test import Client

    patch(django=True)
    with WITH:
        Client().get("/users/7")
        with ddmiddleware.tracer.trace("test"):
            Client().get("/users/8")
    found = [(span["resource"], span["trace"], span["parent"]) for span in recorder.take()]
    assert found == [("GET /users/<int:pk>", 1, 0), ("test", 2, 0), ("GET /users/<int:pk>", 2, 2)]


@pytest.fixture
def finished() -> Iterator[list[str]]:
    """How often Django said that a request is over, which closes its database connections."""
    said: list[str] = []

    def receiver(sender: Any, **_more: Any) -> None:
        said.append(sender.__name__)

    request_finished.connect(receiver)
    yield said
    request_finished.disconnect(receiver)


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
@pytest.mark.parametrize("path", ["/users/7", "/lines", "/file", "/broken", "/nowhere"])
def test_the_end_of_a_request_is_said_once(ask: Any, finished: list[str], path: str, recorder: Recorder) -> None:
    ask(path)
    assert len(finished) == 1
    assert len([span for span in recorder.take() if not span["parent"]]) == 1


def test_continues_the_callers_trace(recorder: Recorder) -> None:
    patch(django=True)
    header = f"00-{7:032x}-{9:016x}-01"
    ask_wsgi(wsgi_app(), "/", HTTP_TRACEPARENT=header)
    asked(asgi_app(), "/", headers=[(b"host", b"testserver"), (b"traceparent", header.encode())])
    assert [(span.trace_id, span.parent_id) for span in recorder] == [(7, 9)] * 2


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_static_files_of_the_development_server(recorder: Recorder) -> None:
    """They are answered before a URL is resolved."""
    from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler, StaticFilesHandler

    patch(django=True)
    ask_wsgi(StaticFilesHandler(wsgi_app()), "/static/admin/css/base.css")
    asked(ASGIStaticFilesHandler(asgi_app()), "/static/admin/css/base.css")
    ask_wsgi(StaticFilesHandler(wsgi_app()), "/static/nothing.css")
    ask_wsgi(StaticFilesHandler(wsgi_app()), "/users/7")
    assert [(span["resource"], span["tags"]["http.status_code"]) for span in recorder.take()] == [
        ("GET /static/<path:path>", "200"),
        ("GET /static/<path:path>", "200"),
        ("GET /static/<path:path>", "404"),
        ("GET /users/<int:pk>", "200"),
    ]
