"""How a request begins that arrives at a framework which is a server itself, and so has no environ and no scope."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ddmiddleware._request import Request
from ddmiddleware.tracing import EXTRACTED_HEADERS, EXTRACTED_PREFIX, default_tracer, loop_meter

_NAMES = frozenset((*EXTRACTED_HEADERS, "host", "user-agent"))


class _Arrival(NamedTuple):
    query: str
    headers: Iterable[tuple[str, str]]
    peer: str


class _Reader:
    """Reads what ``begin`` was given."""

    def header(self, source: _Arrival, name: str) -> str:
        """Return a header, repeated ones as a list (RFC 9110, section 5.3)."""
        return ",".join([value for given, value in source.headers if given.lower() == name])

    def query(self, source: _Arrival) -> str:
        """Return the query string."""
        return source.query

    def peer(self, source: _Arrival) -> str:
        """Return the other end's address."""
        return source.peer


_READER = _Reader()


def begin(
    component: str,
    method: str,
    scheme: str,
    path: str,
    query: str,
    headers: Iterable[tuple[str, str]],
    peer: str | None = None,
) -> Request | None:
    """Start the request, or return None where nothing is traced.

    *path* is decoded, *query* is as it came; *headers* are all of them, each as often as it came; *peer* is the address
    of the other end.
    """
    if not default_tracer.enabled:
        return None
    if loop_meter.wanted:
        loop_meter.watch()
    found: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()
        if name in _NAMES or (EXTRACTED_PREFIX and name.startswith(EXTRACTED_PREFIX)):
            # RFC 9110, section 5.3: a repeated header is a list. Of traceparent there must be no two: none is valid.
            found[name] = f"{found[name]},{value}" if name in found else value
    url = f"{scheme}://{found.pop('host', '')}{path}"
    source = _Arrival(query, headers, peer or "")
    return Request(component, method, url, found.pop("user-agent", ""), found, "", source, _READER)
