"""Asking one application for every shape of the table, or for random paths: what it answered, and its spans."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from tests.integrations.recorder import Recorder
from tests.middleware.requests_by_hand import EMPTY, Client, MissingError, ask_wsgi, run, scope
from tests.middleware.route_shapes import ERROR, PLACES, SHAPES, Shape, random_requests

# What each shape was answered with, and the spans that it made.
Found = dict[str, tuple[int, list[dict[str, Any]]]]


class Visitor(Client):
    """A client that leaves once it has the whole answer, which some frameworks wait for."""

    async def send(self, message: Any) -> None:
        """Take what the application sends."""
        await super().send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.leave()


def shapes_without(reasons: dict[str, str]) -> list[Shape]:
    """Return the shapes that a framework has: *reasons* says, by a shape's name or its place's, why it has not."""
    left = {name for shape in SHAPES for name in (shape.name, shape.place)}
    assert reasons.keys() <= left, "what the table does not hold needs no reason"
    return [shape for shape in SHAPES if shape.name not in reasons and shape.place not in reasons]


def found_by(recorder: Recorder, shapes: Iterable[Shape], ask: Callable[[Shape], int]) -> Found:
    """Ask for one shape after the other."""
    return {shape.name: (ask(shape), recorder.take()) for shape in shapes}


def found_in_loop(recorder: Recorder, shapes: Iterable[Shape], ask: Callable[[Shape], Awaitable[int]]) -> Found:
    """Ask in one event loop."""

    async def main() -> Found:
        found: Found = {}
        for shape in shapes:
            status = await ask(shape)  # the messages of a websocket are traces of their own
            found[shape.name] = status, [span for span in recorder.take() if span["type"] != "websocket"]
        return found

    found: Found = run(main)
    return found


def check(
    found: Found, shapes: Iterable[Shape], statuses: dict[str, int], expect: Callable[[Shape, int], dict[str, Any]]
) -> None:
    """Check that each shape has made one span; *statuses* are those that a framework answers in its own way."""
    wanted: Found = {}
    for shape in shapes:
        status = statuses.get(shape.name, shape.status)
        wanted[shape.name] = status, [expect(shape, status)]
    wrong = [name for name in wanted if found[name] != wanted[name]]
    assert not wrong, "\n".join(
        f"{name}: {_differing(found[name])}\n  not {_differing(wanted[name])}" for name in wrong
    )


def _differing(of_shape: tuple[int, list[dict[str, Any]]]) -> Any:
    """Return what mostly differs, so that many can be read at once."""
    left = ("component", "span.kind", "http.method", "_dd.measured")
    status, spans = of_shape
    tags = [{key: value for key, value in span["tags"].items() if key not in left} for span in spans]
    return status, [(span["resource"], span["error"]) for span in spans], tags


def ask_shape(app: Any, shape: Shape) -> int:
    """Ask a WSGI application; an exception that leaves it is answered by the server."""
    try:
        path = shape.path.encode().decode("latin-1")  # PEP 3333
        return ask_wsgi(app, path, shape.method, SCRIPT_NAME=shape.script).status
    except MissingError as error:
        assert error is ERROR  # noqa: PT017  # frameworks that answer it themselves are as good
        return 500


async def ask_shape_in_loop(app: Any, shape: Shape) -> int:
    """Ask an ASGI application; the path that a server gives it begins with the root path."""
    path = shape.script + shape.path
    if shape.place and PLACES[shape.place].does == "chat":
        client = Client({"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000})
        asked = scope(path, type="websocket", scheme="ws", root_path=shape.script, subprotocols=[])
        del asked["method"]
        await app(asked, client.receive, client.send)
        return 101 if client.sent[0]["type"] == "websocket.accept" else 403
    client = Visitor(EMPTY)
    try:
        await app(scope(path, shape.method, root_path=shape.script), client.receive, client.send)
    except MissingError as error:
        assert error is ERROR  # noqa: PT017
    return client.answer.status


def resources_of_random_requests(recorder: Recorder, ask: Callable[[str, str], object]) -> set[str]:
    """Return the resources of all random requests; *ask* makes one of a path and a method."""
    found: set[str] = set()
    for method, path in random_requests():
        ask(path, method)
        found.update(recorder.take_resources())
    return found


def resources_in_loop(recorder: Recorder, ask: Callable[[str, str], Awaitable[object]]) -> set[str]:
    """Return the resources of all random requests, made in one event loop."""
    found: set[str] = set()

    async def main() -> None:
        for method, path in random_requests():
            await ask(path, method)
            found.update(recorder.take_resources())

    run(main)
    return found


def random_wsgi(app: Any) -> Callable[[str, str], object]:
    """Return what asks a WSGI application; only what a view raises on purpose is let pass."""

    def ask(path: str, method: str) -> None:
        with contextlib.suppress(MissingError):
            ask_wsgi(app, path.encode().decode("latin-1"), method)

    return ask


def random_asgi(app: Any) -> Callable[[str, str], Awaitable[object]]:
    """Return what asks an ASGI application; only what a view raises on purpose is let pass."""

    async def ask(path: str, method: str) -> None:
        client = Visitor(EMPTY)
        with contextlib.suppress(MissingError):
            await app(scope(path, method), client.receive, client.send)

    return ask
