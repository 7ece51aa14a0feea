"""Django: spans of templates, caches, queries, views, middleware and users, and the switches of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import django
import pytest
from django.contrib.auth.models import User
from django.core.cache import cache, caches
from django.db import OperationalError, connection
from django.test import override_settings

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import default_settings
from tests.django_project import DATABASE
from tests.integrations.recorder import Recorder, failed
from tests.middleware.django_requests import PROJECT, asgi_app, request, wsgi_app
from tests.middleware.requests_by_hand import MissingError, ask_wsgi, asked

LOCMEM = {"component": "django", "django.cache.backend": "django.core.cache.backends.locmem.LocMemCache"}
SEEING = "tests.django_project.middleware.Seeing"
PLAIN = "tests.django_project.middleware.plain"


def within(name: str, resource: str, parent: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a span below a request's."""
    tags = {"component": "django", **changes.pop("tags", {})}
    span = {"trace": 1, "parent": parent, "service": "shop", "name": name, "resource": resource, "type": None}
    return {**span, "error": 0, "tags": tags, **changes}


def query(sql: str, parent: int = 1, **tags: object) -> dict[str, Any]:
    """Return the span of a query."""
    tags = {
        "span.kind": "client",
        "db.system": "sqlite",
        "django.db.vendor": "sqlite",
        "django.db.alias": "default",
        "db.name": DATABASE,
        "_dd.measured": 1,
        **tags,
    }
    return within("sqlite.query", sql, parent, service="defaultdb", type="sql", tags=tags)


def cached(method: str, **tags: object) -> dict[str, Any]:
    """Return the span of a cache's method."""
    return within("django.cache", method, type="cache", tags={**LOCMEM, "_dd.measured": 1, **tags})


def rendered(name: str, parent: int = 1) -> dict[str, Any]:
    """Return the span of a template."""
    return within("django.template.render", name, parent, type="template", tags={"django.template.name": name})


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    """The cache holds nothing, and no connection stays open."""
    cache.clear()
    yield
    cache.clear()
    connection.close()


@pytest.fixture
def sql() -> str:
    """The query of the view ``users``."""
    return str(User.objects.order_by("pk").query)


def test_what_a_view_queries_caches_and_renders(recorder: Recorder, sql: str) -> None:
    patch(django=True)
    ask_wsgi(wsgi_app(), "/listed")
    assert recorder.take() == [
        request("/listed", "/listed", 200, "users"),
        cached("get", **{"db.row_count": 0}),
        query(sql),
        cached("set"),
        cached("get_many", **{"db.row_count": 1}),
        rendered("users.html"),
        query(sql, 6),
    ]
    ask_wsgi(wsgi_app(), "/listed")
    assert recorder.take() == [
        request("/listed", "/listed", 200, "users"),
        cached("get", **{"db.row_count": 1}),
        rendered("users.html"),
        query(sql, 3),
    ]


def test_an_asynchronous_view_that_queries_and_caches(recorder: Recorder) -> None:
    patch(django=True)
    assert asked(asgi_app(), "/async-listed").body == b"0"
    assert recorder.take() == [
        request("/async-listed", "/async-listed", 200, "async_users"),
        query('SELECT COUNT(*) AS "__count" FROM "auth_user"'),
        cached("set"),
        cached("get", **{"db.row_count": 1}),
    ]


def test_one_span_of_a_query_whose_driver_is_traced(recorder: Recorder, sql: str) -> None:
    """The driver's stands for it."""
    patch(django=True, sqlite3=True)
    ask_wsgi(wsgi_app(), "/listed")
    found = [span for span in recorder.take() if span["resource"] == sql]
    assert [span["tags"]["component"] for span in found] == ["sqlite3", "sqlite3"]
    unpatch("sqlite3")
    ask_wsgi(wsgi_app(), "/listed")
    assert [span["tags"]["component"] for span in recorder.take() if span["type"] == "sql"] == ["django"]


def test_statements_of_every_kind(recorder: Recorder) -> None:
    patch(django=True)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE t (a)")
        cursor.executemany("INSERT INTO t VALUES (%s)", [[1], [2]])
        with pytest.raises(OperationalError) as caught:
            cursor.execute("SELECT nonsense")
    first, second, third = recorder.take()
    assert first == {**query("CREATE TEMPORARY TABLE t (a)"), "parent": 0}
    assert second == {**query("INSERT INTO t VALUES (%s)", **{"db.row_count": 2}), "parent": 0, "trace": 2}
    assert third["error"] == 1
    assert third["tags"]["error.message"] == str(caught.value)


def test_an_execute_wrapper_that_forbids_queries(recorder: Recorder) -> None:
    """What never reaches the database is no query."""
    patch(django=True)

    def forbid(*_args: Any) -> None:
        raise MissingError("no queries here")

    with connection.execute_wrapper(forbid), pytest.raises(MissingError):
        User.objects.count()
    assert recorder.take() == []


def test_every_method_of_a_cache(recorder: Recorder) -> None:
    """Those that are made of others are one span, but what calls the application is none."""
    patch(django=True)
    del caches["default"]
    cache.set("n", 1)
    cache.add("m", 2)
    cache.touch("n")
    cache.incr("n")
    cache.decr("n")
    assert "n" in cache
    cache.set_many({"a": 1, "b": 2})
    cache.get_many(["a", "b", "c"])
    cache.delete_many(["a", "b"])
    cache.delete("n")
    cache.get_or_set("new", lambda: ["new"])
    cache.get("missing", "default")
    cache.clear()
    found = [(span["resource"], span["tags"].get("db.row_count")) for span in recorder.take()]
    expected: list[tuple[str, int | None]] = [("set", None), ("add", None), ("touch", None), ("incr", None)]
    expected += [("incr", None), ("has_key", None), ("set_many", None), ("get_many", 2), ("delete_many", None)]
    expected += [("delete", None), ("get", 0), ("add", None), ("get", 1), ("get", 0), ("clear", None)]
    assert found == expected


def test_a_cache_over_redis(recorder: Recorder) -> None:
    """Its commands are below it, whoever answers them."""
    patch(django=True, redis=True)
    backend = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"}
    with override_settings(CACHES={"default": backend}), pytest.raises(Exception, match="refused"):
        cache.get("n")
    outer, inner = recorder.take()
    assert (outer["name"], outer["tags"]["django.cache.backend"]) == ("django.cache", backend["BACKEND"])
    assert (inner["name"], inner["parent"], outer["error"], inner["error"]) == ("redis.command", 1, 1, 1)


def test_undone(recorder: Recorder) -> None:
    """The classes of backends are as before."""
    before = dict(vars(type(cache._connections["default"])))  # type: ignore[attr-defined]
    patch(django=True)
    del caches["default"]
    cache.get("n")
    assert len(recorder.take()) == 1
    unpatch("django")
    cache.get("n")
    assert recorder.take() == []
    assert dict(vars(type(cache._connections["default"]))) == before  # type: ignore[attr-defined]


OFF = {
    "DD_DJANGO_INSTRUMENT_TEMPLATES": "django.template.render",
    "DD_DJANGO_INSTRUMENT_CACHES": "django.cache",
    "DD_DJANGO_INSTRUMENT_DATABASES": "sqlite.query",
}


@pytest.mark.parametrize("switch", OFF)
def test_switched_off(recorder: Recorder, monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    monkeypatch.setenv(switch, "false")
    patch(django=True)
    del caches["default"]
    ask_wsgi(wsgi_app(), "/listed")
    assert {span["name"] for span in recorder.take()} == {"django.request", *OFF.values()} - {OFF[switch]}


def test_views(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_DJANGO_INSTRUMENT_VIEWS", "true")
    patch(django=True)
    for path in ("/users/7", "/items/7/", "/api/books/", "/later-class", "/async-broken", "/gone/7"):
        ask_wsgi(wsgi_app(), path)
    asked(asgi_app(), "/later-class")
    asked(asgi_app(), "/items/7/")
    asked(asgi_app(), "/async-broken")
    found = [span for span in recorder.take() if span["name"] == "django.view"]
    error = failed(MissingError("broken"))
    assert found == [
        within("django.view", f"{PROJECT}.{name}", 2 * number - 1, trace=number, error=int(bool(tags)), tags=tags)
        for number, (name, tags) in enumerate(
            [
                ("shown", {}),
                ("Item.get", {}),
                ("Books.list", {}),
                ("Later.get", {}),
                ("async_broken", error),
                ("gone", {}),  # 404 is no error
                ("Later.get", {}),
                ("Item.get", {}),
                ("async_broken", error),
            ],
            1,
        )
    ]


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_middleware(recorder: Recorder, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("DD_DJANGO_INSTRUMENT_MIDDLEWARE", "true")
    patch(django=True)
    with override_settings(MIDDLEWARE=[SEEING, PLAIN]):
        ask_wsgi(wsgi_app(), "/users/7") if kind == "wsgi" else asked(asgi_app(), "/users/7")
    assert recorder.take() == [
        request("/users/<int:pk>", "/users/7", 200, "shown"),
        within("django.middleware", SEEING),
        within("django.middleware", f"{PLAIN}.middleware", 2),
    ]


def test_users_are_tagged_where_they_are_asked_for(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """And known: nothing is queried for it."""
    ada = User.objects.create_user("ada", "ada@example.org")
    known = {"django.user.is_authenticated": "True", "django.user.id": str(ada.pk), "usr.id": str(ada.pk)}
    try:
        patch(django=True, sqlite3=True)
        with_ada = wsgi_app()
        headers = {"HTTP_COOKIE": f"sessionid={_session(ada)}"}
        recorder.take()
        ask_wsgi(with_ada, "/me", **headers)
        assert not [tag for tag in recorder.take()[0]["tags"] if "user." in tag or "usr" in tag]
        unpatch("django")
        monkeypatch.setenv("DD_DJANGO_INCLUDE_USER_ID", "true")
        default_settings._values.clear()
        patch(django=True)
        assert ask_wsgi(with_ada, "/me", **headers).body == b"ada"
        assert recorder.take()[0] == request("/me", "/me", 200, "me", tags=known)
        for_later = "/async-me" if django.VERSION >= (5,) else "/me"  # auser is new there
        cookie = [(b"host", b"testserver"), (b"cookie", headers["HTTP_COOKIE"].encode())]
        assert asked(asgi_app(), for_later, headers=cookie).body == b"ada"
        view = for_later[1:].replace("-", "_")
        assert recorder.take()[0] == request(for_later, for_later, 200, view, tags=known)
        ask_wsgi(with_ada, "/users/7", **headers)
        assert [span["name"] for span in recorder.take()] == ["django.request"]
        ask_wsgi(with_ada, "/me")
        assert recorder.take()[0]["tags"]["django.user.is_authenticated"] == "False"
        unpatch("django")
        monkeypatch.setenv("DD_DJANGO_INCLUDE_USER_NAME", "true")
        monkeypatch.setenv("DD_DJANGO_INCLUDE_USER_EMAIL", "true")
        default_settings._values.clear()
        patch(django=True)
        ask_wsgi(with_ada, "/me", **headers)
        tags = {**known, "django.user.name": "ada", "usr.email": "ada@example.org"}
        assert recorder.take()[0] == request("/me", "/me", 200, "me", tags=tags)
    finally:
        ada.delete()


def _session(user: User) -> str:
    """Return the key of a session of a user's."""
    from django.test import Client

    client = Client()
    client.force_login(user)
    key = client.session.session_key
    assert key
    return key
