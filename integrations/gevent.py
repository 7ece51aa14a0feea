"""The active span follows into a greenlet, and into a job for gevent's threads.

gevent starts each greenlet with no context variables at all. Only the active span is carried: what else an application
keeps there stays as gevent has it.

https://www.gevent.org
"""

from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import Any

from ddmiddleware.integrations._patching import Integration
from ddmiddleware.tracing import active, guarded


class _Gevent(Integration):
    """An integration that gevent calls by a hook of its own: its classes are compiled and cannot be changed."""

    def patch(self) -> None:
        super().patch()
        if self.patched:
            with guarded:
                from gevent import Greenlet

                Greenlet.add_spawn_callback(_spawned)

    def unpatch(self) -> None:
        super().unpatch()
        with guarded:
            from gevent import Greenlet

            Greenlet.remove_spawn_callback(_spawned)


integration = _Gevent("gevent", requires="gevent>=21.1.2")


def _spawned(greenlet: Any) -> None:
    """Let a greenlet, which is about to be started, begin under the active span."""
    with guarded:
        parent = active.get()
        # A monkey-patched thread is one too: whether it carries anything is for the integration of threads to say.
        starter = getattr(getattr(greenlet, "_run", None), "__func__", None)
        if parent is None or not integration.patched or getattr(starter, "__module__", "") == "threading":
            return
        context = greenlet.gr_context
        if context is None:
            context = greenlet.gr_context = Context()
        if active not in context:
            context.run(active.set, parent)


def _run_under(parent: Any, job: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    outside = active.get()
    active.set(parent)
    try:
        return job(*args, **kwargs)
    finally:
        active.set(outside)


# spawn, because apply, map and every executor go through it.
@integration.replaces("gevent.threadpool:ThreadPool.spawn")
def spawn(original: Any) -> Any:
    def spawning(self: Any, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        parent = active.get()
        if parent is None or not integration.patched:
            return original(self, func, *args, **kwargs)
        return original(self, partial(_run_under, parent, func), *args, **kwargs)

    return spawning
