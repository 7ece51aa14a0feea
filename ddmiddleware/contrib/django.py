"""Django, under the names of ``ddtrace.contrib.django``."""

from __future__ import annotations

from ddmiddleware.contrib import functions_of
from ddmiddleware.django import TraceMiddleware

patch, unpatch, _ = functions_of("django")


__all__ = ["TraceMiddleware", "patch", "unpatch"]
