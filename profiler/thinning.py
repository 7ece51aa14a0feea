"""Which of many short events are looked at: few enough to cost nothing, and each standing for those passed over."""

from __future__ import annotations

import random
import time

_LONG_NS = 1_000_000
_PER_SECOND = 50


class Thinning:
    """Chooses among events by how long they took; the chosen, times their weights, add up to all of them.

    What takes a millisecond or more is always chosen: there is no time for many such. Of shorter ones about 50 a second
    are, at random.
    """

    def __init__(self) -> None:
        self._chance = 1.0
        self._chosen, self._until = 0, 0.0

    def weight(self, ns: int) -> float:
        """Return for how many events this one stands, 0 where it is to be passed over."""
        if ns >= _LONG_NS:
            return 1.0
        chance = self._chance
        if chance < 1 and random.random() >= chance:
            return 0.0
        now = time.monotonic()
        self._chosen += 1
        if now >= self._until:
            if self._chosen < _PER_SECOND:
                self._chance = min(1.0, chance * 2)
            self._chosen, self._until = 0, now + 1
        elif self._chosen >= _PER_SECOND:
            self._chance, self._chosen = chance / 2, 0
        return 1 / chance
