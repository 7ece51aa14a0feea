"""HTTP requests made with urllib3.

https://urllib3.readthedocs.io
"""

import sys
from collections import OrderedDict
from typing import Any

from ddmiddleware.integrations import _http_client, httplib
from ddmiddleware.integrations._patching import Call, Integration
from ddmiddleware.tracing import guarded

integration = Integration("urllib3", requires="urllib3>=1.26", service="urllib3", kind="client", wire=_http_client.WIRE)

_HEADERS, _RETRIES = 3, 4


def _retried(_pool: Any, *args: Any, **kwargs: Any) -> bool:
    """Return whether this is a retry or a redirect of a request that was sent already."""
    retries = args[_RETRIES] if len(args) > _RETRIES else kwargs.get("retries")
    return bool(getattr(retries, "history", ()))


def _to_add(pool: Any, *args: Any, **kwargs: Any) -> bool:
    """Return whether there is anything to do: the outer library's request mostly has its headers already."""
    return not _http_client.is_sent() or _retried(pool, *args, **kwargs)


# A pool's urlopen, because managers, requests and helpers all end there; for a retry or a redirect it calls itself, and
# each is a request of its own, with headers of its own span, within the first.
@integration.traces(
    "urllib3.connectionpool:HTTPConnectionPool.urlopen",
    name="urllib3.request",
    type="http",
    when=_to_add,
    again=_retried,
)
def request(call: Call) -> None:
    headers = _own_headers(call)
    _http_client.sent(call, str(call.arg(0, "method", "")).upper(), _url(call), headers)


@request.within
def join(call: Call) -> None:
    _http_client.joined(call, _url(call), _own_headers(call))


@request.returned
def response(call: Call, result: Any) -> None:
    _http_client.answered(call, result.status)


def _url(call: Call) -> str:
    url = str(call.arg(1, "url", ""))
    if not url.startswith("/"):
        return url  # to a proxy
    pool = call.self
    return _http_client.origin(pool.scheme, pool.host, pool.port) + url


def _own_headers(call: Call) -> Any:
    """Have the request sent with a copy of the caller's headers, or else of the pool's, and return it."""
    given = call.arg(_HEADERS, "headers")
    given = call.self.headers if given is None else given
    headers = given.copy() if hasattr(given, "copy") else dict(given or ())
    call.set_arg(_HEADERS, "headers", headers)
    return headers


# A connection's request, because there every header is looked at, checked and encoded: ours join the others later.
@integration.replaces("urllib3.connection:HTTPConnection.request")
def sending(original: Any) -> Any:
    putheader = sys.modules["urllib3.connection"].HTTPConnection.putheader

    def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        late = False
        with guarded:
            headers = kwargs.get("headers") if integration.patched else None
            # What others made of a connection sees all headers.
            if headers and type(self).__module__ == "urllib3.connection" and type(self).putheader is putheader:
                others, ours = _http_client.parted(_plain(headers))
                if ours and httplib.add_late(self, ours):
                    late, kwargs["headers"] = True, others
        if not late:
            return original(self, *args, **kwargs)
        try:
            return original(self, *args, **kwargs)
        finally:
            httplib.take_late(self)

    return send


def _plain(headers: Any) -> dict[str, str]:
    """Return the headers as a dictionary; an empty one where it is not known how they are kept."""
    if type(headers) is dict:
        return headers
    kept = getattr(headers, "_store", None)  # of requests: by names in lower case, name and value
    if type(kept) is OrderedDict:
        plain = dict(kept.values())
        return plain if len(plain) == len(kept) else {}
    return {}
