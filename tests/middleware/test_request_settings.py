"""What settings add to the span of a request, the same for WSGI and ASGI."""

from __future__ import annotations

from typing import Any

import pytest

from ddmiddleware import config
from tests.integrations.recorder import Recorder
from tests.middleware.interfaces import Interface, put
from tests.middleware.requests_by_hand import span

SECRETS = ["Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key"]


def expected(interface: Interface, path: str = "/", **changes: Any) -> list[dict[str, Any]]:
    return [span(interface.name, None, path, **changes)]


def test_nothing_is_added_unasked(recorder: Recorder, interface: Interface) -> None:
    interface.ask("/x", "page=1", [("X-Team", "blue")], "198.51.100.7", answered=[("X-Answer", "yes")])
    assert recorder.take() == expected(interface, "/x")


def test_header_tags(recorder: Recorder, interface: Interface) -> None:
    put("DD_TRACE_HEADER_TAGS", "X-Team, x-user.id ,Content-Type:kind,X-Answer,X-Twice:answer.twice,absent")
    interface.ask(
        headers=[("X-Team", " blue "), ("X-User.Id", "7"), ("Content-Type", "text/plain"), ("X-Twice", "1")],
        answered=[("X-ANSWER", "yes"), ("x-twice", "a"), ("X-Twice", "b")],
    )
    tags = {
        "http.request.headers.x-team": "blue",
        "http.request.headers.x-user_id": "7",
        "kind": "text/plain",
        "answer.twice": "a,b",
        "http.response.headers.x-answer": "yes",
    }
    assert recorder.take() == expected(interface, tags=tags)


def test_a_repeated_request_header_is_a_list(recorder: Recorder, interface: Interface) -> None:
    put("DD_TRACE_HEADER_TAGS", "x-team")
    interface.ask(headers=[("X-Team", "blue"), ("X-Team", "red")])
    assert recorder.take() == expected(interface, tags={"http.request.headers.x-team": "blue,red"})


def test_credentials_become_no_tags_whoever_asks(recorder: Recorder, interface: Interface) -> None:
    put("DD_TRACE_HEADER_TAGS", ",".join([*SECRETS, "set-cookie:session"]))
    interface.ask(
        headers=[(name, "hunter2") for name in SECRETS],
        answered=[("Set-Cookie", "hunter2")],
        header_tags=[*SECRETS, "Set-Cookie"],
    )
    assert recorder.take() == expected(interface)


def test_header_tags_of_one_integration(recorder: Recorder, interface: Interface) -> None:
    getattr(config, interface.name).http.trace_headers({"X-Team": "team"})
    interface.ask(headers=[("X-Team", "blue")])
    assert recorder.take() == expected(interface, tags={"team": "blue"})


@pytest.mark.parametrize(("on", "url"), [("false", "/x"), ("true", "/x?page=1&q=a%20b")])
def test_the_query_in_the_url(recorder: Recorder, interface: Interface, on: str, url: str) -> None:
    put("DD_HTTP_SERVER_TAG_QUERY_STRING", on)
    interface.ask("/x", "page=1&q=a%20b")
    interface.ask("/x")
    assert recorder.take() == [
        *expected(interface, url),
        *expected(interface, "/x", trace=2),
    ]


def test_the_query_as_a_tag(recorder: Recorder, interface: Interface) -> None:
    put("DD_TRACE_QUERY_STRING_ENABLED", "true")
    interface.ask("/x", "page=1")
    assert recorder.take() == expected(interface, "/x", tags={"http.query.string": "page=1"})


def test_error_statuses(recorder: Recorder, interface: Interface) -> None:
    config.http_server.error_statuses = "404,500-502"
    for status in (404, 403, 502, 503):
        interface.ask(status=status)
    assert [found["error"] for found in recorder.take()] == [1, 0, 1, 0]


def test_the_address_of_a_client(recorder: Recorder, interface: Interface) -> None:
    put("DD_TRACE_CLIENT_IP_ENABLED", "true")
    interface.ask(peer="10.0.0.1", headers=[("X-Forwarded-For", "192.168.0.3, 8.8.4.4, 8.8.8.8")])
    assert recorder.take() == expected(interface, tags={"http.client_ip": "8.8.4.4", "network.client.ip": "10.0.0.1"})


def test_baggage_becomes_tags(recorder: Recorder, interface: Interface) -> None:
    interface.ask(headers=[("baggage", "user.id=ada,plan=gold")])
    assert recorder.take() == expected(interface, tags={"baggage.user.id": "ada"})


def test_settings_hold_at_once_and_no_longer(recorder: Recorder, interface: Interface) -> None:
    put("DD_TRACE_CLIENT_IP_ENABLED", "true")
    interface.ask(peer="10.0.0.1")
    put("DD_TRACE_CLIENT_IP_ENABLED", "false")
    interface.ask(peer="10.0.0.1")
    assert ["http.client_ip" in found["tags"] for found in recorder.take()] == [True, False]
