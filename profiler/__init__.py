"""The profiler: what the process spends its time, memory and waiting on, and for which endpoint.

``Profiler().start()`` starts it, and so does ``import ddmiddleware.profiling.auto``. Importing this starts nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ddmiddleware.profiling.command import main as profile_command
    from ddmiddleware.profiling.greenlets import look as watch_greenlets
    from ddmiddleware.profiling.profiler import Profiler as Profiler
    from ddmiddleware.profiling.top import main as top_command

__all__ = ["Profiler", "profile_command", "top_command", "watch_greenlets"]

_LAZY = {
    "Profiler": ("profiler", "Profiler"),
    "profile_command": ("command", "main"),
    "top_command": ("top", "main"),
    "watch_greenlets": ("greenlets", "look"),
}


def __getattr__(name: str) -> Any:
    """Load what is used with its first user."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _LAZY[name]
    return getattr(import_module(f"{__name__}.{module}"), attribute)
