"""The ids of our own threads, which were started before gevent gave all threads others.

In a worker of gunicorn gevent comes after the fork, and with it another ``threading.get_ident``.
"""

from __future__ import annotations

import threading
from _thread import get_ident as own_ident  # gevent replaces it in its module, not here

__all__ = ["keep_ident", "own_ident"]


def keep_ident() -> None:
    """Let threading find the calling thread when it ends: it looks for the id of now, and complains on stderr."""
    ident, known = threading.get_ident(), threading._active  # type: ignore[attr-defined]  # where threads look at their end
    if ident not in known:
        for before, thread in list(known.items()):
            if thread.native_id == threading.get_native_id():
                known[ident] = known.pop(before)
                return
