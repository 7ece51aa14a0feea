"""What a service calls: one operation of each client library, ready to be repeated."""

import sqlite3
from collections.abc import Callable


def _redis_get(url: str) -> Callable[[], object]:
    import redis

    client = redis.Redis.from_url(url)
    client.set("key", "value")
    return lambda: client.get("key")


def _sqlite_select(_url: str) -> Callable[[], object]:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table user (id integer primary key, name text)")
    connection.execute("insert into user values (1, 'ada')")
    cursor = connection.cursor()
    return lambda: cursor.execute("select name from user where id = ?", (1,)).fetchone()


def _requests_get(url: str) -> Callable[[], object]:
    import requests

    session = requests.Session()
    return lambda: session.get(url)


def _httpx_get(url: str) -> Callable[[], object]:
    import httpx

    client = httpx.Client()
    return lambda: client.get(url)


CLIENTS: dict[str, Callable[[str], Callable[[], object]]] = {
    "redis GET": _redis_get,
    "sqlite SELECT": _sqlite_select,
    "requests GET": _requests_get,
    "httpx GET": _httpx_get,
}
