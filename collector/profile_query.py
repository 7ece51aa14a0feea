"""The query of the profiles page: what its parameters ask for."""

import re
import sqlite3
from collections.abc import Mapping
from typing import Any

from ddmiddleware.collector import paths, window
from ddmiddleware.collector.ids import I64_MAX, U64_MAX
from ddmiddleware.collector.profiles import Wanted
from ddmiddleware.collector.trace import MAX_SPANS, load_trace
from ddmiddleware.collector.window import Window

# The clock that stamps a profile is read apart from the one that times a span.
_SLACK_NS = 10**9

_SPAN = re.compile(r"[0-9a-fA-F]{16}")
_DECIMAL = re.compile(r"[0-9]{1,20}")


def read_query(
    connection: sqlite3.Connection, query: Mapping[str, str], now_ns: int
) -> tuple[Wanted, dict[str, Any] | None]:
    """Return what is wanted, and the span that it is about, as `load_trace` says it; None where it is about none.

    `window`, or `from_ms` and `to_ms` (since the Unix epoch), say when; `service`, `env`, `endpoint` and `value` what;
    `q` is searched for, `at` names a path (`paths`). `span` (16 hexadecimal digits, or decimal) wants only what was
    done for that span, or for the whole request where it is its local root; with its `trace` too, also for what is
    below it, and then it says by itself when. Raises ValueError, which names the parameter, and sqlite3.Error.
    """
    span_id = _span_id(query.get("span", ""))
    span, below = _in_trace(connection, query.get("trace", ""), span_id)
    if span is not None:
        begin, end = span["start_ns"], span["start_ns"] + max(span["duration_ns"], 0)
        when = Window("span", begin - _SLACK_NS, min(end + _SLACK_NS, I64_MAX))
    else:
        when = _window(query, now_ns)
    wanted = Wanted(
        window=when,
        service=query.get("service", ""),
        env=query.get("env", ""),
        endpoint=query.get("endpoint", ""),
        value=query.get("value", ""),
        search=query.get("q", "").strip(),
        at=_path(query.get("at", "")),
        spans=None if span_id is None else frozenset(below or {span_id}),
    )
    return wanted, span


def _window(query: Mapping[str, str], now_ns: int) -> Window:
    begin, end = (_whole(query, key, I64_MAX // 10**6) for key in ("from_ms", "to_ms"))
    if begin is not None or end is not None:
        found = Window("range", (begin or 0) * 10**6, now_ns if end is None else end * 10**6)
        if found.since_ns > found.until_ns:
            raise ValueError("'to_ms' must not be before 'from_ms'")
        return found
    name = query.get("window", window.DEFAULT)
    if name not in window.NAMES:
        raise ValueError(f"'window' must be one of {', '.join(window.NAMES)}")
    # Clocks of other machines may run ahead.
    return Window(name, Window.named(name, now_ns).since_ns, I64_MAX)


def _whole(query: Mapping[str, str], key: str, most: int) -> int | None:
    text = query.get(key, "").strip()
    if not text:
        return None
    if not _DECIMAL.fullmatch(text) or int(text) > most:
        raise ValueError(f"{key!r} must be a whole number from 0 to {most}")
    return int(text)


def _path(text: str) -> str:
    if text and not paths.is_text(text):
        raise ValueError("'at' must be the path of a call, as another page has it")
    return text


def _span_id(text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if _SPAN.fullmatch(text):
        return int(text, 16)
    if _DECIMAL.fullmatch(text) and 0 < int(text) <= U64_MAX:
        return int(text)
    raise ValueError("'span' must be a span id: 16 hexadecimal digits, or a decimal number")


def _in_trace(
    connection: sqlite3.Connection, trace_id: str, span_id: int | None
) -> tuple[dict[str, Any] | None, set[int]]:
    """Return the span of the trace, and the ids of it and of all below it; None and none where it is not there."""
    trace = load_trace(connection, trace_id, MAX_SPANS) if trace_id and span_id is not None else None
    below: set[int] = set()
    found = None
    for span in trace["spans"] if trace else ():
        if found is not None and span["depth"] <= found["depth"]:
            break
        if found is not None or int(span["span_id"], 16) == span_id:
            found = found or {**span, "trace_id": trace_id}
            below.add(int(span["span_id"], 16))
    return found, below
