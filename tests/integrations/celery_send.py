"""Sends tasks and waits for what they return: ``python -m tests.integrations.celery_send NAME ...``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from celery import chain, chord, group

from tests.integrations.celery_app import (
    add,
    app,
    boom,
    echo,
    expected,
    flaky,
    ignored,
    loaded,
    parent,
    redelivered,
    rejected,
    stuck,
    total,
    tracer,
)

SCENARIOS: dict[str, Callable[[], Any]] = {
    "delay": lambda: add.delay(1, 2).get(timeout=30),
    "arguments": lambda: echo.apply_async((1, "a"), {"b": 2}, headers={"mine": "1"}).get(timeout=30)[:2],
    "name": lambda: app.send_task("tests.integrations.celery_app.add", (3, 4)).get(timeout=30),
    "chain": lambda: chain(add.s(1, 2), add.s(3), add.s(4))().get(timeout=30),
    "group": lambda: group(add.s(1, 1), add.s(2, 2))().get(timeout=30),
    "chord": lambda: chord([add.s(1, 1), add.s(2, 2)], total.s())().get(timeout=30),
    "retry": lambda: flaky.delay().get(timeout=30),
    "failure": lambda: repr(boom.delay().get(timeout=30, propagate=False)),
    "expected": lambda: repr(expected.delay().get(timeout=30, propagate=False)),
    "ignored": lambda: ignored.delay() and None,
    "rejected": lambda: rejected.delay() and None,
    "redelivered": lambda: redelivered.delay().get(timeout=30),
    "loaded": lambda: loaded.delay().get(timeout=30),
    "within": lambda: len(parent.delay().get(timeout=30)),
    "revoked": lambda: app.control.revoke(add.apply_async((1, 2), countdown=3600).id) and None,
    "limit": lambda: repr(stuck.apply_async(("waits",), time_limit=1).get(timeout=30, propagate=False)),
    "killed": lambda: repr(stuck.delay("killed").get(timeout=30, propagate=False)),
    "waits": lambda: repr(stuck.delay("waits").get(timeout=30, propagate=False)),
    "SIGTERM": lambda: repr(stuck.delay("SIGTERM").get(timeout=30, propagate=False)),
    "SIGKILL": lambda: repr(stuck.delay("SIGKILL").get(timeout=30, propagate=False)),
    "exits": lambda: repr(stuck.delay("exits").get(timeout=30, propagate=False)),
    "many": lambda: [result.get(timeout=60) for result in [add.delay(n, n) for n in range(10)]],
}

if __name__ == "__main__":
    answers = {}
    for name in sys.argv[1:]:
        with tracer.trace("request", resource=name):
            answers[name] = SCENARIOS[name]()
    print(json.dumps(answers))
