"""How long the program waits for locks, and how long others held what it waited for.

``threading.Lock`` and ``RLock`` are replaced by types that try the real lock first; of ``Semaphore``, ``Condition`` and
the locks of asyncio single methods are. So a lock that is free costs next to nothing, every wait is measured, and every
lock that was made before, or by the standard library, stays as it is.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from time import monotonic_ns
from types import CodeType, FrameType
from typing import Any

from ddmiddleware.profiling.collector import Collector
from ddmiddleware.profiling.event_log import EventLog
from ddmiddleware.profiling.samples import Sample
from ddmiddleware.profiling.stacks import frame_at
from ddmiddleware.profiling.thinning import Thinning
from ddmiddleware.tracing import Settings, guarded

_MODULES_MAX = 10_000
_SITES_MAX = 10_000
_VALUES = {"acquire": ("lock-acquire", "lock-acquire-wait"), "release": ("lock-release", "lock-release-hold")}

_wanted: dict[str, bool] = {}  # modules whose locks are profiled


def _decide(module: str) -> bool:
    """Return whether the locks that *module* makes are profiled."""
    top = module.partition(".")[0]
    if len(_wanted) >= _MODULES_MAX:
        _wanted.clear()
    return _wanted.setdefault(module, top != "ddmiddleware" and top not in sys.stdlib_module_names)


def _is_of(function: Any, module: str) -> bool:
    """Return whether *function* is defined in *module*, and is no wrapper that says so."""
    return getattr(function, "__globals__", None) is vars(sys.modules[module])


def _is_wanted(frame: FrameType) -> bool:
    module = frame.f_globals.get("__name__")
    return type(module) is str and _decide(module)


class LockCollector(Collector):
    """Measures waits for locks of threads and tasks."""

    def __init__(self, settings: Settings) -> None:
        self._log = EventLog(settings)
        self._thinning = Thinning()
        self._sites: dict[tuple[int, int], tuple[CodeType, str]] = {}
        self._replaced: list[tuple[Any, str, Any, Any]] = []
        self._asyncio = False

    def start(self) -> None:
        """Begin. Raises RuntimeError without the extension: in Python, every lock would be too slow."""
        if self._replaced:
            return
        try:
            from ddmiddleware.profiling import _locks, lock_types
        except ImportError as error:  # no compiler when it was installed, or another interpreter
            raise RuntimeError(f"locks are profiled by an extension in C, which is missing: {error}") from None
        self._log.clear()
        self._thinning = Thinning()
        made_here = "ddmiddleware.profiling.locks"
        _wanted[made_here] = True  # what it makes, it makes for another module
        _locks.start(self._report_lock, _wanted, _decide, self._condition(None, None).__code__)
        for name in ("Lock", "RLock"):
            ours, real = getattr(lock_types, name), getattr(threading, name)
            if real is not ours:
                ours.stand_for(real)
                self._replace(threading, name, ours)
        semaphore = threading.Semaphore.acquire
        acquire = self._semaphore(semaphore)
        self._replace(threading.Semaphore, "acquire", acquire)
        if threading.Semaphore.__enter__ is semaphore:
            self._replace(threading.Semaphore, "__enter__", acquire)
        condition = threading.Condition.__init__
        self._replace(threading.Condition, "__init__", self._condition(condition, lock_types.RLock))
        self._look_for_asyncio()

    def stop(self) -> None:
        """Put everything back; locks made meanwhile do as the real ones."""
        if not self._replaced:
            return
        from ddmiddleware.profiling import _locks

        _locks.stop()
        for owner, name, ours, real in reversed(self._replaced):
            if vars(owner).get(name) is ours:  # else somebody came after us, who calls it
                setattr(owner, name, real)
        self._replaced.clear()
        self._asyncio = False
        self._sites.clear()

    def collect(self) -> Iterable[Sample]:
        """Return the waits since the last call."""
        if self._replaced:
            self._look_for_asyncio()
        return self._log.take()

    def after_fork_in_child(self) -> None:
        """Be stopped, with nothing seen."""
        self.stop()
        self._log.clear()

    def tags(self) -> Mapping[str, str]:
        """Return how much went unseen, where that is the case."""
        return {"lock_events_lost": str(self._log.lost)} if self._log.lost else {}

    def _replace(self, owner: Any, name: str, ours: Any) -> None:
        self._replaced.append((owner, name, ours, vars(owner)[name]))
        setattr(owner, name, ours)

    def _look_for_asyncio(self) -> None:
        asyncio = sys.modules.get("asyncio")
        if self._asyncio or not hasattr(asyncio, "Condition"):
            return
        self._asyncio = True
        for kind in (asyncio.Lock, asyncio.Semaphore):  # type: ignore[union-attr]  # it has them, see above
            self._replace(kind, "acquire", self._awaited(kind.acquire))

    def _report_lock(self, lock: Any, verb: str, ns: int) -> None:
        with guarded:
            weight = self._thinning.weight(ns)
            if weight:
                labels = (("lock name", self._site(lock._code, lock._offset)),)
                self._log.add(_VALUES[verb], (weight, ns * weight), labels, 1)

    def _report(self, lock: Any, begun_ns: int) -> None:
        with guarded:
            ns = monotonic_ns() - begun_ns
            weight = self._thinning.weight(ns) if self._replaced else 0
            if weight:
                self._log.add(_VALUES["acquire"], (weight, ns * weight), (("lock name", type(lock).__name__),), 2)

    def _site(self, code: CodeType | None, offset: int) -> str:
        if code is None:
            return ""
        key = id(code), offset  # a code object's own hash is slow
        found = self._sites.get(key)
        if found is None:
            if len(self._sites) >= _SITES_MAX:
                self._sites.clear()
            _, file, line = frame_at(code, offset)
            found = self._sites[key] = code, f"{os.path.basename(file)}:{line}"
        return found[1]

    def _semaphore(self, real: Any) -> Any:
        report = self._report

        @functools.wraps(real)
        def acquire(self: Any, blocking: bool = True, timeout: float | None = None) -> Any:
            if self._value > 0 or not blocking:
                return real(self, blocking, timeout)
            begun_ns = monotonic_ns()
            taken = real(self, blocking, timeout)
            if _is_wanted(sys._getframe(1)):
                report(self, begun_ns)
            return taken

        return acquire

    def _condition(self, real: Any, rlock: Any) -> Any:
        def __init__(self: Any, lock: Any = None) -> None:
            if lock is None and _is_wanted(sys._getframe(1)):
                lock = rlock()
            real(self, lock)

        return __init__ if real is None else functools.wraps(real)(__init__)

    def _awaited(self, real: Any) -> Any:
        report = self._report
        # asyncio's own does no more to take a free lock, and it takes twice as long to have it do so.
        plain = getattr(real, "__qualname__", "") == "Lock.acquire" and _is_of(real, "asyncio.locks")
        counts = "Semaphore" in getattr(real, "__qualname__", "")  # whose locked() is slow

        @functools.wraps(real)
        async def acquire(self: Any) -> Any:
            if plain:
                if not self._locked and not self._waiters:
                    self._locked = True
                    return True
            elif (self._value > 0 if counts else not self.locked()) and not self._waiters:
                return await real(self)
            begun_ns = monotonic_ns()
            taken = await real(self)
            report(self, begun_ns)
            return taken

        return acquire
