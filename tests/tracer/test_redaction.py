"""What a chunk looks like when it leaves: which texts are cut, by key and type, and what stays as it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddmiddleware.tracing import Span, Tracer
from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.redaction import Redaction
from ddmiddleware.tracing.settings import Settings
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.conftest import MakeTracer
from tests.tracer.expected import root

pytestmark = pytest.mark.usefixtures("twin")


def redact(*spans: Span, **environ: str) -> None:
    Redaction(Settings(environ)).redact(list(spans))


@pytest.fixture
def span(tracer: Tracer) -> Span:
    return tracer.start_span("a")


def tag(span: Span, key: str, value: object, **environ: str) -> str | None:
    span.set_tag(key, value)
    redact(span, **environ)
    return span.get_tag(key)


@pytest.mark.parametrize(
    "key",
    [
        *("password", "user.password", "PASSWD", "dbPassword", "client_secret", "api_key", "X-Api-Key", "apikey"),
        *("accessToken", "auth_token", "session.id", "aws.secret_access_key", "private_key", "credentials"),
        *("http.request.headers.authorization", "http.request.headers.cookie", "http.response.headers.set-cookie"),
        *("http.request.headers.x-api-key", "http.request.headers.proxy-authorization", "card.number", "cvv"),
    ],
)
def test_a_key_that_names_a_secret(span: Span, key: str) -> None:
    assert tag(span, key, "hunter2") == "<redacted>"


def test_a_secret_that_is_a_number(span: Span) -> None:
    assert tag(span, "password", 1234) == "<redacted>"
    assert span.get_metrics() == {}


@pytest.mark.parametrize(
    "key",
    [
        *("tokenizer", "author", "token_count", "max_tokens", "password_length", "secretary", "cookies_enabled"),
        *("usr.session_id", "passenger", "monkey", "compass", "signal", "discard", "http.status_code", "note"),
    ],
)
def test_a_key_that_does_not(span: Span, key: str) -> None:
    assert tag(span, key, "bob@example.com, password=hunter2") == "bob@example.com, password=hunter2"


def test_more_keys(span: Span) -> None:
    span.set_tags({"user.iban": "DE02", "badgeId": "7", "iban_x": "1", "libano": "x", "http.url": "/a?iban=DE02&b=1"})
    redact(span, DD_TRACE_REDACT_KEYS="IBAN, badge_id")
    secrets = dict.fromkeys(("user.iban", "badgeId", "iban_x"), "<redacted>")
    assert span.get_tags() == {**secrets, "libano": "x", "http.url": "/a?iban=<redacted>&b=1"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://bob:hunter2@shop/a?q=cup", "https://shop/a?q=cup"),
        ("https://bob@shop/a", "https://shop/a"),
        ("postgres://bob:p/w#d@d@db/shop", "postgres://db/shop"),
        ("https://[::1]:80/@bob", "https://[::1]:80/@bob"),
        (
            "/a?token=x&q=cup&apiKey=y#access_token=z",
            "/a?token=<redacted>&q=cup&apiKey=<redacted>#access_token=<redacted>",
        ),
        ("/a?sig=x;key=y&pass%77ord=z", "/a?sig=<redacted>;key=<redacted>&pass%77ord=<redacted>"),
        (
            "/a?x=4111111111111111&y=bob%40example.com&z=4111111111111112",
            "/a?x=<redacted>&y=<redacted>&z=4111111111111112",
        ),
        ("/a?x=0123456789abcdef0123&y=eyJhbGciOi.J9.x-y", "/a?x=<redacted>&y=<redacted>"),
        ("/a?next=https%3A%2F%2Fb%3Fpassword%3Dx", "/a?next=<redacted>"),
        ("/users/bob@example.com/cards/4111-1111-1111-1111", "/users/<redacted>/cards/<redacted>"),
    ],
)
@pytest.mark.parametrize("key", ["http.url", "callback_url", "http.request.headers.referer"])
def test_a_url(span: Span, key: str, url: str, shown: str) -> None:
    assert tag(span, key, url) == shown
    redact(span)
    assert span.get_tag(key) == shown


NAME = "DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP"


def test_a_pattern_for_queries(span: Span, caplog: pytest.LogCaptureFixture) -> None:
    url = "https://bob:pw@shop/a?sig=x&order=77"
    assert tag(span, "http.url", url, **{NAME: r"order=\d+"}) == "https://shop/a?sig=<redacted>&<redacted>"
    assert tag(span, "http.url", url, **{NAME: ""}) == "https://shop/a?sig=x&order=77"
    assert caplog.records == []
    assert tag(span, "http.url", url, **{NAME: "order=("}) == "https://shop/a?sig=<redacted>&order=77"
    (record,) = caplog.records
    assert record.getMessage().startswith(f"ddmiddleware: {NAME}='order=(' is no valid value")


@pytest.mark.parametrize(
    ("kind", "tags", "before", "after"),
    [
        ("sql", {}, 'select 1 from t where "a" = "b"', "select ? from t where ? = ?"),
        ("sql", {"db.system": "postgresql"}, 'select 1 from t where "a" = 2', 'select ? from t where "a" = ?'),
        ("cassandra", {}, 'select "a" from t where b = $$x$$', 'select "a" from t where b = ?'),
        ("redis", {}, "GET", "GET"),
        (None, {}, "mail bob@example.com 5", "mail <redacted> 5"),
        ("sql", {}, "select " + "1," * 13_000, "select " + "?," * 1146 + "?<truncated>..."),
    ],
)
def test_a_resource(span: Span, kind: str | None, tags: dict[str, str], before: str, after: str) -> None:
    span.span_type, span.resource = kind, before
    span.set_tags(tags)
    redact(span)
    assert span.resource == after


def test_statements_in_tags(span: Span) -> None:
    span.set_tags({"sql.query": "select 'x'", "redis.raw_command": "SET a b\nMGET " + "k " * 20 + "\nEMPTY"})
    redact(span)
    commands = "SET ? ?\nMGET" + " ?" * 10 + " ...\nEMPTY"
    assert span.get_tags() == {"sql.query": "select ?", "redis.raw_command": commands}
    redact(span)
    assert span.get_tag("redis.raw_command") == commands


def test_links_and_events(span: Span) -> None:
    attributes: dict[str, Any] = {"password": 12, "n": 5, "url": "/?token=x", "list": ["a"]}
    span.set_link(1, 2, attributes={"api_key": "x", "a": "b"})
    span.add_event("login of bob@example.com", attributes, 7)
    span.record_exception(ValueError("password=hunter2"))
    redact(span)
    assert span._links is not None
    assert span._links[0]["attributes"] == {"api_key": "<redacted>", "a": "b"}
    assert span._events is not None
    shown = {**attributes, "password": "<redacted>", "url": "/?token=<redacted>"}
    assert span._events[0] == ("login of <redacted>", 7, shown)
    assert span._events[1][2]["exception.message"] == "password=<redacted>"
    assert "hunter2" not in str(span._events)
    assert attributes["password"] == 12


def test_a_name(span: Span) -> None:
    span.name = "job for bob@example.com"
    redact(span)
    assert span.name == "job for <redacted>"


def test_it_is_on(agent: RecordingAgent, tracer: Tracer) -> None:
    with tracer.trace("a", resource="select 'x'", span_type="sql") as span:
        span.set_tags({"password": "hunter2", "note": "n"})
    tracer.flush()
    meta = {"password": "<redacted>", "note": "n"}
    assert plain(agent.spans) == [root("a", resource="select ?", type="sql", meta=meta)]


def test_it_can_be_off(agent: RecordingAgent, make_tracer: MakeTracer) -> None:
    tracer = make_tracer(agent.url, DD_TRACE_REDACTION_ENABLED="false")
    with tracer.trace("a", resource="select 'x'", span_type="sql") as span:
        span.set_tag("password", "hunter2")
    tracer.flush()
    assert plain(agent.spans) == [root("a", resource="select 'x'", type="sql", meta={"password": "hunter2"})]


class _Unhashable(str):
    __hash__ = None  # type: ignore[assignment]


def test_fields_set_by_hand_to_what_they_cannot_be(span: Span, tracer: Tracer) -> None:
    span.name, span.resource = _Unhashable("a"), 5  # type: ignore[assignment]
    span._meta = {7: 8, "password": ["hunter2"], "b": _Unhashable("c")}  # type: ignore[dict-item]
    other = tracer.start_span("b")
    other.set_tag("password", "hunter2")
    redact(span, other)
    assert (span.name, span.resource, span.get_tags()) == ("a", "5", {"7": "8", "password": "<redacted>", "b": "c"})
    assert other.get_tags() == {"password": "<redacted>"}


def test_what_fails_loses_its_texts(span: Span, tracer: Tracer, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hostile(dict[str, str]):
        def __missing__(self, _value: str) -> str:
            raise ValueError("no")

    monkeypatch.setattr(guard, "raises", False)
    monkeypatch.setattr(guard, "errors", 0)
    redaction = Redaction(Settings({}))
    redaction._rules["bad"] = Hostile(a="b")
    span.set_tags({"bad": "hunter2", "_dd.p.tid": "1", "a": "b"})
    span.set_link(1, 2)
    other = tracer.start_span("other")
    redaction.redact([span, other])
    assert (span.name, span.resource, span.get_tags()) == ("<redacted>", "<redacted>", {"_dd.p.tid": "1"})
    assert (span._links, other.name, guard.errors) == (None, "other", 1)


def test_its_memories_are_bounded(tracer: Tracer) -> None:
    redaction = Redaction(Settings({}))
    for number in range(5000):
        span = tracer.start_span(f"name {number}", resource=f"select {number}, x{number}", span_type="sql")
        span.set_tags({f"k{number}": "v", "http.url": f"/{number}/" + "x" * 1000})
        redaction.redact([span])
    assert len(redaction._harmless) + len(redaction._rules) <= 2000
    assert len(redaction._quiet) <= 2000
    for texts in (redaction._texts, redaction._statements["sql"]):
        assert len(texts) <= 2000
        assert sum(len(before) + len(after) for before, after in texts.items()) <= 1 << 20


@given(st.text(), st.text(), st.sampled_from(["error.message", "error.stack", "http.url", "redis.raw_command"]))
def test_any_text_can_be_redacted_twice(text: str, more: str, key: str) -> None:
    span = Tracer(Settings({})).start_span("a", resource=text)
    span.set_tag(key, f"{text} password={more}")
    redact(span)
    once = span.resource, span.get_tag(key)
    redact(span)
    assert (span.resource, span.get_tag(key)) == once
