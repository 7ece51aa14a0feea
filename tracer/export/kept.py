"""The share of chunks that was not dropped: ``_dd.tracer_kr``, by which a backend scales its counts."""

from __future__ import annotations

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections import deque
else:
    from _collections import deque  # as threading has it: the package collections costs two milliseconds

_SENDS = 10


class Kept:
    """Counts over the last ten sends; only the worker's thread calls it."""

    def __init__(self) -> None:
        self._sends: deque[tuple[int, int]] = deque(maxlen=_SENDS)
        self._finished = 0
        self._dropped = 0

    def rate(self, finished: int, dropped: int) -> float:
        """Return the share from 0 to 1, given how many chunks there were and were dropped since the process began."""
        if finished != self._finished or dropped != self._dropped:
            self._sends.append((finished - self._finished, dropped - self._dropped))
            self._finished, self._dropped = finished, dropped
        lost = sum(send[1] for send in self._sends)
        # More than there were: what was finished ten sends ago can be dropped now.
        return max(1 - lost / max(sum(send[0] for send in self._sends), 1), 0.0) if lost else 1.0
