"""ASGI applications of every shape that the specification allows, and of some that it does not.

As in ``wsgi_shapes``. ``LIFESPAN`` chooses what is done at a lifespan: ``works``, ``raises``, ``fails``.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any

from tests.servers_real.asgi_messages import TEXT, MissingError, body, start
from tests.servers_real.shape_hooks import request_hook, response_hook

SHAPES: dict[str, Callable[..., Any]] = {}
LOG: dict[str, list[str]] = {}


def shape(application: Callable[..., Any]) -> Callable[..., Any]:
    SHAPES[application.__name__] = application
    return application


@shape
async def one_body(_scope: Any, _receive: Any, send: Any, log: Any) -> None:
    log.append(f"sent {await send(start())}")
    log.append(f"sent {await send(body(b'one'))}")


@shape
async def bodies(_scope: Any, _receive: Any, send: Any, _log: Any) -> None:
    await send(start())
    for number in range(20):
        await send(body(bytes([number]) * 1000, more=True))
    await send(body())


@shape
async def a_length(_scope: Any, _receive: Any, send: Any, _log: Any) -> None:
    await send(start(headers=[*TEXT, (b"content-length", b"6")]))
    await send(body(b"one", more=True))
    await send(body(b"two"))


@shape
async def nothing_in_it(_scope: Any, _receive: Any, send: Any, _log: Any) -> None:
    await send(start(headers=[(b"content-length", b"0")]))
    await send(body())


@shape
async def bare_messages(_scope: Any, _receive: Any, send: Any, _log: Any) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})


@shape
async def no_content(_scope: Any, _receive: Any, send: Any, _log: Any) -> None:
    await send(start(204, []))
    await send(body())


@shape
async def not_modified(_scope: Any, _receive: Any, send: Any, _log: Any) -> None:
    await send(start(304, [(b"etag", b'"1"')]))
    await send(body())


@shape
async def headers_twice(_scope: Any, _receive: Any, send: Any, log: Any) -> None:
    headers = [*TEXT, (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-long", b"x" * 30_000)]
    await send(start(headers=headers))
    log.append(str(headers))
    await send(body(b"one"))


@shape
async def a_generator_of_headers(_scope: Any, _receive: Any, send: Any, _log: Any) -> None:
    await send(start(headers=iter([*TEXT, (b"x-one", b"1")])))
    await send(body(b"one"))


@shape
async def hop_by_hop(_scope: Any, _receive: Any, send: Any, _log: Any) -> None:
    await send(start(headers=[*TEXT, (b"connection", b"close")]))
    await send(body(b"one"))


@shape
async def a_view(_scope: Any, _receive: Any, send: Any, _log: Any) -> None:
    await send(start())
    await send(body(bytearray(b"one"), more=True))
    await send(body(memoryview(b"two").tobytes()))


@shape
async def broken_before(_scope: Any, _receive: Any, _send: Any, _log: Any) -> None:
    raise MissingError("before the start")


@shape
async def broken_after_start(_scope: Any, _receive: Any, send: Any, _log: Any) -> None:
    await send(start())
    raise MissingError("after the start")


@shape
async def broken_in_the_middle(_scope: Any, _receive: Any, send: Any, _log: Any) -> None:
    await send(start())
    await send(body(b"one", more=True))
    raise MissingError("in the middle")


@shape
async def broken_after_the_end(_scope: Any, _receive: Any, send: Any, _log: Any) -> None:
    await send(start())
    await send(body(b"one"))
    raise MissingError("after the end")


@shape
async def cancelled(_scope: Any, _receive: Any, send: Any, _log: Any) -> None:
    await send(start(headers=[*TEXT, (b"content-length", b"3")]))
    await send(body(b"one"))
    raise asyncio.CancelledError


@shape
async def no_start(_scope: Any, _receive: Any, _send: Any, _log: Any) -> None:
    pass


@shape
async def no_end(_scope: Any, _receive: Any, send: Any, _log: Any) -> None:
    await send(start())


@shape
async def body_first(_scope: Any, _receive: Any, send: Any, log: Any) -> None:
    await refused(send, body(b"one"), log)


@shape
async def started_twice(_scope: Any, _receive: Any, send: Any, log: Any) -> None:
    await send(start())
    await refused(send, start(), log)


@shape
async def too_much(_scope: Any, _receive: Any, send: Any, log: Any) -> None:
    await send(start())
    await send(body(b"one"))
    await refused(send, body(b"two"), log)


async def refused(send: Any, message: Any, log: Any) -> None:
    try:
        log.append(f"sent {await send(message)}")
    except Exception as error:
        log.append(f"refused {type(error).__name__}")
        raise


@shape
async def extensions(scope: Any, _receive: Any, send: Any, log: Any) -> None:
    """Use what the server offers: trailers, path send."""
    offered = sorted(scope.get("extensions") or ())
    log.append(str(offered))
    if "http.response.pathsend" in offered:
        await send(start())
        await send({"type": "http.response.pathsend", "path": __file__})
    elif "http.response.trailers" in offered:
        await send({**start(), "trailers": True})
        await send(body(b"one"))
        await send({"type": "http.response.trailers", "headers": [(b"x-last", b"1")], "more_trailers": False})
    else:
        await send(start())
        await send(body(b"one"))


@shape
async def an_extension_that_is_not_there(_scope: Any, _receive: Any, send: Any, log: Any) -> None:
    await send(start())
    await refused(send, {"type": "http.response.pathsend", "path": __file__}, log)


@shape
async def what_it_is_given(scope: Any, receive: Any, send: Any, log: Any) -> None:
    log.append(str(sorted(key for key in scope if key != "ddmiddleware.request")))
    content = b""
    while True:
        message = await receive()
        log.append(f"{sorted(message)}")
        content += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send(start())
    await send(body(content + scope["query_string"]))


@shape
async def hung_up(_scope: Any, receive: Any, send: Any, log: Any) -> None:
    """Stream until the client is gone."""
    await receive()
    await send(start())
    gone = asyncio.ensure_future(receive())
    while not gone.done():
        await send(body(b"x" * 1000, more=True))
        await asyncio.wait([gone], timeout=0.01)
    log.append(str(await gone))


@shape
async def ws_echo(_scope: Any, receive: Any, send: Any, log: Any) -> None:
    log.append(str(await receive()))
    await send({"type": "websocket.accept", "headers": [(b"x-accepted", b"yes")]})
    message = await receive()
    log.append(str(message.get("text")))
    await send({"type": "websocket.send", "text": message["text"]})
    await send({"type": "websocket.close", "code": 4001, "reason": "enough"})


@shape
async def ws_denied(_scope: Any, receive: Any, send: Any, _log: Any) -> None:
    await receive()
    await send({"type": "websocket.close"})


@shape
async def ws_denied_by_a_response(_scope: Any, receive: Any, send: Any, _log: Any) -> None:
    await receive()
    await send({"type": "websocket.http.response.start", "status": 401, "headers": TEXT})
    await send({"type": "websocket.http.response.body", "body": b"no"})


@shape
async def ws_broken(_scope: Any, receive: Any, _send: Any, _log: Any) -> None:
    await receive()
    raise MissingError("before the handshake")


@shape
async def ws_broken_after(_scope: Any, receive: Any, send: Any, _log: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    raise MissingError("after the handshake")


async def lifespan(receive: Any, send: Any) -> None:
    kind = os.environ["LIFESPAN"]
    log = LOG.setdefault("lifespan", [])
    if kind == "raises":
        raise MissingError("no lifespan here")
    log.append((await receive())["type"])
    if kind == "fails":
        await send({"type": "lifespan.startup.failed", "message": "not today"})
        return
    await send({"type": "lifespan.startup.complete"})
    print((await receive())["type"], flush=True)
    await send({"type": "lifespan.shutdown.complete"})


async def choose(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    else:
        name = scope["path"].strip("/")
        await SHAPES[name](scope, receive, send, LOG[name])


application = choose
if os.environ.get("TRACED") == "true":
    from ddmiddleware.asgi import TraceMiddleware

    application = TraceMiddleware(choose)
    if os.environ.get("HOOKED") == "true":
        application = TraceMiddleware(choose, request_hook=request_hook, response_hook=response_hook)


async def app(scope: Any, receive: Any, send: Any) -> None:
    name = "lifespan" if scope["type"] == "lifespan" else scope["path"].strip("/")
    if name == "log":
        await send(start())
        await send(body(json.dumps(LOG).encode()))
        return
    log = LOG.setdefault(name, [])
    log.append(scope.get("method") or scope["type"])
    try:
        result = await application(scope, receive, send)
    except BaseException as error:
        log.append(f"left with {error!r}, context {error.__context__!r}")
        raise
    log.append(f"returned {result}")
