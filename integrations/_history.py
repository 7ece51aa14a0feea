"""When something was patched, and what made it happen; for ``ddmiddleware doctor``."""

from __future__ import annotations

import sys
import time
from typing import NamedTuple

_STARTED = time.monotonic()
_NOT_THE_CAUSE = ("ddmiddleware", "wrapt", "importlib")


class Event(NamedTuple):
    """*seconds* after the first integration was wanted; *where* is ``file:line`` of the import or the call."""

    seconds: float
    where: str


def event(module: str) -> Event:
    """Return what happens to *module* now, and the line that caused it: not one of ours, or of its own package."""
    not_the_cause = (*_NOT_THE_CAUSE, module.partition(".")[0])
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in not_the_cause:
        frame = frame.f_back
    return Event(time.monotonic() - _STARTED, f"{frame.f_code.co_filename}:{frame.f_lineno}")
