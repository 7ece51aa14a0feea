"""Helpers for users' own integrations, under the names of ``ddtrace.contrib.trace_utils``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ddmiddleware.tracing import Span, Tracer, default_settings, extract_headers

__all__ = [
    "activate_distributed_headers",
    "ext_service",
    "flatten_dict",
    "int_service",
    "set_flattened_tags",
    "set_http_meta",
    "set_user",
]


def set_http_meta(
    span: Span,
    integration_config: Any = None,
    method: str | None = None,
    url: str | None = None,
    target_host: str | None = None,
    status_code: int | str | None = None,
    status_msg: str | None = None,
    request_headers: Mapping[str, str] | None = None,
    retries_remain: int | str | None = None,
    route: str | None = None,
    **others: Any,
) -> None:
    """Describe a request and its response on *span*, by the keys of ``ddtrace.ext.http``.

    The URL is kept without credentials, query and fragment. A status of ``DD_TRACE_HTTP_SERVER_ERROR_STATUSES`` makes
    the span an error. What else ddtrace takes (*others*) is accepted and left out.
    """
    tags = {
        "http.method": method,
        "http.url": None if url is None else _bare(url),
        "out.host": target_host,
        "http.status_code": status_code,
        "http.status_msg": status_msg,
        "http.retries_remain": retries_remain,
        "http.route": route,
        "http.useragent": _header(request_headers, "user-agent"),
    }
    for key, value in tags.items():
        if value is not None:
            span.set_tag_str(key, str(value))
    try:
        failed = status_code is not None and int(status_code) in default_settings["DD_TRACE_HTTP_SERVER_ERROR_STATUSES"]
    except ValueError:  # no number: an error of the caller's, not of the request
        failed = False
    if failed:
        span.error = 1


def _bare(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:  # such as an open bracket
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _header(headers: Mapping[str, str] | None, name: str) -> str | None:
    return next((value for key, value in (headers or {}).items() if key.lower().replace("_", "-") == name), None)


def activate_distributed_headers(
    tracer: Tracer,
    int_config: Any = None,
    request_headers: Mapping[str, str] | None = None,
    override: bool | None = None,
) -> None:
    """Make the trace that *request_headers* continue the active one; *override* False leaves them unread."""
    if override is False or not request_headers:
        return
    context = extract_headers({name.lower(): value for name, value in request_headers.items()})
    if context is not None and context.trace_id:
        current = tracer.current_trace_context()
        if current is None or current.trace_id != context.trace_id:
            tracer.context_provider.activate(context)


def int_service(pin: Any, int_config: Any, default: str | None = None) -> str | None:
    """Return the service of spans of the application itself: the pin's, the integration's, the default."""
    return _service(pin, int_config) or default_settings.service or default


def ext_service(pin: Any, int_config: Any, default: str | None = None) -> str | None:
    """Return the service of spans of what the application calls: the pin's, the integration's, the default."""
    return _service(pin, int_config) or default


def _service(pin: Any, int_config: Any) -> str | None:
    for found in (getattr(pin, "service", None), getattr(int_config, "service", None)):
        if found:
            return str(found)
    return None


def flatten_dict(nested: Mapping[str, Any], sep: str = ".", prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested dictionaries under joined keys: ``{"a": {"b": 1}}`` is ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        path = f"{prefix}{sep}{key}" if prefix else key
        if isinstance(value, Mapping):
            flat.update(flatten_dict(value, sep, path))
        else:
            flat[path] = value
    return flat


def set_flattened_tags(span: Span, items: Mapping[str, Any], sep: str = ".") -> None:
    """Set the leaves of nested dictionaries as tags of *span*."""
    span.set_tags(flatten_dict(items, sep))


def set_user(
    tracer: Tracer,
    user_id: str,
    name: str | None = None,
    email: str | None = None,
    scope: str | None = None,
    role: str | None = None,
    session_id: str | None = None,
    **others: Any,
) -> None:
    """Say on the request's first span on whose behalf it runs; nothing is said without a span."""
    span = tracer.current_root_span()
    if span is None:
        return
    described = {"id": user_id, "name": name, "email": email, "scope": scope, "role": role, "session_id": session_id}
    for key, value in described.items():
        if value:
            span.set_tag_str(f"usr.{key}", str(value))
