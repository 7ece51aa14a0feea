"""Pushes every canary that stands in argv[1] (JSON) through every path into spans, with the real libraries.

argv[2] and [3] are the ports of an HTTP server and of Redis. No line of source here holds a canary, since tracebacks
show source. It prints the fields that log correlation adds to a record.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sqlite3
import sys
from collections.abc import Callable, Iterator
from typing import Any

import flask
import httpx
import redis
import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ddmiddleware import patch_all, tracer

PASSWORD, OPAQUE, JWT, AWS, CARD, EMAIL, LITERAL, NUMBER, SESSION = json.loads(sys.argv[1])
HTTP, REDIS = int(sys.argv[2]), int(sys.argv[3])
QUERY = f"?token={OPAQUE}&password={PASSWORD}&card={CARD}&user={EMAIL}&jwt={JWT}&session_id={SESSION}&key={AWS}"
HEADERS = {
    "Authorization": f"Bearer {OPAQUE}",
    "Cookie": f"session={SESSION}; theme=dark",
    "X-Api-Key": AWS,
    "User-Agent": f"crawler ({EMAIL})",
    "Referer": f"https://shop.example/{QUERY}",
    "Proxy-Authorization": f"Basic {PASSWORD}",
}
MESSAGE = f"""cannot log {EMAIL} in to postgres://bob:{PASSWORD}@db/shop, https://shop/{QUERY} with
password='{PASSWORD}', headers {HEADERS}, Authorization: Bearer {OPAQUE} and card {CARD}; key {AWS},
token {JWT}; PWD={PASSWORD}; insert into users values ('{LITERAL}', {NUMBER}); Cookie: session={SESSION}"""


class ShopError(Exception):
    """Says more than it should."""


@contextlib.contextmanager
def failing() -> Iterator[None]:
    """Pass over the error that has to come."""
    try:
        yield
    except Exception:
        return
    raise AssertionError("nothing failed")


def clients() -> None:
    """Send requests that are answered, refused and cut."""
    url, refused = f"http://bob:{PASSWORD}@127.0.0.1:{HTTP}", f"http://bob:{PASSWORD}@127.0.0.1:1"
    paths = (f"/users/{EMAIL}/cards/{CARD}/{JWT}{QUERY}", f"/status/500{QUERY}")
    for path in paths:
        requests.get(url + path, headers=HEADERS)
        httpx.get(url + path, headers=HEADERS)
    for bad in (refused + paths[0], f"{url}/drop{QUERY}"):
        with failing():
            requests.get(bad, headers=HEADERS)
        with failing():
            httpx.get(bad, headers=HEADERS)
    with failing():
        requests.get(f"{url}:{PASSWORD}/")
    asyncio.run(asynchronous_clients(url + paths[0], refused + paths[0]))


async def asynchronous_clients(url: str, refused: str) -> None:
    """Send the same with httpx's asynchronous client."""
    async with httpx.AsyncClient(headers=HEADERS) as client:
        await client.get(url)
        with failing():
            await client.get(refused)


def database() -> None:
    """Run statements full of literals, right and wrong ones."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table users (name text unique, number integer)")
        connection.execute(f"insert into users values ('{LITERAL}', {NUMBER}), ('{EMAIL}', -{NUMBER})")
        connection.execute(
            f'select * from users where name = "{LITERAL}" or number in ({NUMBER}, 0x{NUMBER}) -- {CARD}'
        )
        connection.execute("select * from users where name = ? and number = :n", (LITERAL, NUMBER))
        connection.executescript(f"/* {EMAIL} */ update users set number = {NUMBER} where name like '%{LITERAL}%';")
        for bad in (
            f"insert into users values ('{LITERAL}', 1)",
            f"select * from users where name = '{LITERAL}",
            f"select '{LITERAL}' '{LITERAL}' {NUMBER} from",
            f'select * from "users" "{LITERAL}" "{PASSWORD}"',
            f"insert into users values (?, {NUMBER})",
        ):
            with failing():
                connection.execute(bad, (LITERAL,) if "?" in bad else ())


def cache() -> None:
    """Send commands with values, and wrong ones."""
    with redis.Redis(port=REDIS, protocol=2) as client:
        client.set(f"user:{EMAIL}", PASSWORD)
        client.lpush("list", LITERAL)
        for bad in (
            ("AUTH", "bob", PASSWORD),
            ("GET", "list"),
            ("NOSUCH", PASSWORD, LITERAL),
            ("EVAL", f"return redis.call('SET', '{LITERAL}')", 0),
            ("SET", "a", PASSWORD, "EX", LITERAL),
        ):
            with failing():
                client.execute_command(*bad)
        pipeline = client.pipeline()
        pipeline.set("a", LITERAL).incrby("a", 1)
        pipeline.execute_command("LPUSH", "a", PASSWORD, EMAIL)
        with failing():
            pipeline.execute()
    with redis.Redis(port=REDIS, password=PASSWORD) as client:
        client.ping()
    with failing(), redis.Redis.from_url(f"redis://bob:{PASSWORD}@127.0.0.1:1") as client:
        client.ping()


def broken() -> None:
    """Fail with an error that another one caused."""
    try:
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            connection.execute(f"select '{LITERAL}' from 'no' '{LITERAL}'")
    except sqlite3.Error as error:
        raise ShopError(MESSAGE) from error


def serve_flask() -> None:
    """Serve requests that succeed, match nothing and fail."""
    app = flask.Flask("shop")
    app.logger.disabled = True

    @app.get("/<name>")
    def view(name: str) -> str:
        if name == "broken":
            broken()
        if name == "database":
            sqlite3.connect(":memory:").execute(f"select '{LITERAL}")
        return "ok"

    client = app.test_client()
    for path in (f"/{EMAIL}", "/broken", "/database", f"/no/such/{JWT}/{CARD}"):
        client.get(path + QUERY, headers=HEADERS)


async def serve_starlette() -> None:
    """Serve the same with Starlette."""

    async def view(request: Request) -> Response:
        if request.path_params["name"] == "broken":
            broken()
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/{name}", view)])
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://bob:{PASSWORD}@shop") as client:
        for path in (f"/{EMAIL}", "/broken", f"/no/such/{JWT}/{CARD}"):
            await client.get(path + QUERY, headers=HEADERS)


def by_hand() -> None:
    """Put canaries where users put them."""
    with failing():
        tracer.wrap("wrapped", resource=f"mail for {EMAIL}")(broken)()
    with failing(), tracer.trace("with"):
        raise KeyError(MESSAGE)
    with tracer.trace(f"job {JWT}", resource=f"postgres://bob:{PASSWORD}@db", span_type="worker") as span:
        span.set_tags({"password": PASSWORD, "user.api_key": AWS, "http.url": f"https://bob:{PASSWORD}@shop/{QUERY}"})
        span.set_tags({f"http.request.headers.{name.lower()}": value for name, value in HEADERS.items()})
        span.set_tags({"sql.query": f"select '{LITERAL}'", "redis.raw_command": f"SET a {PASSWORD}"})
        span.set_link(1, 2, attributes={"session_token": OPAQUE, "url": QUERY})
        span.add_event(f"login of {EMAIL}", {"password": PASSWORD, "exception.message": MESSAGE})
        span.record_exception(ShopError(MESSAGE))
    with tracer.trace("query", span_type="cassandra") as span:
        span.resource = f"insert into t json '{LITERAL}' $$ {LITERAL} $$ {{'{LITERAL}': {NUMBER}}}"
        span.set_tag("error.message", f"line 1:5 no viable alternative at input '{LITERAL}' ([{LITERAL}]...)")


def log() -> None:
    """Log a canary in a span, and print what the record has that others have not."""
    fields: list[str] = []
    plain = logging.LogRecord("shop", logging.WARNING, "", 0, "", (), None)
    handler = logging.Handler()
    handler.emit = lambda record: fields.extend(record.__dict__)  # type: ignore[method-assign]
    logging.getLogger("till").addHandler(handler)
    with tracer.trace("logging"):
        logging.getLogger("till").warning("%s", MESSAGE)
    print(json.dumps(sorted(set(fields) - set(plain.__dict__))))


def main() -> None:
    """Take every path."""
    patch_all()
    paths: tuple[Callable[[], Any], ...] = (clients, database, cache, serve_flask, by_hand, log)
    for path in paths:
        path()
    asyncio.run(serve_starlette())
    tracer.shutdown()


if __name__ == "__main__":
    main()
