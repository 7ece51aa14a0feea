"""``import ddmiddleware.profiling.auto`` profiles the process from then on, and its forked children too."""

from __future__ import annotations

from ddmiddleware.profiling.profiler import Profiler

profiler = Profiler()


def start_profiler() -> Profiler:
    """Start the profiler of this module, anew where it runs already; return it."""
    profiler.stop()
    profiler.start()
    return profiler


profiler.start()
