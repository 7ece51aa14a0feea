"""HTTP requests made with requests.

https://requests.readthedocs.io
"""

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
    _http_client.sent(call, prepared.method, prepared.url, prepared.headers)


@request.within
def join(call: Call) -> None:
    outgoing = call.arg(0, "request")
    _http_client.joined(call, outgoing.url, outgoing.headers)


@request.returned
def response(call: Call, result: Any) -> None:
    _http_client.answered(call, result.status_code)
