"""Any ASGI application: the span of its request, and what both sides still see."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ddmiddleware.asgi import TraceMiddleware
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.recorder import Recorder, failed
from tests.middleware.requests_by_hand import EMPTY, Answer, Client, MissingError, ask_asgi, asked, run, scope, span

START = {"type": "http.response.start", "status": 200, "headers": [(b"x-shop", b"1")]}


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send({"type": "http.response.body", "body": b"hello"})


def test_one_request(recorder: Recorder) -> None:
    headers = [(b"host", b"testserver"), (b"user-agent", b"curl/8")]
    assert asked(TraceMiddleware(hello), "/café", headers=headers) == Answer(200, {"x-shop": "1"}, b"hello")
    assert recorder.take() == [span("asgi", None, "/café", tags={"http.useragent": "curl/8"})]


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({"root_path": "/api", "path": "/api/x"}, "http://testserver/api/x"),
        ({"root_path": "/api"}, "http://testserver/api/x"),
        ({"headers": []}, "http://testserver:80/x"),
        ({"headers": [], "server": ("/run/shop.sock", None)}, "http:///run/shop.sock/x"),
        ({"headers": [], "server": None, "scheme": "https"}, "https:///x"),
        ({"query_string": b"token=secret"}, "http://testserver/x"),
    ],
)
def test_url(recorder: Recorder, changes: dict[str, Any], url: str) -> None:
    path = changes.pop("path", "/x")
    asked(TraceMiddleware(hello), path, **changes)
    assert recorder.take()[0]["tags"]["http.url"] == url


@pytest.mark.parametrize(
    ("headers", "trace_id"),
    [
        ([(b"traceparent", f"00-{7:032x}-{9:016x}-01".encode())], 7),
        ([(b"x-datadog-trace-id", b"5"), (b"x-datadog-parent-id", b"6")], 5),
        ([(b"traceparent", f"00-{7:032x}-{9:016x}-01".encode())] * 2, None),  # two are as good as none
    ],
)
def test_the_callers_trace_goes_on(recorder: Recorder, headers: Any, trace_id: int | None) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        context = default_tracer.current_trace_context()
        assert context
        seen.append(context.trace_id)
        await hello(scope, receive, send)

    asked(TraceMiddleware(app), headers=headers)
    assert (seen == [trace_id]) is (trace_id is not None)
    assert len(recorder.take()) == 1


def test_tracestate_in_two_headers(recorder: Recorder) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        context = default_tracer.current_trace_context()
        assert context
        seen.append(context._propagated.tracestate)
        await hello(scope, receive, send)

    headers = [(b"traceparent", f"00-{7:032x}-{9:016x}-01".encode()), (b"tracestate", b"a=1"), (b"tracestate", b"b=2")]
    asked(TraceMiddleware(app), headers=headers)
    assert seen == ["a=1,b=2"]


def test_the_span_ends_with_the_last_part_of_the_body(recorder: Recorder) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        for part in (b"a", b"b"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
            assert recorder.take() == []
        await send({"type": "http.response.body"})
        assert recorder.take() == [span("asgi", None, "/")]
        default_tracer.trace("after").finish()

    assert asked(TraceMiddleware(app)).body == b"ab"
    after = recorder.take()
    assert [(found["name"], found["parent"], found["links"]) for found in after] == [("after", 0, [0])]


def test_a_file_sent_by_the_server(recorder: Recorder) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.pathsend", "path": "/x"})
        assert recorder.take() == [span("asgi", None, "/")]

    asked(TraceMiddleware(app))


def test_an_exception_is_the_same_object(recorder: Recorder) -> None:
    error = MissingError("missing")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    with pytest.raises(MissingError) as caught:
        asked(TraceMiddleware(app))
    assert caught.value is error
    assert (error.__cause__, error.__context__) == (None, None)
    assert recorder.take() == [span("asgi", None, "/", 500, tags=failed(error))]


def test_an_exception_that_the_application_answers(recorder: Recorder) -> None:
    error = MissingError("missing")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            raise error
        except MissingError:
            await send({"type": "http.response.start", "status": 503})
            await send({"type": "http.response.body"})

    assert asked(TraceMiddleware(app)).status == 503
    assert recorder.take() == [span("asgi", None, "/", 503, tags=failed(error))]


def test_cancelling_goes_through_and_is_no_error(recorder: Recorder) -> None:
    async def main() -> None:
        reached = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            reached.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(ask_asgi(TraceMiddleware(app)))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main)
    assert recorder.take() == [span("asgi", None, "/", tags={"http.disconnected": "true"})]


def test_a_client_that_leaves_while_the_body_goes_out(recorder: Recorder) -> None:
    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            assert await receive() == EMPTY
            client.leave()
            assert (await receive())["type"] == "http.disconnect"
            raise MissingError("because of that")

        client = Client(EMPTY)
        with pytest.raises(MissingError):
            await TraceMiddleware(app)(scope(), client.receive, client.send)

    run(main)
    assert recorder.take() == [span("asgi", None, "/", tags={"http.disconnected": "true"})]


def test_a_server_that_says_by_send_that_the_client_is_gone(recorder: Recorder) -> None:
    async def gone(_message: Any) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        asyncio.run(TraceMiddleware(hello)(scope(), Client().receive, gone))
    assert recorder.take() == [span("asgi", None, "/", tags={"http.disconnected": "true"})]


def test_a_client_that_leaves_when_it_has_all_is_not_gone(recorder: Recorder) -> None:
    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await hello(scope, receive, send)
            client.leave()
            assert (await receive())["type"] == "http.disconnect"

        client = Client()
        await TraceMiddleware(app)(scope(), client.receive, client.send)

    run(main)
    assert recorder.take() == [span("asgi", None, "/")]


def test_nested_middleware_makes_one_span(recorder: Recorder) -> None:
    asked(TraceMiddleware(TraceMiddleware(TraceMiddleware(hello), "quart")))
    assert recorder.take() == [span("quart", None, "/")]


def test_requests_in_one_loop_keep_their_parents(recorder: Recorder) -> None:
    """Each goes half-way, then all go on in the opposite order."""
    count = 8

    async def main() -> None:
        turns = [asyncio.Event() for _ in range(count)]
        ready = asyncio.Semaphore(0)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            number = int(scope["path"][1:])
            with default_tracer.trace(f"a{number}"):
                ready.release()
                await turns[number].wait()
                default_tracer.trace(f"b{number}").finish()
            await hello(scope, receive, send)

        async def conduct() -> None:
            for _ in range(count):
                await ready.acquire()
            for turn in reversed(turns):
                turn.set()
                await asyncio.sleep(0)

        traced = TraceMiddleware(app)
        await asyncio.gather(*(ask_asgi(traced, f"/{number}") for number in range(count)), conduct())
        assert active.get() is None

    run(main)
    found = recorder.take()
    parents = {item["name"]: found[item["parent"] - 1] for item in found if item["parent"]}
    for number in range(count):
        assert parents[f"a{number}"]["tags"]["http.url"] == f"http://testserver/{number}"
        assert parents[f"b{number}"]["name"] == f"a{number}"


def test_lifespan_passes_through(recorder: Recorder) -> None:
    passed = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        passed.append((scope, await receive()))
        await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    client = Client({"type": "lifespan.startup"})
    lifespan = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    asyncio.run(TraceMiddleware(app)(lifespan, client.receive, client.send))
    assert passed == [({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, {"type": "lifespan.startup"})]
    assert passed[0][0] is lifespan
    assert client.sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]
    assert recorder.take() == []


def test_an_unknown_protocol_passes_through(recorder: Recorder) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, receive, send))

    args = ({"type": "future"}, Client().receive, Client().send)
    asyncio.run(TraceMiddleware(app)(*args))
    assert seen == [args]


def test_a_switched_off_tracer_stands_aside(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_tracer, "enabled", False)
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, receive, send))

    args = (scope(), Client().receive, Client().send)
    asyncio.run(TraceMiddleware(app)(*args))
    assert seen == [args]
    assert recorder.take() == []
