"""Django under ASGI: contexts follow its threads, and requests at once do not meet."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ddmiddleware import asgi, patch
from ddmiddleware.tracing import active
from tests.integrations.recorder import Recorder
from tests.middleware.django_requests import asgi_app, request, wsgi_app
from tests.middleware.requests_by_hand import Client, ask_asgi, ask_wsgi, asked, run, scope


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_a_view_that_calls_a_thread(recorder: Recorder, kind: str) -> None:
    patch(django=True)
    answer = ask_wsgi(wsgi_app(), "/later/x") if kind == "wsgi" else asked(asgi_app(), "/later/x")
    assert answer.status == 200
    found = recorder.take()
    assert found[0] == request("/later/<str:name>", "/later/x", 200, "later")
    assert [(span["name"], span["trace"], span["parent"]) for span in found[1:]] == [("outer", 1, 1), ("inner", 1, 2)]


def test_a_synchronous_view_in_its_thread(recorder: Recorder) -> None:
    patch(django=True)
    assert asked(asgi_app(), "/listed").status == 200
    found = recorder.take()
    assert found[0] == request("/listed", "/listed", 200, "users")
    assert {(span["trace"], span["parent"]) for span in found[1:]} <= {(1, 1), (1, 6)}  # the sixth renders
    assert found[5]["name"] == "django.template.render"


def test_requests_at_once(recorder: Recorder) -> None:
    patch(django=True)
    app = asgi_app()

    async def ask() -> None:
        await asyncio.gather(*(ask_asgi(app, f"/later/{number}") for number in range(20)))
        assert active.get() is None

    run(ask)
    found = recorder.take()
    parents = [found[span["parent"] - 1]["name"] if span["parent"] else "" for span in found]
    shapes: dict[int, list[tuple[str, str]]] = {}
    for span, parent in zip(found, parents, strict=True):
        shapes.setdefault(span["trace"], []).append((span["name"], parent))
    assert len(shapes) == 20
    shape = [("django.request", ""), ("inner", "outer"), ("outer", "django.request")]
    assert all(sorted(spans) == shape for spans in shapes.values())


def websockets_beside(django: Any) -> Any:
    """Return an application as Channels makes it: websockets are served in front of Django."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            assert (await receive())["type"] == "websocket.connect"
            await send({"type": "websocket.accept"})
        else:
            await django(scope, receive, send)

    return application


def test_websockets_in_front_of_django(recorder: Recorder) -> None:
    patch(django=True)
    app = asgi.TraceMiddleware(websockets_beside(asgi_app()))

    async def ask() -> None:
        await ask_asgi(app, "/users/7")
        client = Client({"type": "websocket.connect"})
        await app(scope("/chat", type="websocket"), client.receive, client.send)

    run(ask)
    first, second = recorder.take()
    assert first == request("/users/<int:pk>", "/users/7", 200, "shown")
    assert (second["name"], second["tags"]["http.status_code"]) == ("asgi.request", "101")


def test_channels(recorder: Recorder) -> None:
    """It needs no wrapper, and its routers name the websockets."""
    from channels.routing import ProtocolTypeRouter, URLRouter
    from django.urls import path, re_path

    patch(django=True)

    async def chat(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})

    rooms = URLRouter([path("rooms/<int:room>/", chat), re_path(r"^lobby/$", chat)])
    app = ProtocolTypeRouter({"http": asgi_app(), "websocket": URLRouter([path("ws/", rooms), path("echo", chat)])})

    async def connect(path: str, **changes: Any) -> None:
        client = Client({"type": "websocket.connect"})
        await app(scope(path, type="websocket", **changes), client.receive, client.send)

    async def ask() -> None:
        await ask_asgi(app, "/users/7")
        await connect("/ws/rooms/7/")
        await connect("/ws/lobby/")
        await connect("/echo")
        await connect("/site/echo", root_path="/site")
        with pytest.raises(ValueError, match="No route found"):
            await connect("/nowhere")

    run(ask)
    found = recorder.take()
    assert found[0] == request("/users/<int:pk>", "/users/7", 200, "shown")
    assert found[1:5] == [
        request(route, path, 101, trace=number)
        for number, (route, path) in enumerate(
            [
                ("/ws/rooms/<int:room>/", "/ws/rooms/7/"),
                ("/ws/lobby/", "/ws/lobby/"),
                ("/echo", "/echo"),
                ("/site/echo", "/site/echo"),
            ],
            2,
        )
    ]
    assert found[5]["resource"] == "GET 500"
