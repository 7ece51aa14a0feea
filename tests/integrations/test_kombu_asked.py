"""Messages of kombu that no callback of a consumer gets: those that are asked for, and those that come as they are."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ddmiddleware import patch, tracer
from ddmiddleware.propagation.http import HTTPPropagator
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.kombu_messages import message, names, pulled, queue_of
from tests.integrations.rabbit_server import RabbitServer
from tests.integrations.recorder import Recorder, failed


@pytest.fixture(autouse=True)
def _patched() -> None:
    patch(kombu=True)


def test_a_message_that_is_asked_for(rabbit: Any, rabbit_server: RabbitServer, recorder: Recorder) -> None:
    """Its span is below the sender's, and linked to the one that asked; where there is no message there is none."""
    queue = queue_of(rabbit)
    with default_tracer.trace("work") as work:
        assert pulled(queue, rabbit) is None
        assert active.get() is work
    assert recorder.names() == ["work"]
    rabbit.Producer().publish({"a": 1}, "news", exchange=queue.exchange)
    rabbit.Producer().publish({"b": 1}, "news", exchange=queue.exchange)
    assert pulled(queue, rabbit).payload == {"a": 1}
    with default_tracer.trace("work") as work:
        assert pulled(queue, rabbit, no_ack=True, accept=["json"]).payload == {"b": 1}
        assert active.get() is work
    exchange, port, size = queue.exchange.name, rabbit_server.port, {"kombu.body_length": 8}
    published, _, *received = (span for span in recorder.take() if span["name"] != "work")
    assert published == message("kombu.publish", exchange, port, tags=size)
    assert received == [
        message("kombu.receive", exchange, port, parent=1),
        message("kombu.receive", exchange, port, trace=2, parent=2, links=[4]),
    ]


def test_the_span_begins_as_it_is_asked_for(memory: Any, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = queue_of(memory)
    memory.Producer().publish({}, "news", exchange=queue.exchange)
    asked, times = memory.default_channel.basic_get, []

    def ask(*args: Any, **kwargs: Any) -> Any:
        times.append(time.monotonic_ns())
        found = asked(*args, **kwargs)
        times.append(time.monotonic_ns())
        return found

    monkeypatch.setattr(memory.default_channel, "basic_get", ask)
    pulled(queue, memory)
    assert recorder[-1].name == "kombu.receive"
    assert recorder[-1].duration_ns >= times[1] - times[0]
    recorder.take()


def test_simple_queues_without_waiting(memory: Any, recorder: Recorder) -> None:
    with memory.SimpleQueue(f"simple{next(names)}") as queue:
        with pytest.raises(queue.Empty):
            queue.get_nowait()
        queue.put({"a": 1})
        assert queue.get(block=False).payload == {"a": 1}
    shown = [(span["name"], span["trace"], span["parent"]) for span in recorder.take()]
    assert shown == [("kombu.publish", 1, 0), ("kombu.receive", 1, 1)]


def test_work_on_a_message_that_was_asked_for(memory: Any, recorder: Recorder) -> None:
    """As docs/messages.md shows it."""
    queue = queue_of(memory)
    memory.Producer().publish({}, "news", exchange=queue.exchange)
    tracer.context_provider.activate(HTTPPropagator.extract(pulled(queue, memory).headers))
    with tracer.trace("handle"):
        pass
    tracer.context_provider.activate(None)
    shown = [(span["name"], span["trace"], span["parent"]) for span in recorder.take()]
    assert shown == [("kombu.publish", 1, 0), ("kombu.receive", 1, 1), ("handle", 1, 1)]


def test_a_function_for_messages_as_they_come(rabbit: Any, rabbit_server: RabbitServer, recorder: Recorder) -> None:
    queue = queue_of(rabbit)
    error = LookupError("theirs")
    found = []

    def take(message: Any) -> None:
        message.ack()
        found.append(message.decode())
        default_tracer.trace("handle").finish()
        if found[-1] == {"b": 1}:
            raise error

    for body in ({"a": 1}, {"b": 1}):
        rabbit.Producer().publish(body, "news", exchange=queue.exchange)
    with rabbit.Consumer(queue, on_message=take):
        rabbit.drain_events(timeout=10)
        with pytest.raises(LookupError) as caught:
            rabbit.drain_events(timeout=10)
        assert caught.value is error
    assert found == [{"a": 1}, {"b": 1}]
    assert active.get() is None
    spans = recorder.take()
    stack = {**failed(error), "error.stack": "LookupError: theirs"}
    exchange, port = queue.exchange.name, rabbit_server.port
    assert [part for part in spans if part["name"] == "kombu.receive"] == [
        message("kombu.receive", exchange, port, parent=1),
        message("kombu.receive", exchange, port, trace=2, parent=2, error=1, tags=stack),
    ]
    assert [part["parent"] for part in spans if part["name"] == "handle"] == [3, 5]
