"""The profiler: what the process spends its time, memory and waiting on, and for which endpoint.

``Profiler().start()`` starts it, and so does ``import ddmiddleware.profiling.auto``. Importing this starts nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ddmiddleware.profiling.profiler import Profiler as Profiler

__all__ = ["Profiler"]


def __getattr__(name: str) -> Any:
    """Load the profiler with its first user."""
    if name == "Profiler":
        from ddmiddleware.profiling.profiler import Profiler

        return Profiler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
