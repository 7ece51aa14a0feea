"""Examples of queues, tasks and templates."""

from __future__ import annotations

from typing import Any

from tests.integrations.example import Example, Names
from tests.integrations.recorder import Recorder


def _task(names: Names, function: Any) -> Any:
    app = names["Celery"]("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    return app.task(function, name="task", shared=False)


def _use_celery(names: Names, recorder: Recorder) -> int:
    def work() -> None:
        pass

    task = _task(names, work)
    recorder.take()
    task.apply()
    return len(recorder.take())


def _fail_celery(names: Names, error: BaseException) -> None:
    def fail() -> None:
        raise error

    _task(names, fail).apply(throw=True)


def _use_kombu(names: Names, recorder: Recorder) -> int:
    recorder.take()
    with names["Connection"]("memory://") as connection:
        connection.Producer().publish({}, routing_key="nobody")
    return len(recorder.take())


def _fail_kombu(names: Names, error: BaseException) -> None:
    def fail(_body: Any, _message: Any) -> None:
        raise error

    with names["Connection"]("memory://") as connection, connection.channel() as channel:
        queue = names["Queue"]("fails", channel=channel)
        queue.declare()
        connection.Producer().publish({}, routing_key="fails")
        message = queue.get()
        message.ack()
        names["Consumer"](channel, [], callbacks=[fail]).receive({}, message)


def _use_jinja2(names: Names, recorder: Recorder) -> int:
    template = names["Template"]("x")
    recorder.take()
    template.render()
    return len(recorder.take())


def _fail_jinja2(names: Names, error: BaseException) -> None:
    def fail() -> None:
        raise error

    names["Template"]("{{ fail() }}").render(fail=fail)


def _fail_mako(names: Names, error: BaseException) -> None:
    def fail() -> None:
        raise error

    names["Template"]("${fail()}").render(fail=fail)


MESSAGES = {
    "celery": Example("from celery import Celery", _use_celery, _fail_celery),
    "kombu": Example("from kombu import Connection, Consumer, Queue", _use_kombu, _fail_kombu),
    "jinja2": Example("from jinja2 import Template", _use_jinja2, _fail_jinja2),
    "mako": Example("from mako.template import Template", _use_jinja2, _fail_mako),
}
