"""Our headers in a request of httpx, past those of its steps that take long and are about other headers.

A request holds them from the beginning to the end, for hooks, transports and whoever reads ``response.request``. What
is private to httpx and httpcore is used only where it is as it is known; else our headers go the way of all others.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from ddmiddleware.integrations._patching import Integration
from ddmiddleware.tracing import INJECTED_MARK, guarded

_Kept = list[tuple[bytes, bytes, bytes]]

_REMEMBERED_MAX = 1000
_NAMES_MAX = 64
_pair, _value = itemgetter(0, 2), itemgetter(1)
_MARK = INJECTED_MARK.encode()
_CR, _LF = b"\r\n"
_END = b"\r\n\r\n"  # of a request's head
# The latest headers of ours, each under the value of the one that differs from span to span: how many are before that
# one, and all of them as httpx keeps them.
_added: OrderedDict[bytes, tuple[int, _Kept]] = OrderedDict()
_NOTHING: tuple[int, _Kept] = (0, [])
_names: dict[str, tuple[bytes, bytes]] = {}  # as they are written, and in lower case
_proven: set[Any] = set()  # the functions that were seen to write a request's head at once


class _Listed:
    """The headers where httpx keeps them: each that is set in its own way is compared with all that are there."""

    __slots__ = ("_kept",)

    def __init__(self, kept: _Kept) -> None:
        self._kept = kept

    def __iter__(self) -> Iterator[str]:
        return iter([item[1].decode("latin-1") for item in self._kept])

    def add(self, ours: dict[str, str]) -> None:
        """Add headers of which none is there."""
        added = [(_names.get(name) or _name(name)) + (value.encode(),) for name, value in ours.items()]
        self._kept.extend(added)
        if INJECTED_MARK in ours:
            before = [*ours].index(INJECTED_MARK)
            _added[added[before][2]] = before, added
            if len(_added) > _REMEMBERED_MAX:
                _added.popitem(last=False)


def _name(name: str) -> tuple[bytes, bytes]:
    both = name.encode(), name.lower().encode()
    if len(_names) < _NAMES_MAX:
        _names[name] = both
    return both


def view(headers: Any) -> _Listed | None:
    """Return a shorter way to *headers*, or None where it is not known how they are kept."""
    kept = _kept(headers)
    return _Listed(kept) if kept else None


def _kept(headers: Any) -> _Kept:
    """Return the list of a name, the same in lower case, and a value; an empty one where there is no such thing."""
    kept = getattr(headers, "_list", None)
    return kept if type(kept) is list and kept and len(kept[0]) == 3 else []


def _place(items: list[Any]) -> tuple[int, _Kept]:
    """Return where ours begin in a list of a request's headers, and what they are; none where no mark is ours.

    They are looked for from the end, where they mostly are.
    """
    at = len(items)
    for item in reversed(items):
        at -= 1
        if item[0] == _MARK:
            before, added = _added.get(item[-1], _NOTHING)
            return at - before, added
    return _NOTHING


def _lines(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """Return headers as HTTP/1.1 writes them; nothing where a value would break out of its line."""
    values = b"".join(map(_value, pairs))
    return b"" if _CR in values or _LF in values else b"\r\n".join(map(b": ".join, pairs)) + _END[2:]


class _Parted:
    """The sending of one request's head, with our headers apart from those that httpcore's function sees.

    While it lasts this stands for the connection's stream, and writes *late* at the end of the head.
    """

    __slots__ = ("_connection", "_headers", "_request", "_stream", "heads", "late", "writes")

    def __init__(self, connection: Any, request: Any, headers: list[Any], late: bytes) -> None:
        self.late = late
        self.heads = self.writes = 0
        self._connection, self._request = connection, request
        self._headers, self._stream = request.headers, connection._network_stream
        request.headers, connection._network_stream = headers, self

    def write(self, buffer: bytes, *args: Any, **kwargs: Any) -> Any:
        self.writes += 1
        if buffer.endswith(_END):
            self.heads += 1
            if self.late:
                buffer, self.late = buffer[:-2] + self.late + _END[2:], b""
        return self._stream.write(buffer, *args, **kwargs)

    # What else a stream has, by name: with __getattr__ each of our own attributes would take several times as long.
    def read(self, *args: Any, **kwargs: Any) -> Any:
        return self._stream.read(*args, **kwargs)

    def close(self) -> Any:
        return self._stream.close()

    def aclose(self) -> Any:
        return self._stream.aclose()

    def start_tls(self, *args: Any, **kwargs: Any) -> Any:
        return self._stream.start_tls(*args, **kwargs)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def end(self, function: Any) -> None:
        """Put everything back, and remember whether *function* writes a head as it has to be for this."""
        self._request.headers, self._connection._network_stream = self._headers, self._stream
        if self.writes == self.heads == 1:
            _proven.add(function)
        elif self.writes:
            _proven.discard(function)


def sending(original: Any, integration: Integration) -> Any:
    """Return what stands for httpcore's function that sends the head of a request."""

    def begin(connection: Any, request: Any) -> _Parted | None:
        if not integration.patched or request is None:
            return None
        headers = request.headers
        at, added = _place(headers)
        if not added:
            return None
        if original not in _proven:
            return _Parted(connection, request, headers, b"")  # only to see how it is written
        end = at + len(added)
        pairs = [*map(_pair, added)]
        late = _lines(pairs) if headers[at:end] == pairs else b""
        if not late:
            return None
        return _Parted(connection, request, headers[:at] + headers[end:], late)

    if inspect.iscoroutinefunction(original):

        async def send_async(self: Any, *args: Any, **kwargs: Any) -> Any:
            parted = None
            with guarded:
                parted = begin(self, kwargs.get("request"))
            if parted is None:
                return await original(self, *args, **kwargs)
            try:
                return await original(self, *args, **kwargs)
            finally:
                parted.end(original)

        return send_async

    def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        parted = None
        with guarded:
            parted = begin(self, kwargs.get("request"))
        if parted is None:
            return original(self, *args, **kwargs)
        try:
            return original(self, *args, **kwargs)
        finally:
            parted.end(original)

    return send


def extracting(original: Any, integration: Integration) -> Any:
    """Return what stands for httpx's function that takes the cookies out of a response."""

    def extract(self: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        read = response
        with guarded:
            if integration.patched:
                read = _without_ours(response)
        return original(self, read, *args, **kwargs)

    return extract


class _Request:
    """A request as it is, but for its headers."""

    __slots__ = ("_request", "headers", "method", "url")

    def __init__(self, request: Any, headers: Any) -> None:
        self._request, self.headers = request, headers
        self.method, self.url = request.method, request.url

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)


class _Response:
    """A response as it is, but for its request."""

    __slots__ = ("_response", "headers", "request")

    def __init__(self, response: Any, request: _Request) -> None:
        self._response, self.request = response, request
        self.headers = response.headers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)


def _without_ours(response: Any) -> Any:
    """Return a response like this one, to whose request we added no headers."""
    request = response.request
    kept = _kept(request.headers)
    at, added = _place(kept)
    end = at + len(added)
    if not added or kept[at:end] != added:
        return response
    headers = type(request.headers)()
    headers._list = kept[:at] + kept[end:]
    return _Response(response, _Request(request, headers))
