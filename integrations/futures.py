"""The active span follows a job into a thread pool.

https://docs.python.org/3/library/concurrent.futures.html
"""

from collections.abc import Callable
from typing import Any

from ddmiddleware.integrations._patching import Integration
from ddmiddleware.tracing import Context, Span, active

integration = Integration("futures")


# submit, because map, loop.run_in_executor and every other way to a pool's thread goes through it.
@integration.replaces("concurrent.futures.thread:ThreadPoolExecutor.submit")
def submit(original: Any) -> Any:
    def carrying(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        parent = active.get()
        if parent is None or not integration.patched:
            return original(self, fn, *args, **kwargs)
        return original(self, _run_under, parent, fn, *args, **kwargs)

    return carrying


def _run_under(parent: Span | Context, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    outside = active.get()
    active.set(parent)
    try:
        return fn(*args, **kwargs)
    finally:
        active.set(outside)
