"""kombu, against a real RabbitMQ; the transport in memory where the broker does not matter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kombu
import kombu.exceptions
import pytest

from ddmiddleware import config, patch, unpatch
from ddmiddleware.integrations import _messages
from ddmiddleware.integrations._patching import Integration
from ddmiddleware.tracing import active, default_tracer, guarded
from tests.integrations.kombu_messages import message, names, pulled, queue_of, received
from tests.integrations.likeness import outcomes
from tests.integrations.rabbit_server import RabbitServer
from tests.integrations.recorder import Recorder, failed


@pytest.fixture(autouse=True)
def _patched() -> None:
    patch(kombu=True)


def test_publish_and_receive(rabbit: Any, rabbit_server: RabbitServer, recorder: Recorder) -> None:
    queue = queue_of(rabbit)
    own = {"mine": "1"}
    with default_tracer.trace("work") as work:
        rabbit.Producer().publish({"a": 1}, "news", exchange=queue.exchange, headers=own, retry=True)
        assert active.get() is work
    assert own == {"mine": "1"}

    def handle(_body: Any, _message: Any) -> None:
        default_tracer.trace("handle").finish()

    body, headers = received(rabbit, queue, handle)
    assert active.get() is None
    assert body == {"a": 1}
    assert headers["mine"] == "1"
    assert recorder.take()[1:] == [
        message("kombu.publish", queue.exchange.name, rabbit_server.port, parent=1, tags={"kombu.body_length": 8}),
        message("kombu.receive", queue.exchange.name, rabbit_server.port, parent=2),
        {**dict.fromkeys(("name", "resource"), "handle"), "trace": 1, "parent": 3, "service": "kombu", "type": None}
        | {"error": 0, "tags": {}},
    ]


def test_errors(rabbit: Any, rabbit_server: RabbitServer, recorder: Recorder) -> None:
    queue = queue_of(rabbit)
    with pytest.raises(kombu.exceptions.EncodeError):
        rabbit.Producer().publish(object(), "news", exchange=queue.exchange)
    rabbit.Producer().publish({}, "news", exchange=queue.exchange)
    error = LookupError("theirs")

    def fail(_body: Any, _message: Any) -> None:
        raise error

    with pytest.raises(LookupError) as caught:
        received(rabbit, queue, fail)
    assert caught.value is error
    assert active.get() is None
    unsent, _, handled = recorder.take()
    assert (unsent["name"], unsent["error"]) == ("kombu.publish", 1)
    stack = {**failed(error), "error.stack": "LookupError: theirs"}
    assert handled == message(
        "kombu.receive", queue.exchange.name, rabbit_server.port, trace=2, parent=2, error=1, tags=stack
    )


def test_a_message_that_is_sent_on(memory: Any, recorder: Recorder) -> None:
    """It goes on with the trace from who sends it on, whatever headers it came with."""
    first, second = queue_of(memory), queue_of(memory)

    def forward(body: Any, message: Any) -> None:
        memory.Producer().publish(body, "news", exchange=second.exchange, headers=message.headers)

    memory.Producer().publish({}, "news", exchange=first.exchange)
    received(memory, first, forward)
    received(memory, second)
    shown = [(span["name"], span["trace"], span["parent"]) for span in recorder.take()]
    assert shown == [
        ("kombu.publish", 1, 0),
        ("kombu.receive", 1, 1),
        ("kombu.publish", 1, 2),
        ("kombu.receive", 1, 3),
    ]


def test_a_trace_of_the_callers_own_stays(memory: Any, recorder: Recorder) -> None:
    queue = queue_of(memory)
    own = {"traceparent": f"00-{7:032x}-{8:016x}-01"}
    memory.Producer().publish({}, "news", exchange=queue.exchange, headers=own)
    assert received(memory, queue)[1] == own
    recorder.take()


def test_simple_queues(memory: Any, recorder: Recorder) -> None:
    with memory.SimpleQueue(f"simple{next(names)}") as queue:
        queue.put({"a": 1})
        taken = queue.get(timeout=5)
        taken.ack()
    assert taken.payload == {"a": 1}
    assert [(span["name"], span["trace"]) for span in recorder.take()] == [("kombu.publish", 1), ("kombu.receive", 1)]


def test_without_distributed_tracing(memory: Any, recorder: Recorder) -> None:
    queue = queue_of(memory)
    config.kombu["distributed_tracing"] = False
    try:
        memory.Producer().publish({}, "news", exchange=queue.exchange)
        assert received(memory, queue) == [{}, {}]
        memory.Producer().publish({}, "news", exchange=queue.exchange)
        with default_tracer.trace("work"):
            assert pulled(queue, memory).headers == {}
    finally:
        config.kombu["distributed_tracing"] = None
    shown = [(span["name"], span["trace"], span["parent"]) for span in recorder.take()]
    assert shown == [
        ("kombu.publish", 1, 0),
        ("kombu.receive", 2, 0),
        ("kombu.publish", 3, 0),
        ("work", 4, 0),
        ("kombu.receive", 4, 4),
    ]


def test_what_celerys_workers_tell_each_other(memory: Any, recorder: Recorder) -> None:
    producer = memory.Producer()
    for exchange in ("celeryev", "celery.pidbox", "reply.celery.pidbox"):
        with default_tracer.trace("work"):
            producer.publish({}, "x", exchange=kombu.Exchange(exchange, "fanout"))
            producer.publish({}, "x", exchange=exchange)
    assert set(recorder.names()) == {"work"}


def test_batches(memory: Any, recorder: Recorder) -> None:
    """Who takes several messages at once is linked to all who sent them: for the integrations to come."""
    queue = queue_of(memory)
    batch = []
    for _ in range(2):
        memory.Producer().publish({}, "news", exchange=queue.exchange)
        taken = queue(memory.default_channel).get()
        taken.ack()
        batch.append([(name.encode().decode(), value.encode()) for name, value in taken.headers.items()])
    integration = Integration("batches")

    @integration.traced("take.batch")
    def described(call: Any) -> None:
        _messages.link_all(call, [*batch, None, [("other", b"1")]])

    integration.patched = True
    described.wrapper(lambda: None, method=False)()
    assert recorder.take()[-1]["links"] == [1, 3]


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "publish": lambda c: c.Producer().publish({"a": 1}, "news", exchange=queue_of(c).exchange),
    "bytes": lambda c: c.Producer().publish(b"raw", "news", content_type="application/data"),
    "compressed": lambda c: c.Producer().publish({"a": 1}, "news", compression="zlib", headers={}),
    "unknown serializer": lambda c: c.Producer().publish({}, "news", serializer="nonsense"),
    "no body": lambda c: c.Producer().publish(),
    "no callback": lambda c: c.Consumer([]).receive({}, None),
    "nothing there": lambda c: queue_of(c)(c.default_channel).get(),
    "not bound": lambda c: queue_of(c).get(),
    "wrong option": lambda c: queue_of(c)(c.default_channel).get(nonsense=1),
    "empty": lambda c: c.SimpleQueue("empty").get(block=False),
    "timeout": lambda c: c.SimpleQueue("empty").get(timeout=0.05),
    "nothing to drain": lambda c: c.drain_events(timeout=0.05),
}


def test_same_results_with_and_without(memory: Any, recorder: Recorder) -> None:
    guarded.raises = False  # what is no message cannot be described

    unpatch("kombu")
    without = outcomes(OPERATIONS, memory)
    assert recorder.take() == []
    patch(kombu=True)
    assert outcomes(OPERATIONS, memory) == without
    recorder.take()
