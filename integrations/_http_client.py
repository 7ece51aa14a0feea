"""What all HTTP clients share: how a request and its answer look on a span (OpenTelemetry HTTP client conventions)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import MutableMapping
from urllib.parse import urlsplit

from ddmiddleware.integrations._patching import Call
from ddmiddleware.tracing import EXTRACTED_HEADERS, default_settings

_INJECTED_MAX = 1000
_injected: OrderedDict[str, int] = OrderedDict()  # the latest traceparents of ours, each with the id of its headers


def sent(call: Call, method: str, url: str, headers: MutableMapping[str, str] | None) -> None:
    """Describe an outgoing request and add the headers that continue the trace.

    The resource is ``METHOD host``, for a raw path would give every request its own; ``http.url`` goes without
    credentials, query and fragment.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        port = parts.port
    except ValueError:
        port = None
    address = f"[{host}]" if ":" in host else host
    if port:
        address = f"{address}:{port}"
        call.metrics["network.destination.port"] = port
    call.span.resource = f"{method} {address}".rstrip()
    call.tags["http.method"] = method
    call.tags["http.url"] = f"{parts.scheme}://{address}{parts.path}"
    call.tags["out.host"] = host
    call.metrics["_dd.measured"] = 1
    if headers is not None:
        _inject(call, headers)


def _inject(call: Call, headers: MutableMapping[str, str]) -> None:
    """Add the trace's headers, unless the caller has set its own.

    Our own may be there as well: a redirect copies them, and a prepared request is sent again with them.
    """
    there = headers.get("traceparent")
    if there in _injected:
        for name in EXTRACTED_HEADERS:
            headers.pop(name, None)
    elif there or headers.get("x-datadog-trace-id"):
        return
    call.inject(headers)
    _injected[headers.get("traceparent", "")] = id(headers)
    if len(_injected) > _INJECTED_MAX:
        _injected.popitem(last=False)


def copied(headers: MutableMapping[str, str]) -> bool:
    """Return whether *headers* hold a trace context that we put into others, of which they are a copy."""
    return _injected.get(headers.get("traceparent", ""), id(headers)) != id(headers)


def answered(call: Call, status: int) -> None:
    """Describe the answer; the server error statuses make the span an error."""
    call.tags["http.status_code"] = str(status)
    if status in default_settings["DD_TRACE_HTTP_SERVER_ERROR_STATUSES"]:
        call.span.error = 1
