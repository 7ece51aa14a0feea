"""How threads wait for the worker, and the worker for them."""

from __future__ import annotations

import threading


class Bell:
    """Wakes the worker; rings that nobody waited for count as one.

    An Event would hold its lock while Python code runs: a signal handler or a finalizer that ends a span just then
    would wait for itself.
    """

    def __init__(self) -> None:
        self._silence = threading.Lock()
        self._silence.acquire()

    def ring(self) -> None:
        """End the wait, or the next one."""
        if self._silence.locked():
            try:
                self._silence.release()
            except RuntimeError:  # another ring was faster
                return

    def wait(self, timeout_s: float | None) -> None:
        """Wait for a ring, for *timeout_s* at most where that is not None."""
        self._silence.acquire(timeout=-1 if timeout_s is None else timeout_s)


class Flush:
    """Somebody waits for what is queued now to be sent."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.delivered = False
        self.done = threading.Event()
