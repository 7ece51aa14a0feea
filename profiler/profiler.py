"""The profiler that a program starts and stops. One runs at a time in a process."""

from __future__ import annotations

import atexit
import sys
import threading
import time

from ddmiddleware.profiling import loop_policy
from ddmiddleware.profiling.recording import Recording
from ddmiddleware.profiling.scheduler import Scheduler
from ddmiddleware.tracing import (
    Settings,
    Tracer,
    at_fork,
    at_multiprocessing_exit,
    at_service_end,
    at_supervision,
    default_tracer,
    exit_deadline,
    guarded,
    warn,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ddmiddleware.profiling.loop_policy import DdtraceProfilerEventLoopPolicy as DdtraceProfilerEventLoopPolicy

# What watches, and the setting that switches it.
COLLECTORS: tuple[tuple[str, str, str], ...] = (
    ("DD_PROFILING_STACK_ENABLED", "ddmiddleware.profiling.stack_collector", "StackCollector"),
    ("DD_PROFILING_MEMORY_ENABLED", "ddmiddleware.profiling.memory", "MemoryCollector"),
    ("DD_PROFILING_LOCK_ENABLED", "ddmiddleware.profiling.locks", "LockCollector"),
    ("DD_PROFILING_EXCEPTION_ENABLED", "ddmiddleware.profiling.exceptions", "ExceptionCollector"),
    ("DD_PROFILING_GC_ENABLED", "ddmiddleware.profiling.gc_pauses", "GcCollector"),
)

_FLUSH_S = 0.5  # beyond the time of one upload, for stop(flush=True)
_EXIT_SHARE = 0.5  # of the time that an exit may take: the tracer comes next
# Functions that fork the processes which serve, and serve nothing themselves.
_MASTERS = (("gunicorn/arbiter.py", "spawn_worker"),)

_changing = threading.RLock()
_active: Profiler | None = None


class Profiler:
    """Samples what the process does, and sends a profile every ``DD_PROFILING_UPLOAD_INTERVAL`` seconds.

    What is None follows from the settings of *tracer* (``DD_SERVICE``, ``DD_TRACE_AGENT_URL``, ``DD_PROFILING_*`` ...).
    *url* is the agent's address; *tags* are added to those that are set; *agentless* and *api_key* send to Datadog
    itself. *asyncio_loop_policy* is installed by ``start``; tasks have their names without any. The names that begin
    with an underscore are ddtrace's for the switches ``DD_PROFILING_*_ENABLED``.
    """

    def __init__(
        self,
        url: str | None = None,
        service: str | None = None,
        tags: Mapping[str, str] | None = None,
        env: str | None = None,
        version: str | None = None,
        tracer: Tracer | None = None,
        api_key: str | None = None,
        agentless: bool | None = None,
        asyncio_loop_policy: object = None,
        *,
        _stack_collector_enabled: bool | None = None,
        _memory_collector_enabled: bool | None = None,
        _lock_collector_enabled: bool | None = None,
        _exception_collector_enabled: bool | None = None,
        _pytorch_collector_enabled: bool | None = None,
        enable_code_provenance: bool | None = None,
        endpoint_collection_enabled: bool | None = None,
    ) -> None:
        self.tracer = default_tracer if tracer is None else tracer
        self.tags = {str(key): str(value) for key, value in (tags or {}).items()}
        self._policy = asyncio_loop_policy
        self._values: dict[str, Any] = {
            "DD_TRACE_AGENT_URL": url,
            "DD_SERVICE": service,
            "DD_ENV": env,
            "DD_VERSION": version,
            "DD_API_KEY": api_key,
            "DD_PROFILING_AGENTLESS": agentless,
            "DD_PROFILING_STACK_ENABLED": _stack_collector_enabled,
            "DD_PROFILING_MEMORY_ENABLED": _memory_collector_enabled,
            "DD_PROFILING_LOCK_ENABLED": _lock_collector_enabled,
            "DD_PROFILING_EXCEPTION_ENABLED": _exception_collector_enabled,
            "DD_PROFILING_ENABLE_CODE_PROVENANCE": enable_code_provenance,
            "DD_PROFILING_ENDPOINT_COLLECTION_ENABLED": endpoint_collection_enabled,
        }
        self._recording: Recording | None = None
        self._scheduler: Scheduler | None = None
        self._settings: Settings | None = None
        self._children = True
        self._dormant = False
        self._told = False

    @property
    def running(self) -> bool:
        """Whether it profiles this process."""
        return _active is self and not self._dormant

    def start(self, stop_on_exit: bool = True, profile_children: bool = True) -> None:
        """Begin to profile; does nothing where it runs already, and says so where another one does.

        *stop_on_exit*: send the last profile when the process exits. *profile_children*: start anew, with the same
        settings, in children that are forked.
        """
        global _active
        with guarded, _changing:
            if _active is self:
                return
            if _active is not None:
                warn("a profiler runs already, this one is not started: one at a time; stop() the other one first")
                return
            self._children = profile_children
            self._begin()
            _active = self
            if stop_on_exit:
                atexit.register(self._exit)
                at_multiprocessing_exit(self._exit)

    def _begin(self) -> None:
        settings = self.tracer.settings.changed(**self._values)
        if self.tags:
            settings["DD_PROFILING_TAGS"] = {**settings["DD_PROFILING_TAGS"], **self.tags}
        self._settings = settings
        loop_policy.install(self._policy)
        self._recording = Recording(settings, COLLECTORS)
        self._resume(settings, self._recording)

    def _resume(self, settings: Settings, recording: Recording) -> None:
        recording.start()
        scheduler = Scheduler(settings, recording)
        try:
            scheduler.start()
        except RuntimeError:  # the interpreter is going down
            recording.stop()
            return
        self._scheduler = scheduler

    def stop(self, flush: bool = True) -> None:
        """Stop, and with *flush* send what was seen until now; does nothing where it does not run."""
        settings = self._settings
        if settings is None:
            return
        self._stop(flush, time.monotonic() + settings["DD_PROFILING_API_TIMEOUT_MS"] / 1000 + _FLUSH_S)

    def _stop(self, flush: bool, deadline: float) -> None:
        global _active
        with guarded:
            if not _changing.acquire(timeout=max(deadline - time.monotonic(), 0)):
                return
            try:
                if _active is self:
                    _active = None
                    atexit.unregister(self._exit)
                    self._end(flush, deadline)
            finally:
                _changing.release()

    def _end(self, flush: bool, deadline: float) -> None:
        recording, self._recording = self._recording, None
        scheduler, self._scheduler = self._scheduler, None
        dormant, self._dormant = self._dormant, False
        if recording is not None and not dormant:
            recording.stop()
        if scheduler is not None and not dormant:
            scheduler.stop(flush, deadline)

    def _exit(self) -> None:
        settings = self._settings
        if settings is not None:
            self._stop(True, exit_deadline(settings["DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS"], _EXIT_SHARE))

    def _flush(self) -> None:
        if self.running and self._scheduler is not None and self._settings is not None:
            self._scheduler.flush(time.monotonic() + self._settings["DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS"])

    def _exit_of_multiprocessing(self) -> None:
        if self.running:
            at_multiprocessing_exit(self._exit)

    def set_asyncio_event_loop_policy(self) -> None:
        """Install the asyncio policy that this profiler was made with again, after something has replaced it."""
        loop_policy.install(self._policy)

    def _forking(self) -> None:
        util = sys.modules.get("multiprocessing.util")
        if util is not None and not self._told:
            self._told = True
            # In a child that it forks it says so after all others have been told of the fork.
            util.register_after_fork(self, Profiler._exit_of_multiprocessing)
        if not self._dormant:
            if self._scheduler is not None:
                self._scheduler.rest()
            if self._recording is not None:
                self._recording.before_fork()

    def _forked_in_parent(self) -> None:
        if self._dormant:
            return
        if self._recording is not None:
            self._recording.after_fork_in_parent()
        if _forks_workers():
            self._sleep()
        elif self._scheduler is not None:
            self._scheduler.go_on()

    def _sleep(self) -> None:
        """Profile no more in a process that serves nothing; its forked children do."""
        self._dormant = True
        if self._recording is not None:
            self._recording.stop()
        if self._scheduler is not None:
            self._scheduler.stop(False, 0)

    def _forked_in_child(self) -> None:
        global _active
        dormant, self._dormant = self._dormant, False
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None and not dormant:
            scheduler.disown()
        if self._recording is not None:
            self._recording.after_fork_in_child()
        if self._children and self._recording is not None and self._settings is not None:
            self._resume(self._settings, self._recording)
            at_multiprocessing_exit(self._exit)  # of a child of such a child
        else:
            _active = self._recording = None
            atexit.unregister(self._exit)


def _forks_workers() -> bool:
    """Return whether the calling thread is just forking a worker of a server."""
    found: Any = sys._getframe(1)
    while found is not None:
        code = found.f_code
        if any(code.co_name == name and code.co_filename.endswith(file) for file, name in _MASTERS):
            return True
        found = found.f_back
    return False


def _forking() -> None:
    if _active is not None:
        _active._forking()


def _forked_in_parent() -> None:
    if _active is not None:
        _active._forked_in_parent()


def _forked_in_child() -> None:
    global _changing
    _changing = threading.RLock()
    if _active is not None:
        _active._forked_in_child()


def _service_ended() -> None:
    if _active is not None:
        _active._flush()


def _supervising() -> None:
    with _changing:
        if _active is not None and not _active._dormant:
            _active._sleep()


def __getattr__(name: str) -> Any:
    """Load what needs asyncio with its first user."""
    if name == "DdtraceProfilerEventLoopPolicy":
        return loop_policy.DdtraceProfilerEventLoopPolicy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


at_fork(before=_forking, in_parent=_forked_in_parent, in_child=_forked_in_child)
at_service_end(_service_ended)
at_supervision(_supervising)
