"""``HTTPPropagator``, as ddtrace's users call it."""

from __future__ import annotations

import email.message
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddmiddleware.context import Context
from ddmiddleware.propagation.http import HTTPPropagator
from ddmiddleware.tracing import Tracer, default_tracer
from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.settings import Settings

W3C = f"00-{8:032x}-{9:016x}-01"
FOUND = Context(8, 9, sampling_priority=1)


def _message(*headers: tuple[str, str]) -> email.message.Message:
    message = email.message.Message()
    for name, value in headers:
        message[name] = value
    return message


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"traceparent": W3C}, FOUND),
        ({"TraceParent": W3C}, FOUND),
        ({"HTTP_TRACEPARENT": W3C, "wsgi.input": object()}, FOUND),
        ({"HTTP_X_DATADOG_TRACE_ID": "8", "HTTP_X_DATADOG_PARENT_ID": "9"}, Context(8, 9)),
        ({b"Traceparent": W3C.encode()}, FOUND),
        ({"traceparent": [W3C]}, FOUND),
        ({"traceparent": (W3C.encode(),)}, FOUND),
        ([(b"traceparent", W3C.encode())], FOUND),
        ([["traceparent", W3C]], FOUND),
        (_message(("Traceparent", W3C), ("Tracestate", "a=1"), ("tracestate", "b=2")), "a=1,b=2"),
        ({"traceparent": W3C, "tracestate": ["a=1", "b=2", 3, None]}, "a=1,b=2"),
        ({"traceparent": W3C, "HTTP_TRACEPARENT": W3C}, FOUND),
        ({"x-datadog-trace-id": 8, "x-datadog-parent-id": 9}, Context(8, 9)),
        ({"traceparent": W3C, "Baggage": [b"a=%C3%A9", "b=2"]}, {"a": "é", "b": "2"}),
        ({"traceparent": [W3C, W3C]}, Context()),
        ({"traceparent": W3C, "Traceparent": W3C[:-1] + "0"}, Context()),
        ({"x-datadog-trace-id": True}, Context()),
        ({"x-datadog-trace-id": 10**5000}, Context()),
        ({"x-datadog-trace-id": 8.0}, Context()),
        ({"traceparent": {"a": W3C}}, Context()),
        ({None: W3C, 5: W3C, ("traceparent",): W3C, "t" * 1000: W3C}, Context()),
        ({}, Context()),
        (None, Context()),
        (5, Context()),
        ("traceparent", Context()),
        ([None, ("traceparent",), ("traceparent", W3C, W3C)], Context()),
    ],
)
def test_extract(headers: Any, expected: Context | dict[str, str] | str) -> None:
    found = HTTPPropagator.extract(headers)
    if isinstance(expected, str):
        assert found._propagated.tracestate == expected
    elif isinstance(expected, dict):
        assert found.get_all_baggage_items() == expected
    else:
        assert found == expected


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(W3C),
    lambda inner: st.lists(inner) | st.tuples(inner, inner),
    max_leaves=5,
)
_NAME = st.sampled_from(["traceparent", "TRACESTATE", "HTTP_BAGGAGE", b"x-datadog-trace-id", "x-datadog-tags"])


@given(_ANY | st.dictionaries(_NAME | st.text() | st.binary() | st.none(), _ANY))
def test_whatever_is_given_nothing_is_raised(headers: Any) -> None:
    assert isinstance(HTTPPropagator.extract(headers), Context)


class _Broken(dict[str, str]):
    def items(self) -> Any:
        raise OSError("no such headers")

    def update(self, *args: Any, **kwargs: Any) -> None:
        raise OSError("no such headers")


def test_headers_that_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "raises", False)
    monkeypatch.setattr(guard, "_reported", {})
    assert HTTPPropagator.extract(_Broken()) == Context()
    HTTPPropagator.inject(Context(8, 9), _Broken())


def test_inject() -> None:
    headers = {"accept": "*/*"}
    context = Context(8, 9, sampling_priority=1, baggage={"a": "1"})
    HTTPPropagator.inject(context, headers)
    assert headers == {
        "accept": "*/*",
        "x-datadog-trace-id": "8",
        "x-datadog-parent-id": "9",
        "x-datadog-sampling-priority": "1",
        "traceparent": W3C,
        "tracestate": f"dd=p:{9:016x};s:1",
        "baggage": "a=1",
    }
    assert HTTPPropagator.extract(headers) == context


def test_what_was_there_is_replaced_in_whatever_case() -> None:
    headers = {"TraceParent": W3C, "X-Datadog-Trace-Id": "7", "baggage": "theirs=1"}
    HTTPPropagator.inject(Context(5, 6), headers)
    assert headers["traceparent"].startswith(f"00-{5:032x}-{6:016x}")
    assert (headers["x-datadog-trace-id"], headers["baggage"]) == ("5", "theirs=1")
    assert len({name.lower() for name in headers}) == len(headers)


def test_a_span_or_nothing() -> None:
    tracer = Tracer(Settings({}))
    span = tracer.start_span("a")
    headers: dict[str, str] = {}
    HTTPPropagator.inject(span, headers)
    assert headers["x-datadog-parent-id"] == str(span.span_id)
    headers.clear()
    HTTPPropagator.inject(Context(8, 9), headers, span)
    assert headers["x-datadog-parent-id"] == str(span.span_id)
    headers.clear()
    HTTPPropagator.inject(None, headers)
    HTTPPropagator.inject(Context(), headers)
    assert headers == {}


def test_going_on_in_another_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_tracer, "export", lambda *_: None)
    with default_tracer.trace("sender") as sender:
        message: dict[str, str] = {}
        HTTPPropagator().inject(sender.context, message)
    default_tracer.context_provider.activate(HTTPPropagator().extract(message))
    with default_tracer.trace("receiver") as receiver:
        assert (receiver.trace_id, receiver.parent_id) == (sender.trace_id, sender.span_id)
    default_tracer.context_provider.activate(None)
