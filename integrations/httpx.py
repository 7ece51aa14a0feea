"""HTTP requests made with httpx, by its clients and its asynchronous clients.

https://www.python-httpx.org
"""

from collections.abc import Iterator
from typing import Any

from ddmiddleware.integrations import _http_client
from ddmiddleware.integrations._patching import Call, Integration

integration = Integration("httpx", requires="httpx>=0.25", kind="client", wire="http")

_NAMES_MAX = 64
_names: dict[str, tuple[bytes, bytes]] = {}  # as they are written, and in lower case


def _redirected(_client: Any, request: Any, **_options: Any) -> bool:
    return _http_client.is_hop(request.headers)


# send, because every helper and every stream goes through it, and it reads the body.
@integration.traces("httpx:Client.send", "httpx:AsyncClient.send", name="http.request", type="http", again=_redirected)
def request(call: Call) -> None:
    outgoing = call.arg(0, "request")
    _http_client.sent(call, outgoing.method, str(outgoing.url), outgoing.headers, _view(outgoing.headers))


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


class _Listed:
    """The headers where httpx keeps them: each that is set in its own way is compared with all that are there."""

    __slots__ = ("_kept",)

    def __init__(self, kept: list[tuple[bytes, bytes, bytes]]) -> None:
        self._kept = kept

    def __iter__(self) -> Iterator[str]:
        return iter([item[1].decode("latin-1") for item in self._kept])

    def add(self, ours: dict[str, str]) -> None:
        """Add headers of which none is there."""
        self._kept.extend([(_names.get(name) or _name(name)) + (value.encode(),) for name, value in ours.items()])


def _name(name: str) -> tuple[bytes, bytes]:
    both = name.encode(), name.lower().encode()
    if len(_names) < _NAMES_MAX:
        _names[name] = both
    return both


def _view(headers: Any) -> _Listed | None:
    """Return a shorter way to *headers*, or None where it is not known how they are kept.

    That is a list of a name, the same in lower case, and a value.
    """
    kept = getattr(headers, "_list", None)
    return _Listed(kept) if type(kept) is list and kept and len(kept[0]) == 3 else None
