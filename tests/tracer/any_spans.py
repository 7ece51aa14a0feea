"""Spans as a user may leave them: each field of each as it should be, or anything else."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from ddmiddleware.tracing import Span
from ddmiddleware.tracing.context import LocalTrace
from ddmiddleware.tracing.start import start
from tests.tracer.anything import Anything

SLOTS = set(Span.__slots__) - {"__weakref__"}
_Id = st.integers(0, 2**64 - 1) | Anything
_Time = st.integers(0, 2**63 - 1) | Anything
Text = st.text(max_size=5) | Anything
Number = st.integers(-(2**64), 2**65) | st.floats() | Anything
_Key = st.text(max_size=3) | st.sampled_from(["x" * 9_999, "x" * 10_000, "x" * 10_001, "x" * 25_001])
_Fields = st.fixed_dictionaries(
    {
        "service": st.none() | Text,
        "name": Text,
        "resource": Text,
        "span_type": st.none() | Text,
        "span_id": _Id,
        "parent_id": st.none() | _Id,
        "error": st.integers() | st.booleans() | st.text() | st.none(),
        "start_ns": _Time,
        "duration_ns": _Time,
        "_meta": st.dictionaries(_Key, Text, max_size=20),
        "_metrics": st.dictionaries(_Key, Number, max_size=20),
        "_links": st.sampled_from([None, None, None, [], [{"trace_id": "1", "span_id": "2"}]]),
        "_events": st.sampled_from([None, None, None, [("event", 1, {"a": 1})]]),
    }
)
# Mostly spans with nothing unusual, and at most one field of another span's.
PLAIN = {
    "service": "shop",
    "name": "a",
    "resource": "b",
    "span_type": None,
    "span_id": 1,
    "parent_id": None,
    "error": 0,
    "start_ns": 1,
    "duration_ns": 1,
    "_meta": {"tag": "text"},
    "_metrics": {"number": 1},
    "_links": None,
    "_events": None,
}
Spans = st.lists(
    st.one_of(
        st.tuples(_Fields, st.sampled_from(sorted(PLAIN))).map(lambda pair: {**PLAIN, pair[1]: pair[0][pair[1]]}),
        _Fields,
    ),
    max_size=4,
)
# Spans with what is redacted: a few keys and texts, so that they come again.
_SECRETIVE = ["select 1", "select 'a' from b", "GET key", "http://a:b@c/?token=d", "ok", "", "Bearer abcdefgh"]
_Cut = st.sampled_from(_SECRETIVE) | Text
_CutKey = st.sampled_from(["http.url", "sql.query", "redis.raw_command", "error.message", "password", "db.system"])
Secretive = st.lists(
    st.fixed_dictionaries(
        {
            **{field: st.just(value) for field, value in PLAIN.items()},
            "name": _Cut,
            "resource": _Cut,
            "span_type": st.sampled_from([None, "sql", "cassandra", "redis", "web"]) | Anything,
            "_meta": st.dictionaries(_CutKey, _Cut | st.just("postgresql"), max_size=5),
            "_metrics": st.none() | st.dictionaries(_CutKey, Number, max_size=2),
        }
    ),
    max_size=3,
)


def made(trace: LocalTrace, chunk: list[dict[str, Any]], trace_id: Any) -> list[Span]:
    """Make spans of these fields, with dictionaries and lists of their own."""
    spans = []
    for fields in chunk:
        span = start("", None, None, None, trace, trace_id, None, None, None)
        for name, value in fields.items():
            setattr(span, name, copy.copy(value) if type(value) in (dict, list) else value)
        spans.append(span)
    return spans
