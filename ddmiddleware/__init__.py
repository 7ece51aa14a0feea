"""Traces, integrations and profiles for Python web services: what an application imports.

``tracer`` makes spans, ``patch_all()`` traces the libraries in use; importing this starts nothing and patches nothing.
"""

from __future__ import annotations

from ddmiddleware.integrations import TABLE, Row, patch, patch_all, unpatch
from ddmiddleware.tracing import Span, Tracer, __version__
from ddmiddleware.tracing import default_tracer as tracer

__all__ = ["Span", "Tracer", "__version__", "patch", "patch_all", "tracer", "unpatch"]

# The frameworks stand above the libraries: their rows are added here.
TABLE.update(
    flask=Row("flask", "ddmiddleware.flask"),
    starlette=Row("starlette.applications", "ddmiddleware.starlette"),
)
