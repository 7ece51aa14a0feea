"""Celery in one process: what is sent, what runs eagerly, beat; the workers are in test_celery_workers.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import celery
import kombu
import pytest
from celery import Celery
from celery.beat import ScheduleEntry, Scheduler

from ddmiddleware import config, patch, unpatch
from ddmiddleware.integrations import options_of
from ddmiddleware.tracing import active, default_tracer, guarded
from tests.integrations.likeness import outcomes
from tests.integrations.recorder import Recorder, failed

Sent = Callable[[], dict[str, Any]]


@pytest.fixture(autouse=True)
def _patched() -> None:
    patch(celery=True, kombu=True)


@pytest.fixture
def app() -> Iterator[Any]:
    app = Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)

    @app.task(name="add", shared=False)
    def add(x: int, y: int) -> int:
        return x + y

    @app.task(name="fail", shared=False, throws=(LookupError,))
    def fail(error: BaseException) -> None:
        raise error

    @app.task(name="again", shared=False, bind=True, max_retries=1)
    def again(self: Any) -> None:
        raise self.retry(exc=ValueError("not yet"), countdown=0)

    @app.task(name="leave", shared=False, bind=True)
    def leave(self: Any) -> None:
        raise celery.exceptions.Ignore()

    app.finalize()
    yield app
    with kombu.Connection("memory://") as connection, connection.channel() as channel:
        channel.queue_purge("celery")  # what the memory holds is there for all applications
    app.close()


@pytest.fixture
def received(app: Any) -> Sent:
    """Return a function that takes the next message of the queue, and returns its headers."""

    def received() -> dict[str, Any]:
        with app.connection_for_read() as connection, connection.SimpleQueue("celery") as queue:
            message = queue.get(timeout=5)
            message.ack()
            return dict(message.headers)

    return received


def applied(**changes: Any) -> dict[str, Any]:
    tags = {
        "component": "celery",
        "span.kind": "producer",
        "celery.action": "apply_async",
        "celery.routing_key": "celery",
        "celery.serializer": "json",
        "_dd.measured": 1,
        **changes.pop("tags", {}),
    }
    shape = {"trace": 1, "parent": 0, "service": "celery-producer", "name": "celery.apply", "type": None, "error": 0}
    return {**shape, "resource": "add", "tags": tags, **changes}


def ran(resource: str, state: str | None, **changes: Any) -> dict[str, Any]:
    tags = {
        "component": "celery",
        "span.kind": "consumer",
        "celery.action": "run",
        "celery.delivery_info.is_eager": "True",
        "_dd.measured": 1,
        **changes.pop("tags", {}),
    }
    if state:
        tags["celery.state"] = state
    shape = {"trace": 1, "parent": 0, "service": "celery-worker", "name": "celery.run", "type": "worker", "error": 0}
    return {**shape, "resource": resource, "tags": tags, **changes}


def wrong(error: ValueError) -> dict[str, str]:
    """Return the tags of an error of Python's own, whose module is not shown by its traceback."""
    return {**failed(error), "error.stack": f"ValueError: {error}"}


def taken(recorder: Recorder) -> list[dict[str, Any]]:
    """Return the spans of celery, without what differs from host to host."""
    spans = [span for span in recorder.take() if not span["name"].startswith("kombu")]
    for span in spans:
        if span["name"] == "celery.run":
            assert span["tags"].pop("celery.id")
            assert span["tags"].pop("celery.hostname")
    return spans


def test_send(app: Any, received: Sent, recorder: Recorder) -> None:
    """One span for one message, whichever way it is sent; its headers stand beside celery's, not among arguments."""
    own = {"mine": "1"}
    with default_tracer.trace("work") as work:
        app.tasks["add"].delay(1, 2)
        app.tasks["add"].apply_async((1, 2), task_id="one", countdown=5, queue="celery", priority=3, headers=own)
        app.send_task("elsewhere", (1,), task_id="two")
        assert active.get() is work
    assert own == {"mine": "1"}
    spans = recorder.take()
    assert spans[1]["tags"].pop("celery.id")
    tags = {"celery.id": "one", "celery.countdown": 5, "celery.queue": "celery", "celery.priority": 3}
    other = applied(parent=1, resource="elsewhere", tags={"celery.id": "two"})
    del other["tags"]["celery.serializer"]
    assert spans[1:] == [applied(parent=1), applied(parent=1, tags=tags), other]
    headers = received(), received(), received()
    assert [found["traceparent"][3:35] for found in headers] == [f"{work.trace_id:032x}"] * 3
    assert headers[1]["mine"] == "1"
    assert headers[1]["argsrepr"] == "(1, 2)"


def test_without_distributed_tracing(app: Any, received: Sent, recorder: Recorder) -> None:
    config.celery["distributed_tracing"] = False
    try:
        app.tasks["add"].delay(1, 2)
    finally:
        config.celery["distributed_tracing"] = None
    assert "traceparent" not in received()
    recorder.take()


def test_services(app: Any, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.celery["worker_service_name"] == "celery-worker"
    config.celery["worker_service_name"] = "runs"
    monkeypatch.setenv("DD_CELERY_PRODUCER_SERVICE", "sends")
    options_of("celery_producer").set("service", None)
    try:
        app.tasks["add"].delay(1, 2)
        app.tasks["add"].apply((1, 2))
    finally:
        config.celery["worker_service_name"] = None
        monkeypatch.undo()
        options_of("celery_producer").set("service", None)
    assert [span["service"] for span in recorder.take()] == ["sends", "runs"]


def test_no_broker(app: Any, recorder: Recorder) -> None:
    at_once = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
    app.conf.update(broker_url="amqp://127.0.0.1:1//", task_publish_retry=False, broker_transport_options=at_once)
    with pytest.raises(kombu.exceptions.OperationalError) as caught:
        app.tasks["add"].apply_async((1, 2), task_id="one")
    [span] = recorder.take()
    assert span["error"] == 1
    assert span["tags"]["error.type"] == failed(caught.value)["error.type"]


def test_eager(app: Any, recorder: Recorder) -> None:
    app.conf.task_always_eager = True
    with default_tracer.trace("work"):
        assert app.tasks["add"].delay(1, 2).get() == 3
    assert taken(recorder)[1:] == [ran("add", "SUCCESS", parent=1)]


def test_outcomes(app: Any, recorder: Recorder) -> None:
    error = ValueError("theirs")
    assert app.tasks["fail"].apply((error,)).result is error
    assert app.tasks["fail"].apply((KeyError("expected"),)).state == "FAILURE"
    assert app.tasks["leave"].apply().state == "IGNORED"
    spans = taken(recorder)
    assert spans == [
        ran("fail", "FAILURE", error=1, tags=wrong(error)),
        ran("fail", "FAILURE", trace=2),
        ran("leave", "IGNORED", trace=3),
    ]


def test_retries(app: Any, recorder: Recorder) -> None:
    with default_tracer.trace("work"):
        result = app.tasks["again"].apply()
    assert repr(result.result) == "ValueError('not yet')"
    reason = {"celery.retry.reason": "Retry in 0s: ValueError('not yet')"}
    assert taken(recorder)[1:] == [
        ran("again", "RETRY", parent=1, tags=reason),
        ran("again", "FAILURE", parent=1, error=1, tags={"celery.retries": 1, **wrong(result.result)}),
    ]


def test_an_error_that_is_let_through(app: Any, recorder: Recorder) -> None:
    error = ValueError("theirs")
    with pytest.raises(ValueError, match="theirs") as caught:
        app.tasks["fail"].apply((error,), throw=True)
    assert caught.value is error
    assert taken(recorder) == [ran("fail", None, error=1, tags=wrong(error))]


def test_beat(app: Any, received: Sent, recorder: Recorder) -> None:
    scheduler = Scheduler(app=app, lazy=True)
    entry = ScheduleEntry(name="every second", task="add", args=(1, 2), schedule=celery.schedules.schedule(1), app=app)
    scheduler.data = {"every second": scheduler.reserve(entry)}
    scheduler.apply_entry(entry)
    scheduler.tick()
    received()
    spans = [span for span in recorder.take() if not span["name"].startswith("kombu")]
    assert spans[1]["tags"].pop("celery.id")
    tags = {"component": "celery", "span.kind": "producer"}
    shape = {"parent": 0, "service": "celery-worker", "type": "worker", "error": 0, "tags": tags}
    assert spans == [
        {**shape, "name": "celery.beat.apply_entry", "resource": "every second", "trace": 1},
        applied(parent=1),
        {**shape, "name": "celery.beat.tick", "resource": "celery.beat.tick", "trace": 2},
    ]


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "delay": lambda app: type(app.tasks["add"].delay(1, 2)),
    "eager": lambda app: app.tasks["add"].apply((1, 2)).get(),
    "wrong arguments": lambda app: app.tasks["add"].delay(1),
    "wrong keyword": lambda app: app.tasks["add"].apply((1,), {"z": 2}).get(),
    "failure": lambda app: app.tasks["fail"].apply((ValueError("theirs"),)).get(),
    "unencodable": lambda app: app.tasks["add"].delay(object(), 2),
    "retry": lambda app: app.tasks["again"].apply().get(),
    "ignore": lambda app: app.tasks["leave"].apply().state,
    "call": lambda app: app.tasks["add"](1, 2),
    "expired": lambda app: app.tasks["add"].apply_async((1, 2), expires=10, ignore_result=True).ignored,
    "no name": lambda app: app.send_task(),
    "timeout": lambda app: app.tasks["add"].apply_async((1, 2), task_id="late").get(timeout=0.05),
}


def test_same_results_with_and_without(app: Any, recorder: Recorder) -> None:
    unpatch("celery", "kombu")
    without = outcomes(OPERATIONS, app)
    assert recorder.take() == []
    patch(celery=True, kombu=True)
    guarded.raises = False  # a call without a name cannot be described
    assert outcomes(OPERATIONS, app) == without
    recorder.take()
