"""The version, under the names of ``ddtrace.version``."""

from ddmiddleware.tracing import __version__

__all__ = ["get_version"]


def get_version() -> str:
    """Return the version of this suite."""
    return __version__
