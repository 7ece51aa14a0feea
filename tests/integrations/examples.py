"""For each row of TABLE: how an application imports the library, how it uses it, and a call that fails by its fault.

Nothing of a library is imported here, for the tests decide when that happens. No example needs a server: a refused
connection is traced as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Callable, Iterator
from typing import Any

from ddmiddleware.tracing import default_tracer
from tests.integrations.async_examples import ASYNC
from tests.integrations.example import Example, Names
from tests.integrations.examples_connexion import CONNEXION
from tests.integrations.examples_http import HTTP_EXAMPLES, refused
from tests.integrations.examples_messages import MESSAGES
from tests.integrations.examples_sql import SQL_EXAMPLES
from tests.integrations.examples_stores import STORES
from tests.integrations.examples_threads import THREADS
from tests.integrations.examples_wsgi import WSGI_EXAMPLES
from tests.integrations.recorder import Recorder


def _use_requests(names: Names, recorder: Recorder) -> int:
    return refused(lambda: names["get"]("http://127.0.0.1:1/"), recorder)


def _fail_requests(names: Names, error: BaseException) -> None:
    base: Any = names["HTTPAdapter"]

    class Adapter(base):  # type: ignore[misc]
        def send(self, *args: Any, **kwargs: Any) -> Any:
            raise error

    with names["Session"]() as session:
        session.mount("http://", Adapter())
        session.get("http://127.0.0.1:1/")


def _use_httpx(names: Names, recorder: Recorder) -> int:
    return refused(lambda: names["get"]("http://127.0.0.1:1/", trust_env=False), recorder)


def _fail_httpx(names: Names, error: BaseException) -> None:
    def handle(_request: Any) -> Any:
        raise error

    with names["Client"](transport=names["MockTransport"](handle)) as client:
        client.get("http://127.0.0.1:1/")


def _use_sqlite3(names: Names, recorder: Recorder) -> int:
    recorder.take()
    with contextlib.closing(names["connect"](":memory:")) as connection:
        connection.execute("select 1")
    return len(recorder.take())


def _fail_sqlite3(names: Names, error: BaseException) -> None:
    def rows() -> Iterator[tuple[int]]:
        yield (1,)
        raise error

    with contextlib.closing(names["connect"](":memory:")) as connection:
        connection.execute("create table t (a)")
        connection.executemany("insert into t values (?)", rows())


def _use_futures(names: Names, recorder: Recorder) -> int:
    with names["ThreadPoolExecutor"](1) as pool, default_tracer.trace("parent") as parent:
        carried = pool.submit(default_tracer.current_span).result() is parent
    recorder.take()
    return int(carried)


def _fail_futures(names: Names, error: BaseException) -> None:
    def job() -> None:
        raise error

    with names["ThreadPoolExecutor"](1) as pool, default_tracer.trace("parent"):
        found = pool.submit(job).exception()
    assert found is not None
    raise found


def _use_logging(names: Names, _recorder: Recorder) -> int:
    record = names["getLogger"]("test").makeRecord("test", 20, "file", 1, "message", (), None)
    return int(hasattr(record, "dd.trace_id"))


def _fail_logging(names: Names, error: BaseException) -> None:
    def factory(*args: Any, **kwargs: Any) -> Any:
        raise error

    before = names["getLogRecordFactory"]()
    names["setLogRecordFactory"](factory)
    try:
        names["getLogger"]("test").critical("message")
    finally:
        names["setLogRecordFactory"](before)


def _use_loguru(names: Names, _recorder: Recorder) -> int:
    shown: list[str] = []
    logger = names["logger"]
    logger.remove()
    sink = logger.add(shown.append, format="{extra}")
    logger.info("message")
    logger.remove(sink)
    return int("dd.trace_id" in shown[0])


def _fail_loguru(names: Names, error: BaseException) -> None:
    def sink(_message: str) -> None:
        raise error

    logger = names["logger"]
    logger.remove()
    number = logger.add(sink, catch=False)
    try:
        logger.info("message")
    finally:
        logger.remove(number)


def _use_structlog(names: Names, _recorder: Recorder) -> int:
    logger = names["wrap_logger"](names["ReturnLogger"](), processors=[lambda _logger, _method, event: event])
    return int("dd.trace_id" in logger.info("message")[1])


def _fail_structlog(names: Names, error: BaseException) -> None:
    def processor(*_args: Any) -> Any:
        raise error

    names["wrap_logger"](names["ReturnLogger"](), processors=[processor]).info("message")


def _get_django(names: Names, view: Callable[[], Any]) -> Any:
    class Middleware:
        def __init__(self, _get_response: Any) -> None:
            pass

        def __call__(self, _request: Any) -> Any:
            return view()

    environ = {"REQUEST_METHOD": "GET", "SERVER_NAME": "test", "SERVER_PORT": "80", "wsgi.input": io.BytesIO()}
    settings = {"MIDDLEWARE": [f"{__name__}.Middleware"], "DEBUG_PROPAGATE_EXCEPTIONS": True}
    globals()["Middleware"] = Middleware
    with names["override_settings"](**settings):
        response = names["WSGIHandler"]()(environ, lambda *_: None)
    list(response)
    response.close()


def _use_django(names: Names, recorder: Recorder) -> int:
    recorder.take()
    _get_django(names, names["HttpResponse"])
    return len(recorder.take())


def _fail_django(names: Names, error: BaseException) -> None:
    def view() -> Any:
        raise error

    _get_django(names, view)


def _get_starlette(names: Names, view: Callable[[], Any]) -> None:
    async def endpoint(_request: Any) -> Any:
        return view()


def _get_asgi(app: Any) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        pass

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", "http_version": "1.1"}
    asyncio.run(app(scope, receive, send))


def _get_starlette(names: Names, view: Callable[[], Any]) -> None:
    async def endpoint(_request: Any) -> Any:
        return view()

    _get_asgi(names["Starlette"](routes=[names["Route"]("/", endpoint)]))


def _use_starlette(names: Names, recorder: Recorder) -> int:
    recorder.take()
    _get_starlette(names, names["Response"])
    return len(recorder.take())


def _fail_starlette(names: Names, error: BaseException) -> None:
    def view() -> Any:
        raise error

    _get_starlette(names, view)


def _use_fastapi(names: Names, recorder: Recorder) -> int:
    recorder.take()
    app = names["FastAPI"]()
    app.add_api_route("/", lambda: "hello")
    _get_asgi(app)
    return len(recorder.take())


def _fail_fastapi(names: Names, error: BaseException) -> None:
    def view() -> str:
        raise error

    app = names["FastAPI"]()
    app.add_api_route("/", view)
    _get_asgi(app)


EXAMPLES = {
    "connexion": CONNEXION,
    "django": Example(
        "from tests.django_project import set_up\nset_up()\n"
        "from django.core.handlers.wsgi import WSGIHandler\nfrom django.http import HttpResponse\n"
        "from django.test import override_settings",
        _use_django,
        _fail_django,
    ),
    "fastapi": Example("from fastapi import FastAPI", _use_fastapi, _fail_fastapi),
    **STORES,
    **WSGI_EXAMPLES,
    **MESSAGES,
    **THREADS,
    **SQL_EXAMPLES,
    "futures": Example("from concurrent.futures import ThreadPoolExecutor", _use_futures, _fail_futures),
    **HTTP_EXAMPLES,
    "httpx": Example("from httpx import Client, MockTransport, get", _use_httpx, _fail_httpx),
    "logging": Example(
        "from logging import getLogger, getLogRecordFactory, setLogRecordFactory", _use_logging, _fail_logging
    ),
    "loguru": Example("from loguru import logger", _use_loguru, _fail_loguru),
    "requests": Example(
        "from requests import Session, get\nfrom requests.adapters import HTTPAdapter",
        _use_requests,
        _fail_requests,
        over=("urllib3", "httplib"),
    ),
    "sqlite3": Example("from sqlite3 import connect", _use_sqlite3, _fail_sqlite3),
    "starlette": Example(
        "from starlette.applications import Starlette\nfrom starlette.responses import Response\n"
        "from starlette.routing import Route",
        _use_starlette,
        _fail_starlette,
    ),
    "structlog": Example("from structlog import ReturnLogger, wrap_logger", _use_structlog, _fail_structlog),
    **{name: Example(*parts) for name, parts in ASYNC.items()},
}
