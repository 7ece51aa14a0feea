"""Nothing of the application's is kept: its requests, exceptions, frames and cursors die with their last user."""

from __future__ import annotations

import contextlib
import gc
import sqlite3
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import flask
import httpx
import pytest
import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ddmiddleware import patch_all, tracer, unpatch
from ddmiddleware.testing import Spans, recorded
from tests.middleware.requests_by_hand import ask_wsgi, asked

Watch = Callable[[Any], Any]


class _Error(Exception):
    """One that can be watched."""


class _Local:
    """Stands in the locals of a frame: it lives as long as that."""


@pytest.fixture
def spans() -> Iterator[Spans]:
    patch_all()
    with recorded() as spans:
        yield spans
    unpatch()


def _flask(watch: Watch) -> None:
    app = flask.Flask("shop")
    app.logger.disabled = True  # pytest keeps what is logged

    @app.route("/<name>")
    def view(name: str) -> str:
        local = watch(_Local())
        watch(flask.request._get_current_object())  # type: ignore[attr-defined]  # the proxy's
        if name == "fail":
            raise watch(_Error(local))
        return name

    ask_wsgi(app, "/fine")
    ask_wsgi(app, "/fail")


def _starlette(watch: Watch) -> None:
    async def view(request: Request) -> PlainTextResponse:
        local = watch(_Local())
        watch(request)
        if request.path_params["name"] == "fail":
            raise watch(_Error(local))
        return watch(PlainTextResponse("fine"))  # type: ignore[no-any-return]  # it returns what it gets

    app = Starlette(routes=[Route("/{name}", view)])
    asked(app, "/fine")
    with contextlib.suppress(_Error):
        asked(app, "/fail")


class _Connection(sqlite3.Connection):
    """One that can be watched."""


class _Cursor(sqlite3.Cursor):
    """One that can be watched."""


def _sqlite3(watch: Watch) -> None:
    with contextlib.closing(watch(sqlite3.connect(":memory:", factory=_Connection))) as connection:
        watch(connection.cursor(_Cursor)).execute("select 1")
        with contextlib.suppress(sqlite3.Error):
            watch(connection.cursor(_Cursor)).execute("select nothing")


def _clients(watch: Watch) -> None:
    with requests.Session() as session, contextlib.suppress(requests.ConnectionError):
        watch(session).get("http://127.0.0.1:1/")
    with httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(503)), trust_env=False) as client:
        watch(watch(client).get("http://shop/").request)


def _wrapped(watch: Watch) -> None:
    @tracer.wrap()
    def work() -> None:
        local = watch(_Local())
        raise watch(_Error(local))

    with tracer.trace("outer") as span:
        try:
            work()
        except _Error as error:
            span.record_exception(error, {"local": watch(_Local())})
            span.set_tag("object", watch(_Local()))


@pytest.mark.parametrize("work", [_flask, _starlette, _sqlite3, _clients, _wrapped])
def test_what_the_spans_are_about_dies(work: Callable[[Watch], None], spans: Spans) -> None:
    watched: list[weakref.ref[Any]] = []

    def watch(value: Any) -> Any:
        watched.append(weakref.ref(value))
        return value

    work(watch)
    if sys.version_info < (3, 12):  # pytest's own frame would keep the last one handled
        sys.last_value = None
    gc.collect()
    assert len(spans) >= 2
    assert [reference() for reference in watched if reference() is not None] == []
    assert len(watched) >= 2
