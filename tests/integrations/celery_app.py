"""An application of Celery tasks, as a user writes it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from ddmiddleware import patch_all, tracer

if os.environ.get("PATCHED_BY_HAND"):
    patch_all()

from celery import Celery
from celery.exceptions import Ignore, Reject

app = Celery("shop", broker=os.environ.get("BROKER", "memory://"), backend=os.environ.get("BACKEND", "cache+memory://"))
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 30},
    redis_socket_timeout=10,
    result_extended=True,
)


@app.task
def add(x: int, y: int) -> int:
    with tracer.trace("inside"):
        return x + y


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task(bind=True)
def echo(self: Any, *args: Any, **kwargs: Any) -> Any:
    return [args, kwargs, os.getpid()]


@app.task
def boom() -> None:
    raise KeyError("boom")


@app.task(throws=(LookupError,))
def expected() -> None:
    raise LookupError("no such thing")


@app.task(bind=True, autoretry_for=(OSError,), retry_backoff=False, default_retry_delay=0, max_retries=3)
def flaky(self: Any) -> str:
    if not self.request.retries:
        raise OSError("not yet")
    return "done"


@app.task(acks_late=True)
def rejected() -> None:
    raise Reject("no", requeue=False)


@app.task(bind=True, acks_late=True)
def redelivered(self: Any) -> bool:
    """Be put back into the queue once."""
    if not self.request.delivery_info.get("redelivered"):
        raise Reject("again", requeue=True)
    return True


@app.task
def ignored() -> None:
    raise Ignore()


@app.task
def loaded() -> list[str]:
    """Return what a child of the pool has of what sends its spans, before it sends any."""
    return sorted(name for name in sys.modules if name.startswith(("ddmiddleware.tracing.", "http.client")))


@app.task
def parent() -> str:
    return str(add.delay(1, 2).id)


@app.task(bind=True)
def stuck(self: Any, how: str) -> None:
    """Never return."""
    with tracer.trace("inside"):
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "exits":
            sys.exit(3)
        if how in ("SIGTERM", "SIGKILL"):
            app.control.revoke(self.request.id, terminate=True, signal=how)
        threading.Event().wait()
