"""A token bucket: so many a second, and as many at once after a pause."""

from __future__ import annotations

from time import monotonic_ns

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable

_SECOND_NS = 1_000_000_000


class Limiter:
    """Allows *per_second* events a second; none where that is 0, all where it is negative.

    It takes no lock: a signal handler that ends a span in the middle would wait for itself. Between reading the clock
    and the end of ``allows`` stands no call, so under the GIL no other thread comes between (on Python 3.10 one can, at
    a jump: a token may then be spent twice).
    """

    __slots__ = ("_allowed", "_asked", "_before", "_clock", "_filled_ns", "_limit", "_tokens", "_window_ns")

    def __init__(self, per_second: float, clock: Callable[[], int] = monotonic_ns) -> None:
        self._limit = float(per_second)
        self._clock = clock
        self._tokens = max(self._limit, 1.0) if per_second > 0 else 0.0
        self._filled_ns = self._window_ns = clock()
        self._asked = self._allowed = 0
        self._before: float | None = None  # the share that was allowed in the window before

    def allows(self) -> bool:
        """Take a token; return whether there was one."""
        now = self._clock()
        if now - self._window_ns >= _SECOND_NS:
            if self._asked:
                self._before = self._allowed / self._asked
            self._asked = self._allowed = 0
            self._window_ns = now
        self._asked += 1
        if self._limit > 0:
            full = self._limit if self._limit > 1 else 1.0
            tokens = self._tokens + (now - self._filled_ns) * self._limit / _SECOND_NS
            self._filled_ns = now
            self._tokens = full if tokens > full else tokens
            if self._tokens < 1:
                return False
            self._tokens -= 1
        elif self._limit == 0:
            return False
        self._allowed += 1
        return True

    @property
    def effective_rate(self) -> float:
        """The share that was allowed of late: the mean of this second and the last one before it."""
        asked, before = self._asked, self._before
        now = self._allowed / asked if asked else 1.0
        return now if before is None else (now + before) / 2
