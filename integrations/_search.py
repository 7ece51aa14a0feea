"""What clients of Elasticsearch and of its forks share: how a request looks on a span."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ddmiddleware.integrations._documents import shape
from ddmiddleware.integrations._patching import Call, Traced
from ddmiddleware.tracing import may_propagate_to

_TEXT_MAX = 25_000
# What names one document, and numbers in the names of indices: dates, mostly.
_ID = re.compile(r"(?<=/)(_doc|_create|_update|_source|_explain|_termvectors|_mtermvectors)/[^/]+")
_NUMBERS = re.compile(r"/\d+(?=/|$)|\d{2,}")


class Request(Traced):
    """A request by clients that raise what others return, an answer of 400 or more: 404 is no error here either."""

    def _failed(self, call: Call, error: BaseException) -> None:
        status = getattr(error, "status_code", None)
        if isinstance(status, int):
            call.tags["http.status_code"] = str(status)
        if status == 404:
            self._succeeded(call, None)
        else:
            super()._failed(call, error)


def sent(call: Call, method: str, path: str, parameters: Iterable[str], body: Any) -> None:
    """Describe a request: documents and the values of *parameters* are left out."""
    found = _NUMBERS.sub(lambda number: "/?" if number[0][0] == "/" else "?", _ID.sub(r"\1/?", path))
    call.span.resource = f"{method} {found}"
    call.metrics["_dd.measured"] = 1
    call.tags["elasticsearch.method"] = method
    call.tags["elasticsearch.url"] = path
    call.tags["elasticsearch.params"] = "&".join(f"{name}=?" for name in parameters)
    if isinstance(body, bytes):
        body = body[:_TEXT_MAX].decode("utf-8", "replace")
    if isinstance(body, str):
        call.tags["elasticsearch.body"] = body  # from which the redaction cuts what the others never have
    elif isinstance(body, (Mapping, list, tuple)):
        call.tags["elasticsearch.body"] = shape(body)


def answered(call: Call, status: int, answer: Any) -> None:
    """Describe the answer. All failures but 404 make the span an error: a document that is not there is none."""
    call.tags["http.status_code"] = str(status)
    if status >= 400 and status != 404:
        call.span.error = 1
        error = answer.get("error") if isinstance(answer, Mapping) else None
        kind = error.get("type") if isinstance(error, Mapping) else None
        call.tags["error.type"] = str(kind or f"HTTP {status}")
    took(call, answer)


def took(call: Call, answer: Any) -> None:
    """Say how long the server took, in milliseconds, and how much it found."""
    if isinstance(answer, Mapping):
        if isinstance(answer.get("took"), int):
            call.metrics["elasticsearch.took"] = answer["took"]
        hits = answer.get("hits")
        rows = hits.get("hits") if isinstance(hits, Mapping) else None
        if isinstance(rows, list):
            call.metrics["db.row_count"] = len(rows)


def carry(call: Call, position: int, hosts: Iterable[Any]) -> None:
    """Add the headers that continue the trace to the argument ``headers``: each attempt is sent with them.

    The library beneath would add them to the first alone; and not every one beneath is traced.
    """
    if call.options.distributed_tracing and all(may_propagate_to(str(host)) for host in hosts):
        given = call.arg(position, "headers")
        headers = dict(given.items()) if isinstance(given, Mapping) else {}
        call.inject(headers)
        call.set_arg(position, "headers", headers)


def server(call: Call, host: Any, port: Any) -> None:
    """Describe the node that was asked."""
    call.tags["out.host"] = str(host)
    if port is not None:
        call.metrics["network.destination.port"] = int(port)
