"""Who may talk to the collector: no web page of another origin, by whatever trick; and the headers that say so.

A page anywhere on the web can make a browser send requests to 127.0.0.1. Two rules keep it out. The Host header must
name this machine: a page that rebinds its own name to 127.0.0.1 (DNS rebinding) keeps that name in it. And a request
that the browser marks as coming from another origin (Origin, RFC 6454; Sec-Fetch-Site, W3C Fetch Metadata) is refused,
unless it is a link that the user followed.
"""

import ipaddress
import re
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOCAL = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<name>[^\[\]:/@\s]+))(?::[0-9]{1,5})?")

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class Access:
    """ASGI middleware that refuses foreign requests with 403.

    bound: the address that the server listens on. A server that listens on all addresses is reached by any of the
    machine's, so then every numeric Host is allowed: no rebinding page has one. names: further host names to allow.
    """

    def __init__(self, app: ASGIApp, bound: str, names: Iterable[str] = ()) -> None:
        self._app = app
        self._names = {*_LOCAL, bound.lower(), *(name.lower() for name in names)}
        self._numeric = bound in ("0.0.0.0", "::")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        reason = self._refusal(scope["method"], Headers(scope=scope))
        app = self._app if reason is None else JSONResponse({"error": reason}, 403, {"Connection": "close"})
        await app(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> str | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_here(hosts[0]):
            return "the Host header does not name this collector; see ddmiddleware collector --help, --allow-host"
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{hosts[0].lower()}":
            return "requests of other origins are refused"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not (
            method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        ):
            return "requests of other origins are refused"
        return None

    def _is_here(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = (match["six"] or match["name"]).lower()
        return name in self._names or (self._numeric and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
