"""The active span follows into a thread that is started under it.

The threads of pools serve whoever comes, and are left alone: there it is the jobs that carry it (futures).

https://docs.python.org/3/library/threading.html
"""

import sys
from typing import Any

from ddmiddleware.integrations._patching import Integration
from ddmiddleware.tracing import active, guarded

integration = Integration("threading")
_CARRIED = "_ddmiddleware_active"
_POOLS = ("anyio.", "concurrent.futures.", "ddmiddleware.", "multiprocessing.")


# start, because it runs in the thread that starts the other one.
@integration.observes("threading:Thread.start")
def start(thread: Any) -> None:
    parent = active.get()
    if parent is None or not integration.patched:
        return
    target = getattr(getattr(thread, "_target", None), "__module__", None)
    if not any(str(module).startswith(_POOLS) for module in (target, type(thread).__module__)):
        setattr(thread, _CARRIED, parent)


# _bootstrap_inner and not run: subclasses have a run of their own, which the instance would have to hide.
@integration.replaces("threading:Thread._bootstrap_inner")
def run(original: Any) -> Any:
    def running(self: Any) -> Any:
        with guarded:
            parent = vars(self).pop(_CARRIED, None)
            if parent is not None:
                # Since Python 3.14 run has a context of its own, which may have inherited the span already.
                context = getattr(self, "_context", None) if sys.version_info >= (3, 14) else None
                if context is None:
                    active.set(parent)
                elif context.get(active) is None:
                    context.run(active.set, parent)
        return original(self)

    return running
