"""Trace and span ids in the ``extra`` of every loguru record.

``{extra[dd.trace_id]}`` always has a value, ``0`` where there is no trace.

https://loguru.readthedocs.io
"""

from typing import Any

from ddmiddleware.integrations._patching import Integration
from ddmiddleware.integrations._replacement import Over
from ddmiddleware.tracing import default_settings, default_tracer, guarded

integration = Integration("loguru", requires="loguru>=0.4")
_NAMES = frozenset(("dd.trace_id", "dd.span_id", "dd.service", "dd.env", "dd.version"))


# emit, because a record is formatted there and nowhere else, and the user's patchers may have replaced its extra.
@integration.replaces("loguru._handler:Handler.emit")
def emit(original: Any) -> Any:
    if not default_settings["DD_LOGS_INJECTION"]:
        return original

    def emitting(self: Any, record: Any, *args: Any, **kwargs: Any) -> Any:
        _complete(record)
        return original(self, record, *args, **kwargs)

    return emitting


# The core's patcher, because it runs first: patchers that users bind find the ids. It is read through the class, so
# that what configure() stores stays the user's. The logging methods themselves look up the stack for their caller, and
# may have no function of ours around them.
@integration.adds("loguru._logger:Core.patcher")
def patcher(original: Any) -> Any:
    return Over("patcher", _after_ours) if default_settings["DD_LOGS_INJECTION"] else original


def _after_ours(theirs: Any) -> Any:
    def both(record: Any) -> None:
        _complete(record)
        if theirs:
            theirs(record)

    return both if integration.patched else theirs


def _complete(record: Any) -> None:
    """Add what is not there: what the user bound goes first."""
    with guarded:
        extra = record["extra"]
        if integration.patched and not extra.keys() >= _NAMES:
            for name, value in default_tracer.get_log_correlation_context().items():
                extra.setdefault(name, value)
