"""HTTP requests made with aiohttp's client.

https://docs.aiohttp.org/en/stable/client.html
"""

from typing import Any

from ddmiddleware.integrations import _http_client
from ddmiddleware.integrations._patching import Call, Integration

integration = Integration("aiohttp_client", requires="aiohttp>=3.8", kind="client", wire=_http_client.WIRE)


# _request, because every helper and web socket goes through it. It follows redirects in a loop that nothing stands
# around, so one span covers them all, and each hop has its headers.
@integration.traces("aiohttp.client:ClientSession._request", name="aiohttp.request", type="http")
def request(call: Call) -> None:
    _http_client.sent(call, str(call.arg(0, "method", "")).upper(), _url(call.self, call.arg(1, "str_or_url")), None)


def _url(session: Any, url: Any) -> str:
    try:
        return str(session._build_url(url))
    except (TypeError, ValueError):  # which the original reports
        return str(url)


@request.returned
def response(call: Call, result: Any) -> None:
    _http_client.answered(call, result.status)


# send, because the headers are complete then and belong to nobody else; a redirect makes new ones.
@integration.observes("aiohttp.client_reqrep:ClientRequest.send")
def send(outgoing: Any, *_args: Any, **_kwargs: Any) -> None:
    if integration.patched:
        _http_client.carry(integration.options, str(outgoing.url), outgoing.headers)
