"""HTTP requests made with httpx, by its clients and its asynchronous clients.

https://www.python-httpx.org
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

from ddmiddleware.integrations import _http_client
from ddmiddleware.integrations._patching import Call, Integration
from ddmiddleware.tracing import guarded

integration = Integration("httpx", requires="httpx>=0.25", kind="client", wire="http")

_REMEMBERED_MAX = 256
_names: dict[str, tuple[bytes, bytes]] = {}  # of our headers, as they are written, and in lower case
_lower: set[bytes] = set()


def _redirected(_client: Any, request: Any, **_options: Any) -> bool:
    return _http_client.is_hop(request.headers)


# send, because every helper and every stream goes through it, and it reads the body.
@integration.traces("httpx:Client.send", "httpx:AsyncClient.send", name="http.request", type="http", again=_redirected)
def request(call: Call) -> None:
    outgoing = call.arg(0, "request")
    url = outgoing.url
    # In parts, for httpx would join them, as text, from just these.
    parts = url.scheme, url.netloc.decode(), url.raw_path.partition(b"?")[0].decode()
    _http_client.sent(call, outgoing.method, parts, outgoing.headers, _view(outgoing.headers))


# _send_single_request, because redirects are followed within send, and each is a request of its own.
@integration.traces(
    "httpx:Client._send_single_request",
    "httpx:AsyncClient._send_single_request",
    name="http.request",
    type="http",
    when=_redirected,
    again=_redirected,
)
def redirect(call: Call) -> None:
    request.describe(call)


@request.within
def join(call: Call) -> None:
    outgoing = call.arg(0, "request")
    _http_client.joined(call, str(outgoing.url), outgoing.headers, _view(outgoing.headers))


@request.returned
@redirect.returned
def response(call: Call, result: Any) -> None:
    _http_client.answered(call, result.status_code)


@integration.replaces("httpx:Cookies.extract_cookies")
def cookies(original: Callable[..., Any]) -> Callable[..., Any]:
    """Leave our headers out of the request that is copied for the cookie jar: that takes longer than to send them."""

    @wraps(original)
    def extract_cookies(self: Any, response: Any) -> Any:
        headers: Any = None
        kept = None
        with guarded:
            headers = getattr(getattr(response, "_request", None), "headers", None)
            kept = _list(headers)
            if kept is not None:
                headers._list = [item for item in kept if item[1] not in _lower]
        try:
            return original(self, response)
        finally:
            if kept is not None:
                headers._list = kept

    return extract_cookies


class _Listed:
    """The headers where httpx keeps them: each that is set in its own way is compared with all that are there."""

    __slots__ = ("_kept",)

    def __init__(self, kept: list[tuple[bytes, bytes, bytes]]) -> None:
        self._kept = kept

    def names(self) -> frozenset[str]:
        """Return their names, in lower case."""
        return _decoded(tuple([item[1] for item in self._kept]))

    def add(self, ours: dict[str, str]) -> None:
        """Add headers of which none is there."""
        for name, value in ours.items():
            written, lower = _names.get(name) or _name(name)
            self._kept.append((written, lower, value.encode()))


# A client's requests have the same names again and again.
@lru_cache(maxsize=_REMEMBERED_MAX)
def _decoded(names: tuple[bytes, ...]) -> frozenset[str]:
    return frozenset(name.decode("latin-1") for name in names)


def _name(name: str) -> tuple[bytes, bytes]:
    both = name.encode(), name.lower().encode()
    if len(_names) < _REMEMBERED_MAX:
        _names[name] = both
        _lower.add(both[1])
    return both


def _list(headers: Any) -> list[tuple[bytes, bytes, bytes]] | None:
    """Return of each header its name, the same in lower case, and its value; None where they are kept otherwise."""
    kept = getattr(headers, "_list", None)
    return kept if type(kept) is list and kept and len(kept[0]) == 3 else None


def _view(headers: Any) -> _Listed | None:
    """Return a shorter way to *headers*, where there is one."""
    kept = _list(headers)
    return None if kept is None else _Listed(kept)
