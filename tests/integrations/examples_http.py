"""Examples of the HTTP clients."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

from tests.integrations.example import Example, Names
from tests.integrations.recorder import Recorder

_URL = "http://127.0.0.1:1/"


def refused(call: Callable[[], object], recorder: Recorder) -> int:
    """Return how many spans there are of a call that is refused a connection."""
    recorder.take()
    with contextlib.suppress(Exception):
        call()
    return len(recorder.take())


def _use_urllib3(names: Names, recorder: Recorder) -> int:
    with names["PoolManager"](retries=False) as pool:
        return refused(lambda: pool.request("GET", _URL), recorder)


def _fail_urllib3(names: Names, error: BaseException) -> None:
    base: Any = names["HTTPConnectionPool"]

    class Pool(base):  # type: ignore[misc]
        def _get_conn(self, *args: Any, **kwargs: Any) -> Any:
            raise error

    with Pool("127.0.0.1", 1) as pool:
        pool.urlopen("GET", "/", retries=False)


def _use_urllib(names: Names, recorder: Recorder) -> int:
    opener = names["build_opener"](names["ProxyHandler"]({}))
    return refused(lambda: opener.open(_URL), recorder)


def _fail_urllib(names: Names, error: BaseException) -> None:
    def connection(*_args: Any, **_kwargs: Any) -> Any:
        raise error

    handler = names["HTTPHandler"]()
    handler.http_open = lambda request: handler.do_open(connection, request)
    names["build_opener"](names["ProxyHandler"]({}), handler).open(_URL)


def _use_httplib(names: Names, recorder: Recorder) -> int:
    connection = names["HTTPConnection"]("127.0.0.1", 1)
    return refused(lambda: connection.request("GET", "/"), recorder)


def _fail_httplib(names: Names, error: BaseException) -> None:
    base: Any = names["HTTPConnection"]

    class Connection(base):  # type: ignore[misc]
        def connect(self) -> None:
            raise error

    Connection("127.0.0.1", 1).request("GET", "/")


def _run(call: Callable[[Any], Any], names: Names, connector: Any = None) -> None:
    async def run() -> None:
        async with names["ClientSession"](connector=connector and connector()) as session, call(session):
            pass

    asyncio.run(run())


def _use_aiohttp(names: Names, recorder: Recorder) -> int:
    return refused(lambda: _run(lambda session: session.get(_URL), names), recorder)


def _fail_aiohttp(names: Names, error: BaseException) -> None:
    base: Any = names["TCPConnector"]

    class Connector(base):  # type: ignore[misc]
        async def connect(self, *args: Any, **kwargs: Any) -> Any:
            raise error

    _run(lambda session: session.get(_URL), names, lambda: Connector(family=socket.AF_INET))


HTTP_EXAMPLES = {
    "aiohttp_client": Example("from aiohttp import ClientSession, TCPConnector", _use_aiohttp, _fail_aiohttp),
    "httplib": Example("from http.client import HTTPConnection", _use_httplib, _fail_httplib),
    "urllib": Example(
        "from urllib.request import HTTPHandler, ProxyHandler, Request, build_opener",
        _use_urllib,
        _fail_urllib,
        over=("httplib",),
    ),
    "urllib3": Example(
        "from urllib3 import HTTPConnectionPool, PoolManager", _use_urllib3, _fail_urllib3, over=("httplib",)
    ),
}
