"""HTTP clients behind one interface."""

from __future__ import annotations

import asyncio
import http.client
import urllib.error
import urllib.request
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import httpx
import requests
import urllib3

from tests.integrations.servers import HttpServer

FOLLOWING = ("requests", "httpx", "httpx async", "urllib3", "urllib", "aiohttp_client")
LIBRARIES = (*FOLLOWING, "httplib")
PATCHES = dict.fromkeys(("requests", "httpx", "urllib3", "urllib", "httplib", "aiohttp_client"), True)
# The names and the services of their spans: ddtrace's.
_NAMES = {
    "requests": ("requests.request", "requests"),
    "urllib3": ("urllib3.request", "urllib3"),
    "urllib": ("urllib.request", "shop"),
    "httplib": ("http.client.request", "shop"),
    "aiohttp_client": ("aiohttp.request", "shop"),
}
# What each raises where nobody answers, where nobody does in time, and where the connection ends instead.
REFUSED = (requests.ConnectionError, httpx.ConnectError, urllib3.exceptions.HTTPError, OSError)
TIMED_OUT = (requests.Timeout, httpx.TimeoutException, urllib3.exceptions.HTTPError, OSError, asyncio.TimeoutError)
DROPPED = (
    requests.ConnectionError,
    httpx.RemoteProtocolError,
    urllib3.exceptions.HTTPError,
    http.client.RemoteDisconnected,
    aiohttp.ServerDisconnectedError,
)


class Answer(NamedTuple):
    """An answer, with what requests and httpx call its parts."""

    status_code: int
    text: str
    headers: list[str]
    statuses: list[int | None]
    url: str


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def statuses(response: Any) -> list[int | None]:
    """Return the statuses of the answers before *response*."""
    return response.statuses if isinstance(response, Answer) else [seen.status_code for seen in response.history]


class Client:
    """One of the clients, behind one interface; the asynchronous ones run each call in a loop of their own."""

    def __init__(self, library: str) -> None:
        self.library = library
        self.component = library.partition(" ")[0]

    def get(self, url: str, **options: Any) -> Any:
        """Send a GET, following redirects; return the response."""
        return getattr(self, f"_{self.library.replace(' ', '_')}")(url, **options)

    def hops(self, spans: list[dict[str, Any]], parent: int = 0) -> list[dict[str, Any]]:
        """Return what of the spans of a request and its redirects there is, with their parents.

        Those of redirects are children of the first, or siblings where the library's function ends with each answer;
        aiohttp follows them in one call.
        """
        first, *rest = spans
        if self.library == "aiohttp_client":
            return [{**first, "parent": parent, "tags": {**first["tags"], "http.status_code": "200"}}]
        if self.library in ("urllib", "urllib3"):
            first = {**first, "tags": {**first["tags"], "http.status_code": "302"}}
            siblings = [first, *rest]
            return [{**span, "trace": 1 if parent else n, "parent": parent} for n, span in enumerate(siblings, 1)]
        return [{**first, "parent": parent}, *({**span, "parent": parent + 1} for span in rest)]

    def _requests(self, url: str, **options: Any) -> Any:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(url, **options)

    def _httpx(self, url: str, **options: Any) -> Any:
        options.setdefault("follow_redirects", options.pop("allow_redirects", True))
        with httpx.Client(trust_env=False) as client:
            return client.get(url, **options)

    def _httpx_async(self, url: str, **options: Any) -> Any:
        options.setdefault("follow_redirects", options.pop("allow_redirects", True))

        async def run() -> Any:
            async with httpx.AsyncClient(trust_env=False) as client:
                return await client.get(url, **options)

        return asyncio.run(run())

    def _urllib3(self, url: str, **options: Any) -> Any:
        redirect = options.pop("allow_redirects", True)
        with urllib3.PoolManager(retries=urllib3.Retry(3, connect=False, read=False, redirect=3)) as pool:
            response = pool.request("GET", url, redirect=redirect, **options)
            history = [] if response.retries is None else [seen.status for seen in response.retries.history]
            return Answer(response.status, response.data.decode(), list(response.headers), history, "")

    def _urllib(self, url: str, *, allow_redirects: bool = True, headers: Any = None, timeout: float = 5) -> Any:
        handlers = [] if allow_redirects else [_NoRedirects()]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *handlers)
        request = urllib.request.Request(url, headers=headers or {})
        try:
            response = opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode(), list(error.headers), [], error.url)
        with response:
            return Answer(response.status, response.read().decode(), list(response.headers), [], response.url)

    def _httplib(self, url: str, *, allow_redirects: bool = True, headers: Any = None, timeout: float = 5) -> Any:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
        try:
            path = parts._replace(scheme="", netloc="", fragment="").geturl()
            connection.request("GET", path, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.read().decode(), list(response.headers), [], "")
        finally:
            connection.close()

    def _aiohttp_client(self, url: str, **options: Any) -> Any:
        timeout = aiohttp.ClientTimeout(options.pop("timeout", None))

        async def run() -> Any:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, **options) as response:
                history = [seen.status for seen in response.history]
                return Answer(
                    response.status, await response.text(), list(response.headers), history, str(response.url)
                )

        return asyncio.run(run())

    def span(self, server: HttpServer, path: str, status: int | None = 200, **changes: Any) -> dict[str, Any]:
        """Return the span of one request."""
        tags = {
            "component": self.component,
            "span.kind": "client",
            "http.method": "GET",
            "http.url": f"{server.url}{path}",
            "out.host": "127.0.0.1",
            "network.destination.port": server.port,
            "_dd.measured": 1,
            **({} if status is None else {"http.status_code": str(status)}),
            **changes.pop("tags", {}),
        }
        name, service = _NAMES.get(self.library, ("http.request", "shop"))
        shape = {"trace": 1, "parent": 0, "service": service, "name": name, "type": "http", "error": 0}
        return {**shape, "resource": f"GET 127.0.0.1:{server.port}", "tags": tags, **changes}
