"""The span of an API gateway that stands before the service and describes itself in the headers of a request.

https://docs.datadoghq.com/tracing/trace_collection/proxy_setup/apigateway/
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ddmiddleware.tracing import Span, default_tracer

if TYPE_CHECKING:
    from ddmiddleware._rules import Reader

_NAMES = {"aws-apigateway": "aws.apigateway", "aws-httpapi": "aws.httpapi", "azure-apim": "azure.apim"}
_ARNS = {"aws-apigateway": "restapis", "aws-httpapi": "apis"}
_TAGS = {
    "stage": "stage",
    "account-id": "account_id",
    "api-id": "apiid",
    "region": "region",
    "user": "aws_user",
    "httpmethod": "http.method",
    "resource-path": "http.route",
}
_OLDEST_S = 3600.0
_FROM_REQUEST = ("http.status_code", "error.type", "error.message", "error.stack")


def begin(source: Any, reader: Reader) -> Span | None:
    """Start the gateway's span, at the time that it took the request, and make it the active one; None without one."""
    system = reader.header(source, "x-dd-proxy")
    name = _NAMES.get(system)
    if name is None:
        return None

    def said(about: str) -> str:
        return reader.header(source, f"x-dd-proxy-{about}")

    start_ns = _start_ns(said("request-time-ms"))
    if start_ns is None:
        return None
    domain, method, route = said("domain-name"), said("httpmethod"), said("resource-path")
    resource = f"{method} {route}".strip()  # the path is no resource, as everywhere
    span = default_tracer.trace(name, domain or None, resource or None, "web")
    span.start_ns = start_ns
    tags = span._meta
    tags["component"] = system
    tags["span.kind"] = "server"
    tags["http.url"] = f"https://{domain}{said('path')}"
    for about, tag in _TAGS.items():
        value = said(about)
        if value:
            tags[tag] = value
    if system in _ARNS and "region" in tags and "apiid" in tags:
        tags["dd_resource_key"] = f"arn:aws:apigateway:{tags['region']}::/{_ARNS[system]}/{tags['apiid']}"
    agent = reader.header(source, "user-agent")
    if agent:
        tags["http.useragent"] = agent
    span._metrics["_dd.inferred_span"] = 1
    return span


def end(span: Span, request: Span, finish_time: float | None) -> None:
    """End the gateway's span, with the status and the error of the *request* that it passed on."""
    span.error = request.error
    for key in _FROM_REQUEST:
        if key in request._meta:
            span._meta[key] = request._meta[key]
    span.finish(finish_time)


def _start_ns(milliseconds: str) -> int | None:
    """Return a time since the epoch in nanoseconds; None for what is no time of the last hour."""
    try:
        start_ns = int(milliseconds) * 1_000_000
    except ValueError:
        return None
    now_ns = time.time_ns()
    if now_ns - start_ns > _OLDEST_S * 1e9 or start_ns - now_ns > _OLDEST_S * 1e9:
        return None
    return min(start_ns, now_ns)  # the gateway's clock may be ahead
