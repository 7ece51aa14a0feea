"""HTTP requests made with httpx, by its clients and its asynchronous clients.

https://www.python-httpx.org
"""

from typing import Any

from ddmiddleware.integrations import _http_client
from ddmiddleware.integrations._patching import Call, Integration
from ddmiddleware.tracing import guarded

integration = Integration("httpx", requires="httpx>=0.25", kind="client", wire="http")

_NAMES_MAX = 64
_names: set[bytes] = set()  # of the headers that were added to a list


def _redirected(_client: Any, request: Any, **_options: Any) -> bool:
    return _http_client.is_hop(request.headers)


# send, because every helper and every stream goes through it, and it reads the body.
@integration.traces("httpx:Client.send", "httpx:AsyncClient.send", name="http.request", type="http", again=_redirected)
def request(call: Call) -> None:
    outgoing = call.arg(0, "request")
    _http_client.sent(call, outgoing.method, str(outgoing.url), outgoing.headers, _add)


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
    _http_client.joined(call, str(outgoing.url), outgoing.headers, _add)


@request.returned
@redirect.returned
def response(call: Call, result: Any) -> None:
    _http_client.answered(call, result.status_code)


def _add(headers: Any, ours: dict[str, str]) -> None:
    """Add headers to the list in which httpx keeps them; each that is set is compared with all that are there."""
    kept = _kept(headers)
    if not kept or len(_names) > _NAMES_MAX:
        headers.update(ours)
        return
    for name, value in ours.items():
        key = name.encode()
        _names.add(key)
        kept.append((key, key, value.encode()))


def _kept(headers: Any) -> list[tuple[bytes, bytes, bytes]]:
    """Return that list: as written, in lower case, value; an empty one where it is not known how they are kept."""
    kept = getattr(headers, "_list", None)
    return kept if type(kept) is list and kept and len(kept[0]) == 3 else []


# Cookies, because to read those of an answer, mostly none, all of the request's headers are looked up one by one.
@integration.replaces("httpx:Cookies.extract_cookies")
def extract_cookies(original: Any) -> Any:
    def extract(self: Any, response: Any) -> Any:
        read = response
        with guarded:
            if integration.patched:
                read = _without_ours(response)
        return original(self, read)

    return extract


def _without_ours(response: Any) -> Any:
    """Return a response like this one, to whose request we added no headers."""
    request = response.request
    others = [item for item in _kept(request.headers) if item[1] not in _names]
    if not others:
        return response
    request = _like(request)
    request.headers = request.headers.copy()
    request.headers._list = others
    response = _like(response)
    response.request = request
    return response


def _like(one: Any) -> Any:
    other = object.__new__(type(one))
    vars(other).update(vars(one))
    return other
