"""HTTP requests made with http.client, one span from the request line to the head of its answer.

https://docs.python.org/3/library/http.client.html
"""

from __future__ import annotations

import http.client
import sys
from typing import Any

from ddmiddleware.integrations import _http_client
from ddmiddleware.integrations._patching import Call, Integration
from ddmiddleware.tracing import INJECTED_MARK, guarded

integration = Integration("httplib", kind="client", wire=_http_client.WIRE)

_PENDING = "_ddmiddleware_pending"
_OWN = "_ddmiddleware_own"  # a connection of the exporters
_late: dict[int, bytes] = {}  # headers that join the others at their end, by the id of their connection
_standing: dict[str, Any] = {}  # our endheaders, and the putheader that was there with it


class _Pending:
    """A request that has begun on a connection; it ends with the answer, or with the connection."""

    __slots__ = ("call", "has_headers")
    # Until there is one no connection is looked at, for with its dictionary made its attributes take longer to find.
    any = False

    def __init__(self, call: Call) -> None:
        _Pending.any = True
        self.call = call
        self.has_headers = False

    def __del__(self) -> None:
        request.end(self.call, None)  # a span that has ended already stays as it is


@integration.traced("http.client.request", "http")
def request(call: Call) -> None:
    _http_client.sent(call, str(call.arg(0, "method", "")), _url(call), None)


@request.within
def join(_call: Call) -> None:
    """The headers of the outer span are added with our own."""


@request.returned
def response(call: Call, result: Any) -> None:
    if result is not None:
        _http_client.answered(call, result.status)


def _url(call: Call) -> str:
    connection, url = call.self, str(call.arg(1, "url", ""))
    if not url.startswith("/"):
        return url  # to a proxy
    scheme = "https" if isinstance(connection, http.client.HTTPSConnection) else "http"
    tunnel = getattr(connection, "_tunnel_host", None)
    host, port = (tunnel, connection._tunnel_port) if tunnel else (connection.host, connection.port)
    return _http_client.origin(scheme, host, port) + url


# putrequest, because request and whoever sends headers one by one begin with it.
@integration.replaces("http.client:HTTPConnection.putrequest")
def putrequest(original: Any) -> Any:
    def beginning(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not integration.patched or _http_client.is_sent():
            return original(self, *args, **kwargs)
        pending = None
        with guarded:
            vars(self).pop(_PENDING, None)
            call = None if _OWN in vars(self) else request.begin(self, *args, **kwargs)
            if call is not None:
                vars(self)[_PENDING] = pending = _Pending(call)
        return _failing(original, pending, self, *args, **kwargs)

    return beginning


# endheaders, because then all of the caller's headers are there, and nothing is sent before.
@integration.replaces("http.client:HTTPConnection.endheaders")
def endheaders(original: Any) -> Any:
    def ending(self: Any, *args: Any, **kwargs: Any) -> Any:
        late = _late.pop(id(self), None) if _late else None
        if late is not None:
            self._buffer.append(late)
        pending = vars(self).get(_PENDING) if _Pending.any else None
        if pending is None:
            return original(self, *args, **kwargs)
        with guarded:
            if not pending.has_headers:
                pending.has_headers = True
                _add_headers(self, pending.call)
        return _failing(original, pending, self, *args, **kwargs)

    # Not http.client.HTTPConnection: while that module is being imported, http has no such attribute.
    _standing.update(endheaders=ending, putheader=sys.modules["http.client"].HTTPConnection.putheader)
    return ending


def add_late(connection: Any, headers: dict[str, str]) -> bool:
    """Have *headers* sent with the connection's next ones, at their end, and return True, where that can be done.

    None of the steps between a library and the wire is paid for them, that copy, check and encode each header anew.
    ``take_late`` follows, for that request may have failed.
    """
    genuine = (
        integration.patched
        and type(connection).endheaders is _standing.get("endheaders")
        and http.client.HTTPConnection.putheader is _standing["putheader"]
        and type(getattr(connection, "_buffer", None)) is list
    )
    if not genuine:
        return False
    late = _http_client.lines(headers)
    if not late:
        return False  # for the library to refuse
    _late[id(connection)] = late[:-2]
    return True


def take_late(connection: Any) -> None:
    """Forget headers of a request that did not come as far as sending them."""
    _late.pop(id(connection), None)


def _add_headers(connection: Any, call: Call) -> None:
    lines = (line.partition(b":") for line in connection._buffer[1:])
    headers = {name.decode("latin-1").lower(): value.strip().decode("latin-1") for name, _, value in lines}
    if INJECTED_MARK in headers:
        return
    before = set(headers)
    _http_client.joined(call, _url(call), headers)
    for name in headers.keys() - before:
        http.client.HTTPConnection.putheader(connection, name, headers[name])


@integration.replaces("http.client:HTTPConnection.getresponse")
def getresponse(original: Any) -> Any:
    def answering(self: Any, *args: Any, **kwargs: Any) -> Any:
        pending = vars(self).pop(_PENDING, None) if _Pending.any else None
        if pending is None:
            return original(self, *args, **kwargs)
        result = _failing(original, pending, self, *args, **kwargs)
        request.end(pending.call, result)
        return result

    return answering


# close, because an answer that nobody reads never comes.
@integration.replaces("http.client:HTTPConnection.close")
def close(original: Any) -> Any:
    def closing(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _Pending.any:
            vars(self).pop(_PENDING, None)
        return original(self, *args, **kwargs)

    return closing


def _failing(original: Any, pending: _Pending | None, /, *args: Any, **kwargs: Any) -> Any:
    """Call *original*; its error is that of the request."""
    try:
        return original(*args, **kwargs)
    except BaseException as error:
        if pending is not None:
            vars(args[0]).pop(_PENDING, None)
            request.fail(pending.call, error)
        raise
