"""Samples know their request: by its context, until it ends, with the name it has at last."""

import asyncio
import contextvars
import threading
from collections.abc import Iterator

import pytest

from ddmiddleware.profiling import activity
from ddmiddleware.tracing import Settings, Span, Tracer


class Nowhere:
    def put(self, chunk: list[Span]) -> None:
        pass


@pytest.fixture
def tracer() -> Iterator[Tracer]:
    tracer = Tracer(Settings({}))
    tracer.divert(Nowhere())
    activity.endpoints.take()
    activity.endpoints.watch(tracer, tracer.settings)
    yield tracer
    activity.endpoints.leave()
    activity.endpoints.take()


def test_a_late_route_labels_an_early_sample(tracer: Tracer) -> None:
    with tracer.trace("web.request", resource="GET", span_type="web") as root, tracer.trace("query") as span:
        early = activity.current()
        root.resource = "GET /cakes/<kind>"
    assert early is not None
    assert activity.labels(early) == {
        "span id": span.span_id,
        "local root span id": root.span_id,
        "trace type": "web",
        "trace endpoint": "GET /cakes/<kind>",
    }
    assert early[0].span is None
    assert activity.endpoints.take() == {"GET /cakes/<kind>": 1}
    assert activity.endpoints.take() == {}


def test_a_request_that_runs_is_labelled_too(tracer: Tracer) -> None:
    with tracer.trace("web.request", resource="GET /slow", span_type="web"):
        found = activity.current()
        assert found is not None
        assert activity.labels(found)["trace endpoint"] == "GET /slow"


def test_nothing_is_charged_after_the_request(tracer: Tracer) -> None:
    with tracer.trace("web.request", span_type="web"):
        later = contextvars.copy_context()
        inner = tracer.trace("background")
        with_child = contextvars.copy_context()
        inner.finish()
    assert later.run(activity.current) is None
    assert with_child.run(activity.current) is None
    assert activity.current() is None


def test_what_outlives_its_span_works_for_the_one_around_it(tracer: Tracer) -> None:
    with tracer.trace("job", span_type="worker") as root:
        with tracer.trace("part"):
            context = contextvars.copy_context()
        found = context.run(activity.current)
        assert found is not None
        assert activity.labels(found) == {
            "span id": root.span_id,
            "local root span id": root.span_id,
            "trace type": "worker",
        }


def test_interleaved_tasks_have_their_own(tracer: Tracer) -> None:
    async def request(name: str) -> tuple[str, object]:
        with tracer.trace("web.request", resource=name, span_type="web"):
            await asyncio.sleep(0)
            found = activity.current()
            assert found is not None
            return name, activity.labels(found)["trace endpoint"]

    async def all_of_them() -> list[tuple[str, object]]:
        return await asyncio.gather(*(request(f"GET /{number}") for number in range(10)))

    assert all(name == label for name, label in asyncio.run(all_of_them()))


def test_requests_that_never_end_do_not_pile_up(tracer: Tracer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "_REQUESTS_MAX", 3)
    monkeypatch.setattr(activity, "_requests", {})
    for number in range(10):
        assert activity.of(tracer.start_span(f"request {number}")) is not None
    assert len(activity._requests) <= 3


def test_endpoints_have_a_cap_and_no_secrets(tracer: Tracer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "_ENDPOINTS_MAX", 2)
    for resource in ("GET /?password=secret", "GET /b", "GET /c", "GET /b"):
        tracer.trace("web.request", resource=resource, span_type="web").finish()
    assert activity.endpoints.take() == {"GET /?password=<redacted>": 1, "GET /b": 2}


def test_a_thread_is_named_while_it_is_known_and_after() -> None:
    thread = threading.current_thread()
    assert activity.thread_labels(thread.ident or 0) == {
        "thread id": thread.ident,
        "thread native id": thread.native_id,
        "thread name": thread.name,
    }
    assert activity.thread_labels(1, 7, "gone") == {"thread id": 1, "thread native id": 7, "thread name": "gone"}
