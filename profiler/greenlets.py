"""gevent's greenlets, which take the place of threads and have contexts of their own, as threads do.

A greenlet is swapped in together with its context, so that what it works for is known as for any thread. The sampler in
C names it too from Python 3.12 on, where a tick runs inside of the thread it looks at. Those that wait are known where
they were spawned while the profiler ran: gevent tells of each, and keeps no list of them.
"""

from __future__ import annotations

import sys
from contextvars import Context
from typing import Any
from weakref import WeakSet

from ddmiddleware.profiling.stacks import Stack, walk
from ddmiddleware.profiling.tasks import Task, some_of
from ddmiddleware.tracing import guarded

spawned: WeakSet[Any] = WeakSet()  # _greenlets.c reads it too

_wanted = False


def start() -> None:
    """Begin to note the greenlets that are spawned."""
    global _wanted
    _wanted = True
    look()


def look(_gevent: object = None) -> None:
    """Do so from now on where gevent is loaded only now."""
    gevent: Any = sys.modules.get("gevent")
    if _wanted and hasattr(gevent, "Greenlet"):
        gevent.Greenlet.add_spawn_callback(_note)  # once, however often it is called


def stop() -> None:
    """Note no more."""
    global _wanted
    _wanted = False
    gevent: Any = sys.modules.get("gevent")
    if hasattr(gevent, "Greenlet"):
        gevent.Greenlet.remove_spawn_callback(_note)


def _note(greenlet: Any) -> None:
    with guarded:
        try:
            spawned.add(greenlet)
        except TypeError:  # objects of its class have no hash: it stays unseen
            return


def current() -> Task | None:
    """Return the greenlet that the calling thread runs; None without gevent, and where it is the thread itself."""
    greenlet = sys.modules.get("greenlet")
    if greenlet is None or "gevent" not in sys.modules:
        return None
    running = greenlet.getcurrent()
    if running.parent is None:  # the thread itself
        return None
    return id(running), name_of(running)


def name_of(greenlet: Any) -> str:
    """Return the name that the program gave *greenlet*, else that of its class."""
    name = greenlet.__dict__.get("name")
    return name if type(name) is str else f"{type(greenlet).__module__}.{type(greenlet).__qualname__}"


def suspended(depth: int) -> tuple[list[tuple[Task, Stack, Context | None]], float]:
    """Return up to ``TASKS_MAX`` greenlets that wait, where, and in which context; and how many each stands for."""
    chosen, weight = some_of([found for found in list(spawned) if found.gr_frame is not None])
    return [((id(found), name_of(found)), walk(found.gr_frame, depth), found.gr_context) for found in chosen], weight
