"""Settings of one client object, under the name of ``ddtrace.pin``."""

from ddmiddleware.integrations import Pin

__all__ = ["Pin"]
