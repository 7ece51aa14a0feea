"""HTTP requests made with requests.

https://requests.readthedocs.io
"""

from collections import OrderedDict
from collections.abc import KeysView
from typing import Any

from ddmiddleware.integrations import _http_client
from ddmiddleware.integrations._patching import Call, Integration

integration = Integration("requests", requires="requests>=2.25", service="requests", kind="client", wire="http")


def _redirected(_session: Any, request: Any, **_options: Any) -> bool:
    return _http_client.is_hop(request.headers)


# send, because every helper, every session and every redirect goes through it with a prepared request.
@integration.traces("requests.sessions:Session.send", name="requests.request", type="http", again=_redirected)
def request(call: Call) -> None:
    prepared = call.arg(0, "request")
    _http_client.sent(call, prepared.method, prepared.url, prepared.headers, _view(prepared.headers))


@request.within
def join(call: Call) -> None:
    outgoing = call.arg(0, "request")
    _http_client.joined(call, outgoing.url, outgoing.headers, _view(outgoing.headers))


@request.returned
def response(call: Call, result: Any) -> None:
    _http_client.answered(call, result.status_code)


class _Stored:
    """The headers where requests keeps them: by the name in lower case, name and value."""

    __slots__ = ("_store",)

    def __init__(self, store: OrderedDict[str, tuple[str, str]]) -> None:
        self._store = store

    def names(self) -> KeysView[str]:
        """Return their names, in lower case."""
        return self._store.keys()

    def add(self, ours: dict[str, str]) -> None:
        """Add headers of which none is there."""
        for name, value in ours.items():
            self._store[name.lower()] = (name, value)


def _view(headers: Any) -> _Stored | None:
    """Return a shorter way to *headers*, or None where it is not known how they are kept."""
    store = getattr(headers, "_store", None)
    return _Stored(store) if type(store) is OrderedDict else None
