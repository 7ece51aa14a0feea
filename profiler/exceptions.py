"""Which exceptions are raised where, handled ones too: by ``sys.monitoring``, so from Python 3.12 on.

Before 3.12 nothing tells of an exception but ``sys.settrace``, which makes every program slow: there are no samples.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Mapping
from types import CodeType

from ddmiddleware.profiling.collector import Collector
from ddmiddleware.profiling.event_log import EventLog
from ddmiddleware.profiling.samples import Sample
from ddmiddleware.tracing import Settings, debug, guarded

# How iterators and coroutines end: no errors.
_FLOW = (StopIteration, StopAsyncIteration, GeneratorExit)
_NAME = "ddmiddleware"
_TOOLS = (4, 3)  # the numbers that PEP 669 reserves for nobody
_MESSAGE_MAX = 200


class ExceptionCollector(Collector):
    """Looks at one exception in ``DD_PROFILING_EXCEPTION_SAMPLING_INTERVAL``, by its type and where it was raised."""

    def __init__(self, settings: Settings) -> None:
        self._log = EventLog(settings)
        self._interval: int = max(1, settings["DD_PROFILING_EXCEPTION_SAMPLING_INTERVAL"])
        self._messages: bool = settings["DD_PROFILING_EXCEPTION_COLLECT_MESSAGE"]
        self._left = 0
        self._tool: int | None = None

    def start(self) -> None:
        """Begin. Raises RuntimeError where other tools have taken all numbers."""
        if self._tool is not None:
            return
        if sys.version_info < (3, 12):
            debug("exceptions are profiled from Python 3.12 on")
            return
        self._log.clear()
        self._left = self._next()
        monitoring = sys.monitoring
        tool = next((tool for tool in _TOOLS if monitoring.get_tool(tool) is None), None)
        if tool is None:
            raise RuntimeError(f"the numbers {_TOOLS} of sys.monitoring are taken")
        monitoring.use_tool_id(tool, _NAME)
        monitoring.register_callback(tool, monitoring.events.RAISE, self._raised)
        monitoring.set_events(tool, monitoring.events.RAISE)
        self._tool = tool

    def stop(self) -> None:
        """Look at no more."""
        if sys.version_info >= (3, 12) and self._tool is not None:
            monitoring = sys.monitoring
            monitoring.set_events(self._tool, 0)
            monitoring.register_callback(self._tool, monitoring.events.RAISE, None)
            monitoring.free_tool_id(self._tool)
            self._tool = None

    def collect(self) -> Iterable[Sample]:
        """Return the exceptions since the last call."""
        return self._log.take()

    def after_fork_in_child(self) -> None:
        """Be stopped, with nothing seen."""
        self.stop()
        self._log.clear()

    def tags(self) -> Mapping[str, str]:
        """Return how much went unseen, where that is the case."""
        return {"exception_events_lost": str(self._log.lost)} if self._log.lost else {}

    def _next(self) -> int:
        # Poisson, so that what repeats itself is not met at the same place each time.
        return max(1, round(random.expovariate(1 / self._interval))) if self._interval > 1 else 1

    def _raised(self, code: CodeType, offset: int, error: BaseException) -> None:
        traceback = error.__traceback__
        # Told in every frame that it passes through: it is new in the first one.
        if (traceback is not None and traceback.tb_next is not None) or isinstance(error, _FLOW):
            return
        self._left -= 1
        if self._left > 0:
            return
        self._left = self._next()
        with guarded:
            kind = type(error)
            labels: tuple[tuple[str, str | int], ...] = (("exception type", f"{kind.__module__}.{kind.__qualname__}"),)
            if self._messages:
                labels += (("exception message", str(error)[:_MESSAGE_MAX]),)
            self._log.add(("exception-samples",), (self._interval,), labels, 1)
