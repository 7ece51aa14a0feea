"""Examples of threads and greenlets: what is traced there is the span that they carry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ddmiddleware.tracing import default_tracer
from tests.integrations.example import Example, Names
from tests.integrations.recorder import Recorder


def _in_thread(names: Names, job: Callable[[], Any]) -> Any:
    """Return what *job* returns in a thread, or raise what it raises."""
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.extend((job(), None))
        except BaseException as error:
            outcome.extend((None, error))

    if "spawn" in names:
        names["spawn"](work).join()
    else:
        thread = names["Thread"](target=work)
        thread.start()
        thread.join()
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]


def _use(names: Names, recorder: Recorder) -> int:
    with default_tracer.trace("parent") as parent:
        carried = _in_thread(names, default_tracer.current_span) is parent
    recorder.take()
    return int(carried)


def _fail(names: Names, error: BaseException) -> None:
    def job() -> None:
        raise error

    with default_tracer.trace("parent"):
        _in_thread(names, job)


THREADS = {
    "gevent": Example("from gevent import spawn\nimport gevent.threadpool", _use, _fail),
    "threading": Example("from threading import Thread", _use, _fail),
}
