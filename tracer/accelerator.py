"""The hottest functions in C (``_accelerator.c``), where they could be built; the pure Python runs elsewhere.

The Python functions are the specification: ``start`` and ``start_inside``, five methods of ``Span``, two of ``Guard``,
what ``Redaction._redact`` looks at first, ``holds`` and ``has_digits`` of secrets.py, and ``EncoderV05._encode``. They
take over whatever the C functions find unusual.
"""

from __future__ import annotations

import os
from time import monotonic_ns

from ddmiddleware.tracing.context import LocalTrace, active
from ddmiddleware.tracing.guard import Guard
from ddmiddleware.tracing.ids import random_bits
from ddmiddleware.tracing.span import Span
from ddmiddleware.tracing.start import start as start_in_python
from ddmiddleware.tracing.start import start_inside as start_inside_in_python
from ddmiddleware.tracing.tags import SPECIAL

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from types import ModuleType

# What the accelerator replaces on the classes.
methods_in_python = {
    name: getattr(Span, name) for name in ("set_tag", "finish", "_finish_active", "__enter__", "__exit__")
}
guards_in_python = {name: getattr(Guard, name) for name in ("__enter__", "__exit__")}


def _load() -> ModuleType | None:
    if os.environ.get("_DD_PURE_PYTHON"):  # for tests
        return None
    try:
        from ddmiddleware.tracing import _accelerator

        _accelerator.prepare(Span, LocalTrace, Guard, start_in_python, SPECIAL, active, random_bits, monotonic_ns)
    except ImportError:  # no compiler when it was installed, no GIL, or a second interpreter in this process
        return None
    return _accelerator


accelerator = _load()
start, start_inside = start_in_python, start_inside_in_python
if accelerator is not None:
    start, start_inside = accelerator.start, accelerator.start_inside
