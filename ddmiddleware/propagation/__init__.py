"""Headers, under the names of ``ddtrace.propagation``."""


def __getattr__(name: str) -> object:
    """Load ``propagation.http`` with its first user, who may have imported no more than this."""
    if name == "http":
        from importlib import import_module

        return import_module(f"{__name__}.http")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
