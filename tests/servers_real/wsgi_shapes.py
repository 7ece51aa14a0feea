"""WSGI applications of every shape that PEP 3333 allows, and of some that it does not; run by ``test_differential``.

``/log`` tells what each of them has seen. With ``TRACED=true`` all are under our middleware, and what stands around
that notes what leaves it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from io import BytesIO
from typing import Any

from tests.servers_real.shape_hooks import request_hook, response_hook
from tests.servers_real.wsgi_bodies import Body, MissingError, Sized

TEXT = [("Content-Type", "text/plain")]
SHAPES: dict[str, Callable[..., Any]] = {}
LOG: dict[str, list[str]] = {}


def shape(application: Callable[..., Any]) -> Callable[..., Any]:
    SHAPES[application.__name__] = application
    return application


@shape
def a_list(_environ: Any, start: Any, _log: Any) -> Any:
    start("200 OK", TEXT)
    return [b"one"]


@shape
def a_list_of_parts(_environ: Any, start: Any, _log: Any) -> Any:
    start("200 OK", TEXT)
    return [b"one", b"", b"two"]


@shape
def a_tuple(_environ: Any, start: Any, _log: Any) -> Any:
    start("200 OK", [*TEXT, ("Content-Length", "3")])
    return (b"one",)


@shape
def a_generator(_environ: Any, start: Any, log: Any) -> Any:
    start("200 OK", TEXT)
    try:
        yield b"one"
        yield b"two"
    finally:
        log.append("closed")


@shape
def an_iterator(_environ: Any, start: Any, log: Any) -> Any:
    start("200 OK", TEXT)
    return Body(log, b"one", b"", b"two")


@shape
def a_map(_environ: Any, start: Any, _log: Any) -> Any:
    start("200 OK", TEXT)
    return map(str.encode, ["one", "two"])


@shape
def a_sized_body(_environ: Any, start: Any, log: Any) -> Any:
    start("200 OK", TEXT)
    return Sized(log, b"one")


@shape
def a_file(environ: Any, start: Any, log: Any) -> Any:
    wrapper = environ.get("wsgi.file_wrapper")
    log.append(f"wrapper {wrapper is not None}")
    with open(__file__, "rb") as source:
        file = BytesIO(source.read()[:2000])
    start("200 OK", [*TEXT, ("Content-Length", "2000")])
    return wrapper(file) if wrapper else iter(lambda: file.read(512), b"")


@shape
def a_real_file(environ: Any, start: Any, _log: Any) -> Any:
    size = os.path.getsize(__file__)
    start("200 OK", [*TEXT, ("Content-Length", str(size))])
    file = open(__file__, "rb")  # noqa: SIM115  # the server closes it
    wrapper = environ.get("wsgi.file_wrapper")
    return wrapper(file) if wrapper else file


@shape
def written(_environ: Any, start: Any, log: Any) -> Any:
    write = start("200 OK", TEXT)
    log.append(f"wrote {write(b'one')}")
    write(b"two")
    return [b"three"]


@shape
def started_late(_environ: Any, start: Any, _log: Any) -> Any:
    yield_first = iter([b"one"])
    start("200 OK", TEXT)
    yield from yield_first


@shape
def started_twice(_environ: Any, start: Any, log: Any) -> Any:
    start("200 OK", TEXT)
    try:
        raise MissingError("before a byte was sent")
    except MissingError:
        start("500 Sorry", [*TEXT, ("X-Second", "yes")], sys.exc_info())
        log.append("taken")
    return [b"sorry"]


@shape
def started_twice_by_name(_environ: Any, start: Any, _log: Any) -> Any:
    start("200 OK", TEXT)
    try:
        raise MissingError("by name")
    except MissingError:
        start("503 Sorry", TEXT, exc_info=sys.exc_info())
    return [b"sorry"]


@shape
def started_twice_without_error(_environ: Any, start: Any, log: Any) -> Any:
    start("200 OK", TEXT)
    try:
        start("201 Created", TEXT)
    except Exception as error:
        log.append(f"refused {type(error).__name__}")
        raise
    return [b"one"]


@shape
def started_twice_too_late(_environ: Any, start: Any, log: Any) -> Any:
    start("200 OK", TEXT)
    yield b"x" * 100_000
    try:
        raise MissingError("after bytes were sent")
    except MissingError:
        try:
            start("500 Sorry", TEXT, sys.exc_info())
        except MissingError:
            log.append("raised again")
            raise


@shape
def never_started(_environ: Any, _start: Any, _log: Any) -> Any:
    return [b"one"]


@shape
def an_empty_list(_environ: Any, start: Any, _log: Any) -> Any:
    start("200 OK", TEXT)
    return []


@shape
def an_empty_iterator(_environ: Any, start: Any, log: Any) -> Any:
    start("200 OK", [*TEXT, ("Content-Length", "0")])
    return Body(log)


@shape
def no_content(_environ: Any, start: Any, log: Any) -> Any:
    start("204 No Content", [])
    return Body(log)


@shape
def not_modified(_environ: Any, start: Any, log: Any) -> Any:
    start("304 Not Modified", [("ETag", '"1"')])
    return Body(log)


@shape
def a_status_of_its_own(_environ: Any, start: Any, _log: Any) -> Any:
    start("299 Whatever It Takes", TEXT)
    return [b"one"]


@shape
def broken_before(_environ: Any, _start: Any, _log: Any) -> Any:
    raise MissingError("before start_response")


@shape
def broken_after(_environ: Any, start: Any, _log: Any) -> Any:
    start("200 OK", TEXT)
    raise MissingError("after start_response")


@shape
def broken_in_the_middle(_environ: Any, start: Any, log: Any) -> Any:
    start("200 OK", TEXT)
    return Body(log, b"one", fails="next")


@shape
def broken_at_close(_environ: Any, start: Any, log: Any) -> Any:
    start("200 OK", [*TEXT, ("Content-Length", "3")])
    return Body(log, b"one", fails="close")


@shape
def hop_by_hop(_environ: Any, start: Any, _log: Any) -> Any:
    start("200 OK", [*TEXT, ("Connection", "close"), ("Content-Length", "3")])
    return [b"one"]


@shape
def headers_twice(_environ: Any, start: Any, log: Any) -> Any:
    headers = [*TEXT, ("Set-Cookie", "a=1"), ("X-A", "1"), ("Set-Cookie", "b=2"), ("x-a", "2")]
    start("200 OK", headers)
    log.append(str(headers))
    return [b"one"]


@shape
def a_long_header(_environ: Any, start: Any, _log: Any) -> Any:
    start("200 OK", [*TEXT, ("X-Long", "x" * 60_000)])
    return [b"one"]


@shape
def views(_environ: Any, start: Any, _log: Any) -> Any:
    start("200 OK", TEXT)
    return iter([memoryview(b"one"), bytearray(b"two")])


@shape
def text(_environ: Any, start: Any, _log: Any) -> Any:
    start("200 OK", TEXT)
    return ["one"]


@shape
def chunks(_environ: Any, start: Any, log: Any) -> Any:
    start("200 OK", TEXT)
    return Body(log, *(bytes([number]) * 1000 for number in range(20)))


@shape
def too_much(_environ: Any, start: Any, log: Any) -> Any:
    start("200 OK", [*TEXT, ("Content-Length", "3")])
    return Body(log, b"one", b"two")


@shape
def too_little(_environ: Any, start: Any, log: Any) -> Any:
    start("200 OK", [*TEXT, ("Content-Length", "30")])
    return Body(log, b"one")


@shape
def what_it_is_given(environ: Any, start: Any, log: Any) -> Any:
    log.append(str(sorted(key for key in environ if key != "ddmiddleware.request")))
    start("200 OK", TEXT)
    return [environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)), environ["QUERY_STRING"].encode()]


def choose(environ: Any, start_response: Any) -> Any:
    name = environ["PATH_INFO"].strip("/")
    return SHAPES[name](environ, start_response, LOG[name])


application = choose
if os.environ.get("TRACED") == "true":
    from ddmiddleware.wsgi import TraceMiddleware

    application = TraceMiddleware(choose)
    if os.environ.get("HOOKED") == "true":
        application = TraceMiddleware(choose, request_hook=request_hook, response_hook=response_hook)


def app(environ: Any, start_response: Any) -> Any:
    name = environ["PATH_INFO"].strip("/")
    if name == "log":
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(LOG).encode()]
    log = LOG.setdefault(name, [])
    log.append(environ["REQUEST_METHOD"])
    try:
        return application(environ, start_response)
    except BaseException as error:
        log.append(f"left with {error!r}, context {error.__context__!r}")
        raise
