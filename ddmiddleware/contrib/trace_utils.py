"""Helpers for users' own integrations, under the names of ``ddtrace.contrib.trace_utils``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ddmiddleware._header_tags import tag_request, tag_response
from ddmiddleware._rules import rules
from ddmiddleware.contrib._wrapping import iswrapped, unwrap, with_traced_module, with_traced_module_async, wrap
from ddmiddleware.tracing import Span, Tracer, default_settings, extract_headers

__all__ = [
    "activate_distributed_headers",
    "distributed_tracing_enabled",
    "ext_service",
    "extract_netloc_and_query_info_from_url",
    "flatten_dict",
    "int_service",
    "iswrapped",
    "set_flattened_tags",
    "set_http_meta",
    "set_user",
    "unwrap",
    "with_traced_module",
    "with_traced_module_async",
    "wrap",
]


def set_http_meta(
    span: Span,
    integration_config: Any = None,
    method: str | None = None,
    url: str | None = None,
    target_host: str | None = None,
    status_code: int | str | None = None,
    status_msg: str | None = None,
    query: str | None = None,
    request_headers: Mapping[str, str] | None = None,
    response_headers: Mapping[str, str] | None = None,
    retries_remain: int | str | None = None,
    peer_ip: str | None = None,
    route: str | None = None,
    server_address: str | None = None,
    **others: Any,
) -> None:
    """Describe a request and its response on *span*, by the keys of ``ddtrace.ext.http``.

    The URL is kept without credentials, query and fragment. A status of ``DD_TRACE_HTTP_SERVER_ERROR_STATUSES`` makes
    the span an error. The query, headers and the client's address become tags where *integration_config*, or the
    settings for all, ask for them. What else ddtrace takes (*others*) is accepted and left out.
    """
    tags = {
        "http.method": method,
        "http.url": None if url is None else _bare(url),
        "out.host": target_host,
        "http.status_code": status_code,
        "http.status_msg": status_msg,
        "http.retries_remain": retries_remain,
        "http.route": route,
        "http.useragent": _header(request_headers, "user-agent") or None,
        "server.address": server_address,
        "http.query.string": query if query and _asked(integration_config, "query_string") else None,
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
    wanted = _asked(integration_config, "header_tags")
    if wanted:
        tag_request(span, wanted, request_headers, _HeadersReader(peer_ip))
        tag_response(span, wanted, (response_headers or {}).items())
    if rules.client_address is not None and (request_headers or peer_ip):
        span._meta.update(rules.client_address(request_headers, _HeadersReader(peer_ip)))


class _HeadersReader:
    """Reads a request of which the headers are known, and the other end's address."""

    def __init__(self, peer: str | None) -> None:
        self._peer = peer or ""

    def header(self, source: Mapping[str, str] | None, name: str) -> str:
        """Return a header."""
        return _header(source, name)

    def query(self, source: Any) -> str:
        """Return nothing: it is given apart."""
        return ""

    def peer(self, source: Any) -> str:
        """Return the address."""
        return self._peer


def _asked(integration_config: Any, option: str) -> Any:
    """Return an option of an integration of ours, or of all."""
    options = getattr(integration_config, "_options", None)
    if options is not None:
        return getattr(options, option)
    return default_settings["DD_TRACE_HEADER_TAGS" if option == "header_tags" else "DD_TRACE_QUERY_STRING_ENABLED"]


def _bare(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:  # such as an open bracket
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _header(headers: Mapping[str, str] | None, name: str) -> str:
    return next((str(value) for key, value in (headers or {}).items() if key.lower().replace("_", "-") == name), "")


def extract_netloc_and_query_info_from_url(url: str) -> tuple[str, str]:
    """Return host and port of *url*, without credentials, and its query."""
    try:
        parts = urlsplit(url)
    except ValueError:  # such as an open bracket
        return "", ""
    return parts.netloc.rpartition("@")[2], parts.query


def distributed_tracing_enabled(int_config: Any, default: bool = False) -> bool:
    """Return whether an integration goes on with the traces of others, *default* where its config does not say."""
    for option in ("distributed_tracing_enabled", "distributed_tracing"):
        try:
            found = int_config[option]
        except (KeyError, TypeError):
            continue
        if found is not None:
            return bool(found)
    return default


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


def set_flattened_tags(
    span: Span,
    items: Mapping[str, Any] | Iterable[tuple[str, Any]],
    sep: str = ".",
    exclude_policy: Callable[[str], bool] | None = None,
    processor: Callable[[Any], Any] | None = None,
) -> None:
    """Set the leaves of nested dictionaries, or of pairs, as tags of *span*.

    Keys for which *exclude_policy* says true are left out; *processor* makes the value of each tag.
    """
    for key, value in flatten_dict(dict(items), sep).items():
        if exclude_policy is None or not exclude_policy(key):
            span.set_tag(key, value if processor is None else processor(value))


def set_user(
    tracer: Tracer,
    user_id: str,
    name: str | None = None,
    email: str | None = None,
    scope: str | None = None,
    role: str | None = None,
    session_id: str | None = None,
    propagate: bool = False,
    span: Span | None = None,
    **others: Any,
) -> None:
    """Say on the request's first span, or on *span*, on whose behalf it runs; nothing is said without one.

    With *propagate* the services that it calls are told the id.
    """
    span = span or tracer.current_root_span()
    if span is None:
        return
    if propagate:
        span.context.dd_user_id = user_id
    described = {"id": user_id, "name": name, "email": email, "scope": scope, "role": role, "session_id": session_id}
    for key, value in described.items():
        if value:
            span.set_tag_str(f"usr.{key}", str(value))
