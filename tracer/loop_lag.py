"""How late event loops run what is due, measured by a callback that each one schedules for itself.

A callback that blocks delays everything else on its loop: the lag is what all requests of the moment wait for.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections import deque
    from weakref import WeakSet
else:
    # As threading has them: importing what they come from costs milliseconds.
    from _collections import deque
    from _weakrefset import WeakSet

_PERIOD_S = 0.25  # a longer block than this cannot hide
_LAGS_MAX = 1000


class LoopMeter:
    """Measures the loops that ``watch`` is called on, while *wanted*; keeps none of them alive."""

    def __init__(self) -> None:
        self.wanted = False
        self.stop()

    def start(self) -> None:
        """Begin with the next loop that calls ``watch``."""
        self.wanted = True

    def stop(self) -> None:
        """Forget all loops and lags; what is scheduled ends with its next call."""
        self.wanted = False
        self._loops: WeakSet[AbstractEventLoop] = WeakSet()
        self._lags: deque[int] = deque(maxlen=_LAGS_MAX)

    def watch(self) -> None:
        """Measure the running loop from now on, until it is closed; call it as often as you like."""
        import asyncio

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # another framework's loop
            return
        if loop not in self._loops:
            self._loops.add(loop)
            self._schedule(loop)

    def _schedule(self, loop: AbstractEventLoop) -> None:
        from contextvars import Context

        due = loop.time() + _PERIOD_S
        # In a context of its own: in this one the active span would live as long as the loop.
        loop.call_at(due, self._measure, self._loops, due, context=Context())

    def _measure(self, loops: WeakSet[AbstractEventLoop], due: float) -> None:
        import asyncio

        if loops is not self._loops:  # stopped meanwhile, and maybe started again
            return
        loop = asyncio.get_running_loop()
        self._lags.append(max(int((loop.time() - due) * 1e9), 0))
        self._schedule(loop)

    def take(self) -> list[int]:
        """Remove and return what was measured, in nanoseconds."""
        return [self._lags.popleft() for _ in range(len(self._lags))]


loop_meter = LoopMeter()
