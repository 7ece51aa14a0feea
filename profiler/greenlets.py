"""gevent's greenlets, which take the place of threads and have contexts of their own, as threads do.

A greenlet is swapped in together with its context, so that what it works for is known as for any thread. The sampler in
C names it too from Python 3.12 on, where a tick runs inside of the thread it looks at. Only running ones are seen.
"""

from __future__ import annotations

import sys

from ddmiddleware.profiling.tasks import Task


def current() -> Task | None:
    """Return the greenlet that the calling thread runs, or None without gevent."""
    greenlet = sys.modules.get("greenlet")
    if greenlet is None or "gevent" not in sys.modules:
        return None
    running = greenlet.getcurrent()
    return id(running), f"{type(running).__module__}.{type(running).__qualname__}"
