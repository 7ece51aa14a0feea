"""A trace in headers: read from a request that comes in, written to a request that goes out.

One file per format; ``propagator.py`` combines them as the settings say. What stands here goes by the process's own.
"""

from __future__ import annotations

from ddmiddleware.tracing.propagation.hosts import may_reach
from ddmiddleware.tracing.propagation.propagator import Propagator
from ddmiddleware.tracing.settings import settings

__all__ = [
    "EXTRACTED",
    "LEADING",
    "MARK",
    "PREFIX",
    "Propagator",
    "extract",
    "inject",
    "inject_into",
    "may_reach",
    "to_add",
]

_propagator = Propagator(settings)
EXTRACTED = _propagator.extracted
LEADING = _propagator.leading
PREFIX = _propagator.prefix
MARK = _propagator.mark
extract = _propagator.extract
inject = _propagator.inject
inject_into = _propagator.inject_into
to_add = _propagator.to_add
