"""Queues of kombu, and what its messages look like."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import kombu

names = itertools.count()


def queue_of(connection: Any) -> Any:
    """Return a new queue, bound to an exchange by the key ``news``."""
    number = next(names)
    queue = kombu.Queue(f"queue{number}", kombu.Exchange(f"exchange{number}"), "news", auto_delete=True)
    queue(connection.default_channel).declare()
    return queue


def message(name: str, exchange: str, port: int | None, **changes: Any) -> dict[str, Any]:
    tags = {
        "component": "kombu",
        "span.kind": "producer" if name == "kombu.publish" else "consumer",
        "kombu.exchange": exchange,
        "kombu.routing_key": "news",
        "out.host": "127.0.0.1" if port else "localhost",
        "out.vhost": "/",
        "_dd.measured": 1,
        **changes.pop("tags", {}),
    }
    if port:
        tags["network.destination.port"] = port
    shape = {"trace": 1, "parent": 0, "service": "kombu", "type": "worker", "error": 0}
    return {**shape, "name": name, "resource": exchange, "tags": tags, **changes}


def pulled(queue: Any, connection: Any, **options: Any) -> Any:
    """Ask for one message, and acknowledge it."""
    taken = queue(connection.default_channel).get(**options)
    if taken is not None and not options.get("no_ack"):
        taken.ack()
    return taken


def received(connection: Any, queue: Any, callback: Callable[[Any, Any], None] | None = None) -> list[Any]:
    """Take one message; return its body and headers."""
    found: list[Any] = []

    def take(body: Any, message: Any) -> None:
        message.ack()
        found.extend((body, message.headers))

    with connection.Consumer(queue, callbacks=[take, *filter(None, [callback])]):
        connection.drain_events(timeout=10)
    return found
