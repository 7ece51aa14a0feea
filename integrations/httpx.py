"""HTTP requests made with httpx, by its clients and its asynchronous clients.

https://www.python-httpx.org
"""

from typing import Any

from ddmiddleware.integrations import _http_client, _httpx_headers
from ddmiddleware.integrations._patching import Call, Integration

integration = Integration("httpx", requires="httpx>=0.25", kind="client", wire="http")


def _redirected(_client: Any, request: Any, **_options: Any) -> bool:
    return _http_client.is_hop(request.headers)


# send, because every helper and every stream goes through it, and it reads the body.
@integration.traces("httpx:Client.send", "httpx:AsyncClient.send", name="http.request", type="http", again=_redirected)
def request(call: Call) -> None:
    outgoing = call.arg(0, "request")
    _http_client.sent(call, outgoing.method, str(outgoing.url), outgoing.headers, _httpx_headers.view(outgoing.headers))


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
    _http_client.joined(call, str(outgoing.url), outgoing.headers, _httpx_headers.view(outgoing.headers))


@request.returned
@redirect.returned
def response(call: Call, result: Any) -> None:
    _http_client.answered(call, result.status_code)
