"""Celery tasks: sent, run, tried again, and sent by beat; one trace from who sends a task to all that it leads to.

``DD_CELERY_PRODUCER_SERVICE`` and ``DD_CELERY_WORKER_SERVICE`` name the services; with
``DD_CELERY_DISTRIBUTED_TRACING=false`` each task begins a trace of its own.

https://docs.celeryq.dev
"""

import math
from collections.abc import Mapping
from functools import partial
from signal import SIGTERM
from time import monotonic_ns
from types import SimpleNamespace
from typing import Any

from ddmiddleware.integrations import _kombu_headers, _messages
from ddmiddleware.integrations._options import options_of
from ddmiddleware.integrations._patching import Call, Integration, Traced
from ddmiddleware.tracing import Span, active, default_tracer, guarded

_REQUIRES = "celery>=4.4"
_worker = Integration("celery_worker", requires=_REQUIRES, service="celery-worker", kind="consumer")
_beat = Integration("celery_beat", requires=_REQUIRES, kind="producer")
integration = Integration(
    "celery",
    requires=_REQUIRES,
    kind="producer",
    wire="message",
    parts=(_worker, _beat, _kombu_headers.integration),
)
# Who sends and who runs tasks are services of their own; whether they share a trace is said once.
_options = integration.options
integration.options = options_of("celery_producer")
integration.options.default_service("celery-producer")
_beat.options = _worker.options
for part in (_worker, _beat):
    part.tags["component"] = "celery"

# What billiard's children exit with at SIGTERM.
_TERMINATED = SIGTERM - 256
_limit_of_pool: float | None = None  # seconds
_TAGS = {
    "compression": "celery.compression",
    "correlation_id": "celery.correlation_id",
    "countdown": "celery.countdown",
    "delivery_info": "celery.delivery_info",
    "eta": "celery.eta",
    "exchange": "celery.exchange",
    "expires": "celery.expires",
    "hostname": "celery.hostname",
    "id": "celery.id",
    "priority": "celery.priority",
    "queue": "celery.queue",
    "reply_to": "celery.reply_to",
    "retries": "celery.retries",
    "routing_key": "celery.routing_key",
    "serializer": "celery.serializer",
    "task_id": "celery.id",
}


def _described(call: Call, task: str, action: str, fields: Mapping[str, Any]) -> None:
    tags: dict[str, object] = {"celery.action": action}
    for field, tag in _TAGS.items():
        value = fields.get(field)
        if isinstance(value, dict):
            tags.update((f"{tag}.{name}", item) for name, item in value.items())
        elif value or (value == 0 and field == "priority"):
            tags[tag] = getattr(value, "name", value)
    limits = fields.get("timelimit")
    if limits and any(limits):
        tags["celery.timelimit"] = str(tuple(limits))
    _messages.message(call, task, tags)


# send_task, because apply_async, beat, every canvas and every retry send their messages by it.
@integration.traces("celery.app.base:Celery.send_task", name="celery.apply")
def send(call: Call) -> None:
    _described(call, str(call.arg(0, "name")), "apply_async", call.kwargs)


@send.returned
def sent(call: Call, result: Any) -> None:
    call.span.set_tag("celery.id", getattr(result, "id", None))


def _request(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    return (args[3] if len(args) > 3 else kwargs.get("request")) or {}


def _headers(*args: Any, **kwargs: Any) -> Mapping[str, Any] | None:
    """Return the headers of a task's message: what is not celery's own among its request's fields."""
    request = _request(args, kwargs)
    if request.get("is_eager"):
        return None
    within = request.get("headers")  # where the first protocol, and other tracers, put them
    return {**within, **request} if isinstance(within, dict) else request


# build_tracer, because what it returns runs a task, and sends what comes after it, in every pool and eagerly.
@_worker.replaces("celery.app.trace:build_tracer")
def build(original: Any) -> Any:
    def building(name: str, task: Any, *args: Any, **kwargs: Any) -> Any:
        return _running(name, task, original(name, task, *args, **kwargs))

    return building


class _Run(Traced):
    """A task's run; where a hard time limit ends it, its parent tells, for this process may be killed while it does."""

    def __init__(self, name: str, task: Any) -> None:
        super().__init__(_worker, "celery.run", "worker", partial(_run, name))
        self._task = task
        self.returned(partial(_ran, getattr(task, "throws", None) or ()))

    def _failed(self, call: Call, error: BaseException) -> None:
        if not (isinstance(error, SystemExit) and error.code == _TERMINATED and self._is_late(call)):
            super()._failed(call, error)

    def _is_late(self, call: Call) -> bool:
        limits = _request(call.args, call.kwargs).get("timelimit") or (None,)
        limit: float = limits[0] or getattr(self._task, "time_limit", None) or _limit_of_pool or math.inf
        # The parent's clock may have begun earlier.
        return monotonic_ns() + call.span._trace.clock_offset - call.span.start_ns > limit * 0.9e9


def _running(name: str, task: Any, trace_task: Any) -> Any:
    return _messages.handles(_worker, _Run(name, task), trace_task, _headers, _options, method=False)


def _run(name: str, call: Call) -> None:
    request = _request(call.args, call.kwargs)
    fields = {"hostname": request.get("origin"), **request, "id": call.arg(0, "uuid")}
    _described(call, name, "run", fields)


def _ran(expected: tuple[type[BaseException], ...], call: Call, result: Any) -> None:
    """Read a task's outcome: to be tried again or ignored is no failure, nor is an error that it says it may raise."""
    outcome = result[1]
    call.tags["celery.state"] = state = "SUCCESS" if outcome is None else str(outcome.state)
    if state == "RETRY":
        call.tags["celery.retry.reason"] = str(outcome.retval)
    error = outcome.retval if state == "FAILURE" else None
    if isinstance(error, BaseException) and not isinstance(error, expected):
        call.span.set_exc_info(type(error), error, error.__traceback__)
        stack = getattr(result[0], "traceback", None)  # celery has emptied the frames of the error's own by now
        if stack:
            call.tags["error.stack"] = str(stack)


# on_failure, because a child of the pool that is killed takes its spans with it, and its parent is told here. What a
# child has told by itself comes with return_ok.
@_worker.observes("celery.worker.request:Request.on_failure")
def killed(request: Any, exc_info: Any, *args: Any, **kwargs: Any) -> None:
    error = getattr(exc_info.exception, "exc", exc_info.exception)
    state = _state_of_killed(error)
    if state is None or not _worker.patched or args[1:2] == (True,) or kwargs.get("return_ok"):
        return

    def ended(*_args: Any) -> tuple[None, Any]:
        span = active.get()
        if isinstance(span, Span) and span.name == "celery.run" and request.time_start:
            span.start_ns = int(request.time_start * 1e9)
        return None, SimpleNamespace(state=state, retval=error)

    _running(request.name, None, ended)(request.id, None, None, request.request_dict)


def _state_of_killed(error: BaseException) -> str | None:
    """Return the state of a task whose child has ended without a word; at SIGTERM it still sends its spans."""
    from celery.exceptions import Terminated, TimeLimitExceeded, WorkerLostError  # which load billiard

    if isinstance(error, Terminated):
        return "REVOKED" if error.args[0] > 0 and error.args[0] != SIGTERM else None
    if isinstance(error, WorkerLostError):
        return "FAILURE" if "signal" in str(error) and "SIGTERM" not in str(error) else None
    return "FAILURE" if isinstance(error, TimeLimitExceeded) else None


# on_start, because the pool's children are forked by it: each would import what it sends with again, for the one task
# that it runs with --max-tasks-per-child=1.
@_worker.observes("celery.concurrency.prefork:TaskPool.on_start")
def start_pool(pool: Any) -> None:
    global _limit_of_pool
    _limit_of_pool = pool.options.get("timeout")
    default_tracer.load()


# A child of the pool ends by os._exit, which runs nothing of atexit; this is called before it.
@_worker.replaces("celery.concurrency.prefork:process_destructor")
def end_child(original: Any) -> Any:
    def ending(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        finally:
            with guarded:
                if _worker.patched:
                    default_tracer.shutdown()

    return ending


@_beat.traces("celery.beat:Scheduler.tick", name="celery.beat.tick", type="worker")
def tick(_call: Call) -> None:
    pass


@_beat.traces("celery.beat:Scheduler.apply_entry", name="celery.beat.apply_entry", type="worker")
def apply_entry(call: Call) -> None:
    call.span.resource = str(call.arg(0, "entry").name)
