"""What all HTTP clients share: how a request and its answer look on a span (OpenTelemetry HTTP client conventions)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import MutableMapping
from functools import lru_cache
from urllib.parse import urlsplit

from ddmiddleware.integrations._call import View
from ddmiddleware.integrations._options import Options
from ddmiddleware.integrations._patching import Call
from ddmiddleware.tracing import (
    INJECTED_MARK,
    Span,
    active,
    default_settings,
    default_tracer,
    inject_headers,
    may_propagate_to,
)

WIRE = "http"
_REMEMBERED_MAX = 1000
_PORTS = {"http": 80, "https": 443}
# The latest headers of ours, each under the value of the one that differs from span to span.
_injected: OrderedDict[str, dict[str, str]] = OrderedDict()
_sent: OrderedDict[int, int] = OrderedDict()  # the latest spans, each with the id of its request's headers


def sent(
    call: Call,
    method: str,
    url: str | tuple[str, str, str],
    headers: MutableMapping[str, str] | None,
    view: View | None = None,
) -> None:
    """Describe an outgoing request and add the headers that continue the trace.

    The resource is ``METHOD host``, for a raw path would give every request its own; ``http.url`` goes without
    credentials, query and fragment. *url* may be what is left of it then, as scheme, authority and path. *view* is a
    shorter way to *headers*.
    """
    scheme, authority, path = url if isinstance(url, tuple) else _split(url)
    address, host, port = _address(authority)
    if port:
        call.metrics["network.destination.port"] = port
    call.span.resource = f"{method} {address}" if address else method
    if address and call.options.split_by_domain:
        call.span.service = address
    tags = call.tags
    tags["http.method"] = method
    tags["http.url"] = f"{scheme}://{address}{path}"
    tags["out.host"] = host
    call.metrics["_dd.measured"] = 1
    if headers is not None:
        _send(call, host, headers, view)


def _split(url: str) -> tuple[str, str, str]:
    """Return a URL's scheme, authority and path (RFC 3986, appendix B), several times as fast as urlsplit."""
    scheme, found, rest = url.partition("://")
    if not found:
        return "", "", url.partition("?")[0].partition("#")[0]
    rest = rest.partition("?")[0].partition("#")[0]
    authority, slash, path = rest.partition("/")
    return scheme.lower(), authority, slash + path


@lru_cache(maxsize=_REMEMBERED_MAX)
def _address(authority: str) -> tuple[str, str, int]:
    """Return what a URL's authority says without its credentials, the host in it, and the port, 0 where there is none.

    Of what cannot be read there is little to tell.
    """
    try:
        parts = urlsplit(f"//{authority}")
        host = parts.hostname or ""
    except ValueError:
        return "", "", 0
    address = f"[{host}]" if ":" in host else host
    try:
        port = parts.port or 0
    except ValueError:
        port = 0
    return (f"{address}:{port}", host, port) if port else (address, host, 0)


def _host(url: str) -> str:
    return _address(_split(url)[1])[1]


def origin(scheme: str, host: str, port: int | None) -> str:
    """Return the start of a URL, without the port that its scheme means anyway."""
    host = f"[{host}]" if ":" in host and host[:1] != "[" else host
    return f"{scheme}://{host}" if port in (None, _PORTS.get(scheme)) else f"{scheme}://{host}:{port}"


def joined(call: Call, url: str, headers: MutableMapping[str, str], view: View | None = None) -> None:
    """Add the headers of the outer library's span to its request, unless it has done so itself."""
    if call.span.span_id not in _sent:
        _send(call, _host(url), headers, view)


def _send(call: Call, host: str, headers: MutableMapping[str, str], view: View | None) -> None:
    _inject(call, host, headers, view)
    _sent[call.span.span_id] = id(headers)
    if len(_sent) > _REMEMBERED_MAX:
        _sent.popitem(last=False)


def _inject(call: Call, host: str, headers: MutableMapping[str, str], view: View | None) -> None:
    """Add the trace's headers, unless the caller has set its own, or *host* or the integration is not to have any.

    Our own may be there as well: a redirect copies them, and a prepared request is sent again with them.
    """
    may = call.options.distributed_tracing and may_propagate_to(host)
    ours = call.inject(headers, view) if may else {}
    if not ours and _take_back(headers) and may:
        ours = call.inject(headers, view)
    if INJECTED_MARK in ours:
        _injected[ours[INJECTED_MARK]] = ours
        if len(_injected) > _REMEMBERED_MAX:
            _injected.popitem(last=False)


def _take_back(headers: MutableMapping[str, str]) -> bool:
    """Remove our headers, and return whether there were any."""
    ours = _injected.get(headers.get(INJECTED_MARK, ""), {})
    for name in ours:
        headers.pop(name, None)
    return bool(ours)


def parted(headers: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers of others, and ours; there are none of ours unless all of them are there as we added them."""
    ours = _injected.get(headers.get(INJECTED_MARK, ""), {})
    if not ours or not ours.items() <= headers.items():
        return headers, {}
    return {name: value for name, value in headers.items() if name not in ours}, ours


def lines(headers: dict[str, str]) -> bytes:
    """Return headers as HTTP/1.1 writes them; nothing where a value would break out of its line."""
    values = "".join(headers.values())
    if "\r" in values or "\n" in values or not values.isascii():
        return b""
    return ("\r\n".join(map(": ".join, headers.items())) + "\r\n").encode()


def carry(options: Options, url: str, headers: MutableMapping[str, str]) -> None:
    """Add the headers of the active span to a request that nobody has sent before."""
    span = default_tracer.current_span()
    if span is not None and options.distributed_tracing and may_propagate_to(_host(url)):
        inject_headers(span.context, headers)


def is_sent() -> bool:
    """Return whether the active span is of a request whose headers are already those to send: nothing is left to do."""
    span = active.get()
    return type(span) is Span and span._wire == WIRE and span.duration_ns is None and span.span_id in _sent


def is_hop(headers: MutableMapping[str, str]) -> bool:
    """Return whether the active span is of a request that was sent with other headers: these are a redirect's."""
    span = active.get()
    if type(span) is not Span or span.duration_ns is not None:
        span = default_tracer.current_span()
    return span is not None and _sent.get(span.span_id, id(headers)) != id(headers)


def answered(call: Call, status: int) -> None:
    """Describe the answer; the server error statuses make the span an error."""
    call.tags["http.status_code"] = str(status)
    if status in default_settings["DD_TRACE_HTTP_SERVER_ERROR_STATUSES"]:
        call.span.error = 1
