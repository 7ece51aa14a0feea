"""A trace in headers: read from a request that comes in, written to a request that goes out.

Datadog's and the W3C's headers, both ways. Where a request carries both for one trace, Datadog's lead and the W3C's
contribute other vendors' ``tracestate``.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from ddmiddleware.tracing.context import Context
from ddmiddleware.tracing.log import warn
from ddmiddleware.tracing.propagation import datadog, tracecontext

_complained: set[str] = set()
EXTRACTED = frozenset(
    (
        "traceparent",
        "tracestate",
        "x-datadog-origin",
        "x-datadog-parent-id",
        "x-datadog-sampling-priority",
        "x-datadog-tags",
        "x-datadog-trace-id",
    )
)


def extract(headers: Mapping[str, str]) -> Context | None:
    """Return the context that *headers* (names in lower case) continue, or None; malformed headers count as absent."""
    try:
        w3c = tracecontext.extract(headers)
        context = datadog.extract(headers)
    except (AttributeError, TypeError):  # a value that is no text
        return None
    if w3c is None and headers.get("traceparent"):
        _complain("traceparent", headers, "version-traceid-spanid-flags in lower-case hex, as W3C Trace Context has it")
    if context is None:
        if headers.get("x-datadog-trace-id"):
            _complain("x-datadog-trace-id", headers, "a decimal number from 1 to 2^64-1")
        return w3c
    if w3c is not None and w3c.trace_id == context.trace_id:
        context._propagated.tracestate = w3c._propagated.tracestate
    return context


def _complain(name: str, headers: Mapping[str, str], expected: str) -> None:
    """Say that a caller's header is malformed, once per header: others decide how often that comes."""
    if name not in _complained:
        _complained.add(name)
        warn("the request header %s is malformed and ignored: %r is not %s", name, headers[name][:80], expected)


def inject(context: Context) -> dict[str, str]:
    """Return the headers that let another service continue *context*."""
    headers: dict[str, str] = {}
    if context.trace_id and context.span_id:
        datadog.inject(context, headers)
        tracecontext.inject(context, headers)
    return headers


def inject_into(context: Context, headers: MutableMapping[str, str]) -> None:
    """Add the headers of *context* to those of an outgoing request; a trace context that is there already stays."""
    if not (headers.get("traceparent") or headers.get("x-datadog-trace-id")):
        for name, value in inject(context).items():
            headers[name] = value
