"""The wall between our mistakes and the application.

``with guard:`` lets nothing of ours through: an ``Exception`` raised inside is counted and logged once per place and
minute (``DD_TRACE_LOGGING_RATE``). With ``DD_TESTING_RAISE=true``, as our own tests run, it is raised instead.
"""

from __future__ import annotations

import os
import time

from ddmiddleware.tracing.log import warn

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from types import TracebackType

_PLACES = 1000


class Guard:
    """A reusable, re-entrant context manager that swallows, counts and reports our own errors."""

    def __init__(self) -> None:
        self.errors = 0
        self.raises = os.environ.get("DD_TESTING_RAISE", "").lower() in ("1", "true")
        self._reported: dict[tuple[str, int], float] = {}

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        if error is None:
            return False
        if self.raises or not isinstance(error, Exception):
            return False
        self.errors += 1
        self._report(error, tb)
        return True

    def _report(self, error: Exception, tb: TracebackType | None) -> None:
        while tb is not None and tb.tb_next is not None:
            tb = tb.tb_next
        place = (tb.tb_frame.f_code.co_filename, tb.tb_lineno) if tb else ("", 0)
        from ddmiddleware.tracing.settings import settings  # which need the guard

        now = time.monotonic()
        interval: float = settings["DD_TRACE_LOGGING_RATE"]
        if now - self._reported.get(place, -interval) < interval or len(self._reported) >= _PLACES:
            return
        self._reported[place] = now
        warn("internal error at %s:%d, the application is not affected: %s", *place, type(error).__name__)


guard = Guard()
