"""The examples of asynchronous frameworks: what ``Example`` has, by name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.integrations.recorder import Recorder
from tests.integrations.servers import free_port
from tests.middleware.http_by_hand import ask_port
from tests.middleware.requests_by_hand import EMPTY, Client, scope

Names = dict[str, Any]


def _aiohttp_app(names: Names, view: Callable[[], Any]) -> Any:
    async def handler(_request: Any) -> Any:
        return view()

    app = names["Application"]()
    app.router.add_get("/", handler)
    return app


def _use_aiohttp(names: Names, recorder: Recorder) -> int:
    async def main() -> None:
        runner = names["AppRunner"](_aiohttp_app(names, names["Response"]), access_log=None)
        await runner.setup()
        port = free_port()
        await names["TCPSite"](runner, "127.0.0.1", port).start()
        assert (await ask_port(port)).status == 200
        await runner.cleanup()

    recorder.take()
    asyncio.run(main())
    return len(recorder.take())


def _fail_aiohttp(names: Names, error: BaseException) -> None:
    def view() -> Any:
        raise error

    async def main() -> None:
        await _aiohttp_app(names, view)._handle(names["make_mocked_request"]("GET", "/"))

    asyncio.run(main())


class _Connection:
    """What Tornado writes a response to."""

    def __init__(self, error: BaseException | None = None) -> None:
        self._error = error

    def set_close_callback(self, callback: Any) -> None:
        """Take what is never called."""

    def write_headers(self, *_args: Any) -> None:
        """Fail, if that is wanted."""
        if self._error is not None:
            raise self._error

    def finish(self) -> None:
        """Be done."""


def _tornado_handler(names: Names, connection: _Connection) -> Any:
    base: Any = names["RequestHandler"]

    class Handler(base):  # type: ignore[misc]
        def get(self) -> None:
            pass

    line, headers = names["RequestStartLine"]("GET", "/", "HTTP/1.1"), names["HTTPHeaders"](Host="shop")
    request = names["HTTPServerRequest"](start_line=line, headers=headers, connection=connection)
    return Handler(names["Application"](log_function=id), request)


def _use_tornado(names: Names, recorder: Recorder) -> int:
    recorder.take()
    asyncio.run(_tornado_handler(names, _Connection())._execute([]))
    return len(recorder.take())


def _fail_tornado(names: Names, error: BaseException) -> None:
    handler = _tornado_handler(names, _Connection(error))
    handler._transforms = []
    handler.finish()  # whatever a handler raises is caught and answered


def _get_asgi(app: Any) -> None:
    async def main() -> None:
        client = Client(EMPTY)
        await app(scope(), client.receive, client.send)

    asyncio.run(main())


def _quart_app(names: Names, view: Callable[[], Any]) -> Any:
    async def shown() -> Any:
        return view()

    app = names["Quart"]("test")
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.add_url_rule("/", "view", shown)
    return app


def _use_quart(names: Names, recorder: Recorder) -> int:
    recorder.take()
    _get_asgi(_quart_app(names, lambda: "hello"))
    return len(recorder.take())


def _fail_quart(names: Names, error: BaseException) -> None:
    def view() -> Any:
        raise error

    _get_asgi(_quart_app(names, view))


def _litestar_app(names: Names, view: Callable[[], Any]) -> Any:
    async def shown(scope: Any, receive: Any, send: Any) -> None:
        view()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    shown.__annotations__.update(scope=names["Scope"], receive=names["Receive"], send=names["Send"])
    shown.__annotations__["return"] = None
    return names["Litestar"]([names["asgi"]("/", copy_scope=False)(shown)], logging_config=None, openapi_config=None)


def _use_litestar(names: Names, recorder: Recorder) -> int:
    recorder.take()
    _get_asgi(_litestar_app(names, lambda: None))
    return len(recorder.take())


def _fail_litestar(names: Names, error: BaseException) -> None:
    """Fail around the router: whatever is raised below it is answered."""
    app = _litestar_app(names, lambda: None)

    async def failing(*_message: Any) -> Any:
        raise error

    app.asgi_handler = failing
    _get_asgi(app)


def _sanic_app(names: Names, view: Callable[[], Any]) -> Any:
    """Return an application that begins with its first request."""
    app = names["Sanic"]("test", configure_logging=False)
    app.asgi = True
    app.add_route(lambda _request: view(), "/", name="view")

    async def serving(*connection: Any) -> None:
        app.signalize(False)
        app.finalize()
        names["Sanic"].unregister_app(app)  # its name may be there once
        await app(*connection)

    return serving


def _use_sanic(names: Names, recorder: Recorder) -> int:
    recorder.take()
    _get_asgi(_sanic_app(names, lambda: names["text"]("hello")))
    return len(recorder.take())


def _fail_sanic(names: Names, error: BaseException) -> None:
    """Fail while the answer is sent: what a handler raises is answered."""

    async def send(_message: Any) -> None:
        raise error

    async def main() -> None:
        app = _sanic_app(names, lambda: names["text"]("hello"))
        await app(scope(), Client(EMPTY).receive, send)

    asyncio.run(main())


ASYNC = {
    "aiohttp": (
        "from aiohttp.test_utils import make_mocked_request\n"
        "from aiohttp.web import Application, AppRunner, Response, TCPSite",
        _use_aiohttp,
        _fail_aiohttp,
    ),
    "litestar": (
        "from litestar import Litestar, asgi\nfrom litestar.types import Receive, Scope, Send",
        _use_litestar,
        _fail_litestar,
    ),
    "quart": ("from quart import Quart", _use_quart, _fail_quart),
    "sanic": ("from sanic import Sanic, text", _use_sanic, _fail_sanic),
    "tornado": (
        "from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine\n"
        "from tornado.web import Application, RequestHandler",
        _use_tornado,
        _fail_tornado,
    ),
}
