"""HTTP requests made with requests.

https://requests.readthedocs.io
"""

from collections import OrderedDict
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
    _http_client.sent(call, prepared.method, prepared.url, prepared.headers, _add)


@request.within
def join(call: Call) -> None:
    outgoing = call.arg(0, "request")
    _http_client.joined(call, outgoing.url, outgoing.headers, _add)


@request.returned
def response(call: Call, result: Any) -> None:
    _http_client.answered(call, result.status_code)


def _add(headers: Any, ours: dict[str, str]) -> None:
    """Add headers to where requests keeps them: by the name in lower case, name and value."""
    kept = getattr(headers, "_store", None)
    if type(kept) is not OrderedDict:
        headers.update(ours)
        return
    for name, value in ours.items():
        kept[name.lower()] = (name, value)
