"""asyncio's event loop policy, for programs that give ddtrace's profiler one; ours needs none to know a task's name."""

from __future__ import annotations

import sys
import threading

from ddmiddleware.tracing import guarded, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from typing import Any

    class DdtraceProfilerEventLoopPolicy(asyncio.DefaultEventLoopPolicy):
        """The class to derive a policy from: it remembers which loop each thread has."""

        loop_per_thread: dict[int, asyncio.AbstractEventLoop]

        def _ddtrace_get_loop(self, thread_id: int) -> asyncio.AbstractEventLoop | None: ...


def install(policy: object) -> None:
    """Make *policy* asyncio's; None leaves what there is."""
    if policy is None:
        return
    if sys.version_info >= (3, 14):
        warn("asyncio_loop_policy: Python deprecates policies of event loops, and the profiler needs none")
    with guarded:
        import asyncio

        if not isinstance(policy, asyncio.AbstractEventLoopPolicy):
            warn("asyncio_loop_policy is no policy of event loops (%s): left out", type(policy).__name__)
            return
        asyncio.set_event_loop_policy(policy)


def _make() -> type:
    import asyncio

    class DdtraceProfilerEventLoopPolicy(asyncio.DefaultEventLoopPolicy):
        """The class to derive a policy from: it remembers which loop each thread has."""

        def __init__(self) -> None:
            super().__init__()
            self.loop_per_thread: dict[int, asyncio.AbstractEventLoop] = {}

        def _ddtrace_get_loop(self, thread_id: int) -> asyncio.AbstractEventLoop | None:
            return self.loop_per_thread.get(thread_id)

        def set_event_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
            """Set the loop of this thread, and remember it."""
            super().set_event_loop(loop)
            if loop is None:
                self.loop_per_thread.pop(threading.get_ident(), None)
            else:
                self.loop_per_thread[threading.get_ident()] = loop

    DdtraceProfilerEventLoopPolicy.__qualname__ = "DdtraceProfilerEventLoopPolicy"
    return DdtraceProfilerEventLoopPolicy


def __getattr__(name: str) -> Any:
    """Make the class with its first user: it needs asyncio."""
    if name != "DdtraceProfilerEventLoopPolicy":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = _make()
    return made
