"""Pin: a service and tags for one client object, or for a class."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
import requests

from ddmiddleware import Pin, patch, tracer
from ddmiddleware.integrations import ModuleNotFoundException
from tests.integrations.recorder import Recorder
from tests.integrations.servers import HttpServer


def _services(recorder: Recorder) -> list[tuple[Any, Any]]:
    return [(span["service"], span["tags"].get("tier")) for span in recorder.take()]


def test_one_object(recorder: Recorder, http_server: HttpServer) -> None:
    patch(requests=True)
    with requests.Session() as one, requests.Session() as other:
        Pin.override(one, service="billing", tags={"tier": "1"})
        for session in (one, other):
            session.get(http_server.url)
        assert _services(recorder) == [("billing", "1"), ("requests", None)]
        Pin.override(one, tags={"tier": "2"})
        one.get(http_server.url)
        assert _services(recorder) == [("billing", "2")]
        pin = Pin.get_from(one)
        assert pin is not None
        assert (pin.service, pin.tags, pin.tracer, pin.enabled()) == ("billing", {"tier": "2"}, tracer, True)
        pin.remove_from(one)
        one.get(http_server.url)
        assert _services(recorder) == [("requests", None)]
        assert Pin.get_from(one) is None


def test_a_class_and_its_instances(recorder: Recorder, http_server: HttpServer) -> None:
    patch(requests=True)

    class Session(requests.Session):
        pass

    Pin(service="all").onto(Session)
    with Session() as session:
        session.get(http_server.url)
        Pin.override(session, service="one")
        session.get(http_server.url)
    assert _services(recorder) == [("all", None), ("one", None)]


def test_what_takes_no_attribute(recorder: Recorder) -> None:
    patch(sqlite3=True)
    with closing(sqlite3.connect(":memory:")) as connection:
        cursor = connection.cursor()
        Pin.override(cursor, service="other")
        cursor.execute("select 1")
    Pin.override(None, service="other")
    Pin(service="a").remove_from(object())
    assert _services(recorder) == [("sqlite", None)]

    class Hostile:
        def __getattr__(self, name: str) -> Any:
            raise ValueError(name)

    assert Pin.get_from(Hostile()) is None


def test_unknown_names_raise_on_request_only(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ModuleNotFoundException, match="nonsense"):
        patch(raise_errors=True, nonsense=True)
    patch(nonsense=True)
    assert [record.getMessage() for record in caplog.records] == [
        "ddmiddleware: there is no integration called 'nonsense'; it is not traced"
    ]
