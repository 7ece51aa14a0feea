"""Trace and span ids on every log record, and in what its formatters print.

``%(dd.trace_id)s``, ``{dd.trace_id}`` and ``$dd_trace_id`` always have a value, ``0`` where there is no trace.

https://docs.python.org/3/library/logging.html#logrecord-attributes
"""

import logging
from copy import copy
from types import SimpleNamespace
from typing import Any

from ddmiddleware.integrations._patching import Integration
from ddmiddleware.tracing import default_settings, default_tracer, guarded

integration = Integration("logging")


# makeRecord and not the record factory, because a factory's attributes must not be in a logging call's extra=, and
# an application may set its own factory at any time.
@integration.replaces("logging:Logger.makeRecord")
def make_record(original: Any) -> Any:
    if not default_settings["DD_LOGS_INJECTION"]:
        return original

    def making(*args: Any, **kwargs: Any) -> Any:
        record = original(*args, **kwargs)
        with guarded:
            if integration.patched:
                _complete(record)
        return record

    return making


# format, because the formatters of all styles end there, also with records that were made before the patch.
@integration.replaces("logging:PercentStyle.format")
def format_record(original: Any) -> Any:
    if not default_settings["DD_LOGS_INJECTION"]:
        return original

    def formatting(self: Any, record: Any) -> Any:
        shown = record
        with guarded:
            if "dd" in getattr(self, "_fmt", "") and integration.patched:
                _complete(record)
                shown = _spelled(record, self)
        return original(self, shown)

    return formatting


def _complete(record: Any) -> None:
    """Add what is not there: a caller's ``extra=`` goes first."""
    fields = record.__dict__
    if "dd.trace_id" not in fields:
        for name, value in default_tracer.get_log_correlation_context().items():
            fields.setdefault(name, value)


def _spelled(record: Any, style: Any) -> Any:
    """Return *record* with names that *style* can spell: a dot means an attribute in braces, and ends a name after $.

    It is a copy, for formatters that print all fields would show ours twice.
    """
    if not isinstance(style, (logging.StrFormatStyle, logging.StringTemplateStyle)):
        return record
    ours = {name[3:]: value for name, value in record.__dict__.items() if name.startswith("dd.")}
    spelled = copy(record)
    for name, value in {**{f"dd_{name}": value for name, value in ours.items()}, "dd": SimpleNamespace(**ours)}.items():
        spelled.__dict__.setdefault(name, value)
    return spelled
