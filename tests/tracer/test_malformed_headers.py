"""What is said of headers that cannot be read."""

from __future__ import annotations

import pytest

from ddmiddleware.tracing import extract_headers
from ddmiddleware.tracing.propagation import propagator


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("traceparent", "00-nonsense" + "x" * 1_000_000),
        ("x-datadog-trace-id", "0xff\r\nInjected: 1"),
        ("baggage", "=" * 1_000_000),
    ],
)
def test_one_line_once(
    name: str, value: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(propagator, "_complained", set())
    for _ in range(3):
        assert extract_headers({name: value}) is None
    (record,) = caplog.records
    line = record.getMessage()
    assert line.startswith(f"ddmiddleware: the request header {name} is malformed and ignored: ")
    assert "\n" not in line
    assert len(line) < 300


def test_no_word_where_there_is_none(caplog: pytest.LogCaptureFixture) -> None:
    assert extract_headers({"tracestate": "a=b", "x-datadog-origin": "rum"}) is None
    assert not caplog.records
