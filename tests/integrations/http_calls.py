"""HTTP clients behind one interface."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import requests

from tests.integrations.servers import HttpServer


class Client:
    """One of the clients, behind one interface; the asynchronous one runs each call in a loop of its own."""

    def __init__(self, library: str) -> None:
        self.library = library
        self.component = library.partition(" ")[0]

    def get(self, url: str, **options: Any) -> Any:
        """Send a GET, following redirects; return the response."""
        if self.library == "requests":
            with requests.Session() as session:
                session.trust_env = False
                return session.get(url, **options)
        options.setdefault("follow_redirects", options.pop("allow_redirects", True))
        if self.library == "httpx":
            with httpx.Client(trust_env=False) as client:
                return client.get(url, **options)

        async def run() -> Any:
            async with httpx.AsyncClient(trust_env=False) as client:
                return await client.get(url, **options)

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
        name, service = ("requests.request", "requests") if self.library == "requests" else ("http.request", "shop")
        shape = {"trace": 1, "parent": 0, "service": service, "name": name, "type": "http", "error": 0}
        return {**shape, "resource": f"GET 127.0.0.1:{server.port}", "tags": tags, **changes}
