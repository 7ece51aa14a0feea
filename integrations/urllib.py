"""HTTP requests made with urllib.request.

https://docs.python.org/3/library/urllib.request.html
"""

from typing import Any

from ddmiddleware.integrations import _http_client
from ddmiddleware.integrations._patching import Call, Integration

integration = Integration("urllib", kind="client", wire=_http_client.WIRE)


# do_open, because it sends one request and every opener of http and https has it: each hop of a redirect is a request
# of its own, and so is one that is sent again with a password.
@integration.traces("urllib.request:AbstractHTTPHandler.do_open", name="urllib.request", type="http")
def request(call: Call) -> None:
    outgoing = call.arg(1, "req")
    headers = _headers(outgoing)
    _http_client.sent(call, outgoing.get_method(), outgoing.full_url, headers)
    _add(outgoing, headers)


@request.within
def join(call: Call) -> None:
    outgoing = call.arg(1, "req")
    headers = _headers(outgoing)
    _http_client.joined(call, outgoing.full_url, headers)
    _add(outgoing, headers)


@request.returned
def response(call: Call, result: Any) -> None:
    _http_client.answered(call, result.status)


def _headers(outgoing: Any) -> dict[str, str]:
    """Return the headers of a request without ours of the last time it was sent."""
    ours = vars(outgoing).get("_ddmiddleware_headers", ())
    own = {name: value for name, value in outgoing.unredirected_hdrs.items() if name not in ours}
    return {**outgoing.headers, **own}


def _add(outgoing: Any, headers: dict[str, str]) -> None:
    """Add what is new in *headers* where urllib keeps what it adds itself: a redirect does not copy it."""
    unredirected = outgoing.unredirected_hdrs
    for name in vars(outgoing).get("_ddmiddleware_headers", ()):
        unredirected.pop(name, None)
    new = {name: value for name, value in headers.items() if name not in outgoing.headers and name not in unredirected}
    unredirected.update(new)
    outgoing._ddmiddleware_headers = tuple(new)
