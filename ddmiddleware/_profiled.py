"""What the profiler is told where ``ddmiddleware-run`` starts it: which processes serve nothing, that gevent came."""

from __future__ import annotations

import sys
from typing import Any

import wrapt

from ddmiddleware.integrations import Integration
from ddmiddleware.profiling import watch_greenlets
from ddmiddleware.tracing import guarded, supervising

_TRACKER = "from multiprocessing.resource_tracker import"

supervisors = Integration("supervisors")


# Where a server starts processes that serve instead of it. What forks them is known to the profiler itself.
@supervisors.replaces(
    "uvicorn.supervisors.basereload:BaseReload.run",
    "uvicorn.supervisors.multiprocess:Multiprocess.run",
    "hypercorn.run:_populate",
    "granian.server.mp:MPServer._spawn_worker",
    "sanic.worker.manager:WorkerManager.run",
)
def supervise(original: Any) -> Any:
    def supervises(*args: Any, **kwargs: Any) -> Any:
        with guarded:
            if supervisors.patched:
                supervising()
        return original(*args, **kwargs)

    return supervises


def profile() -> None:
    """Start the profiler, but in a process of multiprocessing's that only waits for others to end."""
    if any(argument.startswith(_TRACKER) for argument in sys.orig_argv):
        return
    from ddmiddleware.profiling import auto  # noqa: F401  # it starts

    supervisors.patch()
    wrapt.register_post_import_hook(watch_greenlets, "gevent")
