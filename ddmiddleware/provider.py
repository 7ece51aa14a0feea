"""Where the active span is kept, under the names of ``ddtrace.provider``."""

from ddmiddleware.tracing import BaseContextProvider
from ddmiddleware.tracing import ContextProvider as DefaultContextProvider

__all__ = ["BaseContextProvider", "DefaultContextProvider"]
