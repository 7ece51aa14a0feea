"""The headers of B3: one for each part (``b3multi``), or all in one (``b3``).

https://github.com/openzipkin/b3-propagation. Ids are read in any case and with or without their leading zeros, as
there are senders of each kind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ddmiddleware.tracing.constants import AUTO_KEEP, AUTO_REJECT, USER_KEEP
from ddmiddleware.tracing.context import Context

NAMES = ("b3",)
MULTI_NAMES = ("x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags")
_SHORT = 128  # no valid value is longer
_TRACE_ID = re.compile("[0-9a-fA-F]{1,32}")
_SPAN_ID = re.compile("[0-9a-fA-F]{1,16}")
# Before there was a specification, some sent true and false.
_SAMPLED = {"1": AUTO_KEEP, "true": AUTO_KEEP, "0": AUTO_REJECT, "false": AUTO_REJECT}
_STATES = {"1": AUTO_KEEP, "0": AUTO_REJECT, "d": USER_KEEP}


def extract_multi(headers: Mapping[str, str]) -> Context | None:
    """Read a context from ``x-b3-*``; one without a trace id where there is no more than a sampling decision."""
    priority = _SAMPLED.get(_short(headers, "x-b3-sampled").lower())
    if _short(headers, "x-b3-flags") == "1":
        priority = USER_KEEP
    trace_id, span_id = headers.get("x-b3-traceid"), headers.get("x-b3-spanid")
    if trace_id or span_id:
        return _context(_short(headers, "x-b3-traceid"), _short(headers, "x-b3-spanid"), priority)
    return None if priority is None else Context(sampling_priority=priority)


def extract(headers: Mapping[str, str]) -> Context | None:
    """Read a context from ``b3``; one without a trace id where it is no more than a sampling decision."""
    value = _short(headers, "b3")
    if not value:
        return None
    if value in _STATES:
        return Context(sampling_priority=_STATES[value])
    trace_id, dash, rest = value.partition("-")
    fields = rest.split("-")
    priority = None
    if len(fields) > 1:
        if fields[1] not in _STATES:
            return None
        priority = _STATES[fields[1]]
    if not dash or len(fields) > 3 or (len(fields) == 3 and not _SPAN_ID.fullmatch(fields[2])):
        return None
    return _context(trace_id, fields[0], priority)


def _short(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    return value.strip(" \t") if len(value) <= _SHORT else ""


def _context(trace_hex: str, span_hex: str, priority: int | None) -> Context | None:
    if not _TRACE_ID.fullmatch(trace_hex) or not _SPAN_ID.fullmatch(span_hex):
        return None
    trace_id, span_id = int(trace_hex, 16), int(span_hex, 16)
    return Context(trace_id, span_id, sampling_priority=priority) if trace_id and span_id else None


def inject_multi(context: Context, headers: dict[str, str]) -> None:
    """Write ``x-b3-*`` into *headers*; a trace that a user keeps is sent as one to debug."""
    headers["x-b3-traceid"] = _trace_hex(context)
    headers["x-b3-spanid"] = f"{context.span_id:016x}"
    priority = context._propagated.priority
    if priority is not None and priority >= USER_KEEP:
        headers["x-b3-flags"] = "1"
    elif priority is not None:
        headers["x-b3-sampled"] = "1" if priority > 0 else "0"


def inject(context: Context, headers: dict[str, str]) -> None:
    """Write ``b3`` into *headers*."""
    value = f"{_trace_hex(context)}-{context.span_id:016x}"
    priority = context._propagated.priority
    if priority is not None:
        value += "-d" if priority >= USER_KEEP else "-1" if priority > 0 else "-0"
    headers["b3"] = value


def _trace_hex(context: Context) -> str:
    trace_id = context.trace_id or 0
    return f"{trace_id:032x}" if trace_id >> 64 else f"{trace_id:016x}"
