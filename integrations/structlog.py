"""Trace and span ids in the event dictionary of every structlog entry, and of what its formatter takes from logging.

https://www.structlog.org
"""

from collections.abc import MutableMapping
from functools import update_wrapper
from types import MethodType
from typing import Any

from structlog import processors
from structlog.dev import ConsoleRenderer
from structlog.testing import LogCapture

from ddmiddleware.integrations._patching import Integration
from ddmiddleware.integrations._replacement import Over
from ddmiddleware.tracing import default_settings, default_tracer, guarded

integration = Integration("structlog", requires="structlog>=20.2")
_RENDERERS = (
    ConsoleRenderer,
    processors.JSONRenderer,
    processors.KeyValueRenderer,
    *([processors.LogfmtRenderer] if hasattr(processors, "LogfmtRenderer") else []),  # since 21.5
)


# _process_event, because loggers of every class end there, with the processors that they were configured with at
# whatever time.
@integration.replaces("structlog._base:BoundLoggerBase._process_event")
def process_event(original: Any) -> Any:
    return _ProcessEvent(original) if default_settings["DD_LOGS_INJECTION"] else original


class _ProcessEvent:
    """A method that is called with one processor more than its logger has.

    It is no function, for processors look up the stack for the first frame outside of structlog: ours would be it. Who
    asks the class finds a function all the same.
    """

    def __init__(self, original: Any) -> None:
        def processing(logger: Any, *args: Any, **kwargs: Any) -> Any:
            return self.__get__(logger)(*args, **kwargs)

        self._original = original
        self._function = update_wrapper(processing, original)

    def __get__(self, logger: Any, _owner: object = None) -> Any:
        if logger is None:
            return self._function
        caller = logger
        with guarded:
            if integration.patched:
                caller = _Logger(logger, _with_ours(logger._processors))
        return MethodType(self._original, caller)


class _Logger:
    """The logger as ``_process_event`` sees it."""

    def __init__(self, logger: Any, processors: Any) -> None:
        self._of, self._processors = logger, processors

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)


def _with_ours(theirs: Any) -> Any:
    """Return the processors with ours before the one that makes text, so that whatever the user adds goes first.

    Captured entries are left as they are: tests compare them.
    """
    chain = list(theirs)
    if chain and isinstance(chain[-1], LogCapture):
        return chain
    place = max(len(chain) - 1, 0)
    for number, processor in enumerate(chain):
        if isinstance(processor, _RENDERERS):
            place = number
            break
    chain.insert(place, _complete)
    return chain


def _complete(_logger: Any, _method: str, event: Any) -> Any:
    with guarded:
        if isinstance(event, MutableMapping):
            for name, value in default_tracer.get_log_correlation_context().items():
                event.setdefault(name, value)
    return event


# The chain for records of logging, because their entries are made in the formatter; what logging's own integration has
# put on the record goes first, for it is of the thread that logged.
@integration.adds("structlog.stdlib:ProcessorFormatter.foreign_pre_chain")
def foreign_pre_chain(original: Any) -> Any:
    return Over("foreign_pre_chain", _before_ours) if default_settings["DD_LOGS_INJECTION"] else original


def _before_ours(theirs: Any) -> Any:
    return [*(theirs or ()), _complete_foreign] if integration.patched else theirs


def _complete_foreign(logger: Any, method: str, event: Any) -> Any:
    with guarded:
        record = event.get("_record") if isinstance(event, MutableMapping) else None
        for name, value in getattr(record, "__dict__", {}).items():
            if name.startswith("dd."):
                event.setdefault(name, value)
    return _complete(logger, method, event)
